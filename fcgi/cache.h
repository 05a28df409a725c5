/* A cache of bodies that may be sent again while the database proves that nothing has changed. */
#ifndef CACHE_H
#define CACHE_H

#include <stddef.h>

enum {
    CACHE_BYTES_MAX = 256 * 1024, /* of all bodies and the texts they are found by */
    CACHE_COUNT_MAX = 16,
};

struct cached_body {
    const char *next; /* the link to the next page; empty on the last */
    const char *data;
    size_t length;
};

/* The body stored for this name and query string with exactly this validator (struct db_state), or
 * NULL. It is valid until the next call of cache_store. */
const struct cached_body *cache_find(const char *name, const char *query, const char *validator);

/* Stores a copy of the body, which replaces any other of the same name and query string. The
 * validator must have been read before the query behind the body was started. The least recently
 * used bodies make room; a body that is too large is not stored. */
void cache_store(const char *name, const char *query, const char *validator,
                 const struct cached_body *body);

/* Empties the cache. */
void cache_clear(void);

#endif
