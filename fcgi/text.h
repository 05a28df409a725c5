/* Texts in buffers of a fixed size. */
#ifndef TEXT_H
#define TEXT_H

#include <stddef.h>

/* Appends to the text in a buffer of that size, as far as there is room. */
__attribute__((format(printf, 3, 4))) void text_append(char *text, size_t size, const char *format,
                                                       ...);

#endif
