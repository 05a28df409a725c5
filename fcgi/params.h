/* Query strings: names and values, checked against what a path allows. */
#ifndef PARAMS_H
#define PARAMS_H

#include "status.h"

#include <stddef.h>

enum { PARAMS_MAX = 16, PARAMS_TEXT_SIZE = 1024, PARAMS_ERROR_SIZE = 512 };

/* Decoded parameters in the order sent; the texts lie in the structure itself. */
struct params {
    size_t count;
    struct {
        const char *name;
        const char *value;
    } items[PARAMS_MAX];
    char text[PARAMS_TEXT_SIZE];
    char error[PARAMS_ERROR_SIZE]; /* printable ASCII: what is wrong and what is allowed */
};

/* Splits and decodes a query string (application/x-www-form-urlencoded). The allowed names end
 * with NULL. STATUS_BAD_REQUEST with params->error for an unknown, doubled or malformed one. */
__attribute__((warn_unused_result)) enum status
params_parse(struct params *params, const char *query, const char *const *allowed);

#endif
