/* Text inside a JSON string's quotes. */
#ifndef JSON_ESCAPE_H
#define JSON_ESCAPE_H

#include <stddef.h>

/* Escapes a text for use between the quotes. Returns the text itself when there is nothing to
 * escape, else a copy that is valid until the next call. Bytes that are not UTF-8 become question
 * marks. */
const char *json_escape(const char *text, size_t length, size_t *escaped_length);

/* As realloc(3), but never NULL: running out of memory ends the process. */
__attribute__((returns_nonnull)) void *json_reallocate(void *block, size_t size);

#endif
