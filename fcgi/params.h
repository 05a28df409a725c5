/* Query strings: names and values, checked against what a path allows. */
#ifndef PARAMS_H
#define PARAMS_H

#include "status.h"

#include <stddef.h>

enum {
    PARAMS_MAX = 8,
    PARAMS_TEXT_SIZE = 1024,
    PARAMS_ERROR_SIZE = 512,
    PARAMS_DIGITS_MAX = 18, /* of a whole number: any such fits a bigint and an int64_t */
};

/* What a value has to be. */
enum param_kind {
    PARAM_DATE,     /* YYYY-MM-DD, a day of the calendar from 0001-01-01 to 9999-12-31 */
    PARAM_END_DATE, /* a date not before that of the preceding rule */
    PARAM_INTEGER,  /* a whole number from 1 to the rule's largest */
    PARAM_NUMBERS,  /* whole numbers between commas, at most as many as the rule's largest */
    PARAM_CHOICE,   /* one of the rule's choices */
};

struct param_rule {
    const char *name;
    enum param_kind kind;
    long largest;
    const char *const *choices; /* end with NULL; the first is the default */
    const char *example;        /* NULL where there are choices */
    const char *description;
};

/* The values in the order of the rules, decoded and checked; NULL where none was sent. They point
 * into the structure itself, which must not be copied. */
struct params {
    const char *values[PARAMS_MAX];
    char text[PARAMS_TEXT_SIZE];
    char error[PARAMS_ERROR_SIZE]; /* printable ASCII: what is wrong and what is allowed */
};

/* Splits and decodes a query string (application/x-www-form-urlencoded) and checks its values by
 * the rules, which end with a NULL name. Returns STATUS_BAD_REQUEST, with params->error set, for a
 * parameter that is unknown, doubled, malformed or not allowed. */
__attribute__((warn_unused_result)) enum status
params_parse(struct params *params, const char *query, const struct param_rule *rules);

/* The index of the rule of that name, or of the NULL name that ends the rules. */
size_t params_find(const struct param_rule *rules, const char *name);

/* The value for the rule at an index: what was sent, else the default, else NULL. NULL for the
 * index of the rules' end. */
const char *params_value(const struct params *params, const struct param_rule *rules, size_t index);

/* Refuses a value for a reason that the rule's kind does not cover. */
enum status params_refuse(struct params *params, const struct param_rule *rule, const char *value,
                          const char *allowed);

#endif
