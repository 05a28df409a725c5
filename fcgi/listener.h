/* The listening socket that spawn-fcgi passes as standard input (FastCGI Specification, 2.2). */
#ifndef LISTENER_H
#define LISTENER_H

#include <stdbool.h>

/* Whether standard input is a listening socket. */
bool listener_exists(void);

/* Prepares the socket and the signals that stop the worker. */
void listener_open(void);

/* Waits for a connection and returns its descriptor, on which every read and write is bounded in
 * time. Returns -1 when the worker is to end: after a stop signal, once nothing has come for a
 * second. */
__attribute__((warn_unused_result)) int listener_accept(void);

#endif
