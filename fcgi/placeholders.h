/* The parameters of an SQL text. */
#ifndef PLACEHOLDERS_H
#define PLACEHOLDERS_H

#include <stddef.h>

/* The n of the highest $n. Our SQL has no $n in a string or a comment. */
size_t placeholders_count(const char *sql);

#endif
