/* Variables of the environment. */
#include "environment.h"

#include "problems.h"
#include "values.h"

#include <stdlib.h>
#include <string.h>

const char *environment_read(const char *name) {
    const char *value = name ? getenv(name) : NULL;
    return value && *value ? value : NULL;
}

void environment_trim(const char *name, bool is_list, struct problems *problems) {
    const char *value = environment_read(name);
    char *trimmed = value ? strdup(value) : NULL;
    if (trimmed && values_trim(trimmed, is_list)) {
        problems_add_warning(problems, name,
                             is_list ? "has white space around an item; the white space is ignored"
                                     : "has white space at its beginning or end, which is ignored");
        (void)setenv(name, trimmed, 1);
    }
    free(trimmed);
}
