/* A list of what is wrong with the configuration, so that everything is reported at once. */
#ifndef PROBLEMS_H
#define PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>

enum { PROBLEMS_MAX = 32, PROBLEM_SIZE = 256 };

struct problems {
    size_t count;
    size_t error_count;
    struct {
        bool is_error;
        char text[PROBLEM_SIZE];
    } list[PROBLEMS_MAX];
};

/* An error: "NAME must be WANTED". Neither repeats a value. */
void problems_add_error(struct problems *problems, const char *name, const char *wanted);

/* A warning: "NAME REMARK". */
void problems_add_warning(struct problems *problems, const char *name, const char *remark);

#endif
