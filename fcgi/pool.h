/* A pool of workers on a socket, kept alive by a supervisor. */
#ifndef POOL_H
#define POOL_H

#include <stdbool.h>

struct config;

/* Becomes the supervisor of FCGI_WORKERS report workers on run/reports.sock or, for the probes, of
 * one worker on run/probe.sock, both below the working directory. Returns only on failure, with the
 * process's exit status. */
int pool_run(const struct config *config, bool is_for_probes);

/* Makes a worker end when its pool ends, however that happens. */
void pool_join(void);

#endif
