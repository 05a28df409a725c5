/* A tag is a hash of all that the answer's bytes depend on. */
#include "etag.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* FNV-1a (Fowler, Noll, Vo) over the texts and the NULs that end them. */
void etag_make(char tag[ETAG_SIZE], const char *const *texts, size_t count) {
    uint64_t state = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < count; i++) {
        const char *text = texts[i];
        do
            state = (state ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
        while (*text++);
    }
    (void)snprintf(tag, ETAG_SIZE, "%016" PRIx64, state);
}

bool etag_matches(const char *if_none_match, const char *tag) {
    if (!if_none_match)
        return false;
    if (strcmp(if_none_match, "*") == 0)
        return true;
    size_t length = strlen(tag);
    for (const char *found = if_none_match; (found = strstr(found, tag)); found += length) {
        if (found > if_none_match && found[-1] == '"' && found[length] == '"')
            return true;
    }
    return false;
}
