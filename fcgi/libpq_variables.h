/* libpq's own variables (libpq, "Environment Variables"), which are passed through. */
#ifndef LIBPQ_VARIABLES_H
#define LIBPQ_VARIABLES_H

struct problems;

/* Trims them in the environment. */
void libpq_variables_trim(struct problems *problems);

/* Checks those whose mistakes libpq would report only when it connects, or not at all: hosts,
 * ports, words from a list, and files that this user cannot read. */
void libpq_variables_check(struct problems *problems);

#endif
