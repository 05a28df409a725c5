/* Rows to JSON or CSV, one at a time, into the answer's body. */
#ifndef RENDER_H
#define RENDER_H

#include "row.h"

#include <stdbool.h>
#include <stddef.h>

struct request;

/* How an answer is built from its rows. */
enum render_shape {
    RENDER_VALUES,  /* {"first column's value":second column,…} */
    RENDER_OBJECTS, /* {"first column's value":{"second column's name":…,…},…} */
    RENDER_RECORDS, /* [{"first column's name":…,…},…] */
    RENDER_CSV,     /* RFC 4180, with the columns' names as first line */
};

struct render {
    struct request *request;
    enum render_shape shape;
    size_t rows;
};

/* Each returns false when nobody takes the answer any more. render_begin and render_end write what
 * surrounds the rows; of the columns only the names are used. JSON ends with one newline. */
__attribute__((warn_unused_result)) bool render_begin(struct render *render,
                                                      struct request *request,
                                                      enum render_shape shape,
                                                      const struct row *columns);
__attribute__((warn_unused_result)) bool render_row(struct render *render, const struct row *row);
__attribute__((warn_unused_result)) bool render_end(struct render *render);

/* Writes a timestamp as Python's str() does, which the reports have always shown: with six
 * fractional digits, or with none when they are zero. Returns the length, at most size - 1. */
size_t render_timestamp(const char *text, size_t length, char *out, size_t size);

#endif
