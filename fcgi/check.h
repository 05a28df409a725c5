/* --check: finds mistakes before the first request. */
#ifndef CHECK_H
#define CHECK_H

struct config;

/* Connects as a worker would, and logs a warning if the database refuses, TLS fails, or the role
 * has more rights than a worker needs. A database that cannot be reached is not reported, because
 * it may start later. Takes at most two seconds. Returns the exit status, which is 0: the
 * configuration itself was checked when it was loaded. */
int check(const struct config *config);

#endif
