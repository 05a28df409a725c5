/* Each problem is a sentence. Problems beyond the list's end are dropped. */
#include "problems.h"

#include <stdio.h>

static void add(struct problems *problems, bool is_error, const char *name, const char *verb,
                const char *text) {
    problems->error_count += is_error;
    if (problems->count == PROBLEMS_MAX)
        return;
    size_t place = problems->count++;
    problems->list[place].is_error = is_error;
    (void)snprintf(problems->list[place].text, PROBLEM_SIZE, "%s %s%s", name, verb, text);
}

void problems_add_error(struct problems *problems, const char *name, const char *wanted) {
    add(problems, true, name, "must be ", wanted);
}

void problems_add_warning(struct problems *problems, const char *name, const char *remark) {
    add(problems, false, name, "", remark);
}
