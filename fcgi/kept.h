/* Bodies that may be sent again while the database proves that nothing changed. */
#ifndef KEPT_H
#define KEPT_H

#include <stddef.h>

enum {
    KEPT_BYTES_MAX = 256 * 1024, /* of all that is kept, and what it is found by */
    KEPT_COUNT_MAX = 16,
};

struct kept_body {
    const char *next; /* where the list goes on; empty at its end */
    const char *data;
    size_t length;
};

/* The body kept for this name and query string under this very validator (db_read_validator), or
 * NULL. It stays until something else is kept. */
const struct kept_body *kept_find(const char *name, const char *query, const char *validator);

/* Keeps a copy of the body in place of any other of the same name and query string. The validator
 * must have been read before the query behind the body was started. What was not asked for the
 * longest goes when room is needed; a body too large for the room is not kept. */
void kept_store(const char *name, const char *query, const char *validator,
                const struct kept_body *body);

/* Forgets all. */
void kept_clear(void);

#endif
