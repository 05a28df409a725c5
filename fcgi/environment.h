/* Variables of the environment, from which all configuration comes. */
#ifndef ENVIRONMENT_H
#define ENVIRONMENT_H

#include <stdbool.h>

struct problems;

/* The value, or NULL if it is not set or empty. The name may be NULL. */
const char *environment_read(const char *name);

/* Trims a variable in the environment itself, so that libpq and psql see the trimmed value, and
 * adds a warning if there was white space to remove. */
void environment_trim(const char *name, bool is_list, struct problems *problems);

#endif
