/* A small GET to a server on this machine. */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include <stdint.h>

/* Returns the status code of GET path on 127.0.0.1, or 0 with *error set when no answer came by the
 * deadline (deadline.h). */
int http_client_get(long port, const char *path, int64_t deadline, const char **error);

#endif
