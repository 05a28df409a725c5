/* Reads from libpq's message why it could not connect. */
#ifndef FAILURE_H
#define FAILURE_H

#include <stdbool.h>

enum { FAILURE_SIZE = 160 };

/* A cause is an SQLSTATE when the server itself refused (PQERRORS_SQLSTATE), else libpq's words
 * with "..." for every quoted name (hosts, roles, files). */
struct failure {
    char cause[FAILURE_SIZE];
    char before[FAILURE_SIZE]; /* of the attempt before, if any: libpq tries with and without TLS
                                  (sslmode prefer, allow) */
};

/* A message has a line for each attempt. Hints may follow each line. */
void failure_read(const char *message, struct failure *failure);

bool failure_is_sqlstate(const char *cause);

/* Whether TLS is what failed. */
bool failure_is_of_tls(const char *cause);

#endif
