/* An answer's header, in CGI's form (RFC 3875, 6), which FastCGI uses too. */
#ifndef HEADER_H
#define HEADER_H

#include "status.h"

#include <stddef.h>
#include <stdint.h>

enum {
    HEADER_SIZE = 1024,
    HEADER_NO_LENGTH = -1, /* leaves Content-Length out */
};

/* What the header says of a body. Members that are NULL or empty are left out. Whoever fills it in
 * has checked its texts: they go out as they are. */
struct entity {
    const char *content_type;
    const char *tag;       /* the ETag without its quotes */
    const char *file_name; /* what to save it as */
    const char *next;      /* the link to the next page */
    const char *as_of;     /* how recent the data is (RFC 3339) */
};

struct header {
    size_t length;
    char text[HEADER_SIZE];
};

/* Fills the header, up to and with the empty line that ends it. */
void header_make(struct header *header, enum status status, const struct entity *entity,
                 int64_t body_length);

#endif
