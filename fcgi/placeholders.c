/* Counts what libpq has to be told, so that nobody has to keep a number beside the SQL. */
#include "placeholders.h"

#include <stdlib.h>
#include <string.h>

size_t placeholders_count(const char *sql) {
    size_t highest = 0;
    for (const char *dollar = sql; (dollar = strchr(dollar, '$')); dollar++) {
        size_t number = dollar[1] >= '1' && dollar[1] <= '9' ? strtoul(dollar + 1, NULL, 10) : 0;
        if (number > highest)
            highest = number;
    }
    return highest;
}
