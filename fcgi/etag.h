/* ETags (RFC 9110, 8.8.3): made from texts, and compared with If-None-Match. */
#ifndef ETAG_H
#define ETAG_H

#include <stdbool.h>
#include <stddef.h>

enum { ETAG_SIZE = 64 };

/* A tag that depends on these texts and their order, and on nothing else; without its quotes. */
void etag_make(char tag[ETAG_SIZE], const char *const *texts, size_t count);

/* Whether an If-None-Match field, which may be NULL, names this tag. The comparison is weak (RFC
 * 9110, 13.1.2), because nginx weakens the tags of what it compresses. */
bool etag_matches(const char *if_none_match, const char *tag);

#endif
