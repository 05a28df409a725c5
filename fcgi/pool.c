/* Starts a pool: spawn-fcgi opens the socket and becomes multiwatch, which restarts the workers.
 * This is done here, and not by whatever starts the service, so that only one place knows the
 * defaults. */
#include "pool.h"

#include "config.h"
#include "log.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { NUMBER_SIZE = 24 };

static const char pool_process[] = "POOL_PROCESS"; /* the supervisor's pid, for its workers */

/* multiwatch gives up a worker that dies 20 times within a second of its start. */
int pool_run(const struct config *config, bool is_for_probes) {
    char program[PATH_MAX] = "", workers[NUMBER_SIZE], self[NUMBER_SIZE];
    const char *socket = is_for_probes ? "run/probe.sock" : "run/reports.sock";
    const char *option = is_for_probes ? "--probe" : NULL;
    (void)!readlink("/proc/self/exe", program, sizeof program - 1);
    (void)snprintf(workers, sizeof workers, "%ld", is_for_probes ? 1 : config->workers);
    (void)snprintf(self, sizeof self, "%ld", (long)getpid());
    (void)setenv(pool_process, self, 1);
    (void)execl("/usr/bin/spawn-fcgi", "spawn-fcgi", "-n", "-s", socket, "-M", "0600", "-b", "4096",
                "--", "/usr/bin/multiwatch", "-f", workers, "-r", "20", "-t", "1000", "-s", "TERM",
                "--", program, option, (char *)NULL);
    log_text(LOG_ERROR, "spawn-fcgi", strerror(errno));
    return EXIT_FAILURE;
}

void pool_join(void) {
    const char *pool = getenv(pool_process);
    if (!pool)
        return;
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (strtol(pool, NULL, 10) != (long)getppid()) /* the pool ended before the signal was set */
        (void)raise(SIGTERM);
}
