/* A short list with the most recently used entry first. Each entry is one block of memory. */
#include "cache.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    struct cached_body body;
    size_t size; /* of the block */
    const char *name, *query, *validator;
    char texts[]; /* what the pointers above, and the body's, point to */
};

static struct entry *entries[CACHE_COUNT_MAX];
static size_t entry_count;
static size_t bytes;

static void drop(size_t index) {
    bytes -= entries[index]->size;
    free(entries[index]);
    for (entry_count--; index < entry_count; index++)
        entries[index] = entries[index + 1];
}

static void put_in_front(struct entry *entry, size_t index) {
    for (; index > 0; index--)
        entries[index] = entries[index - 1];
    entries[0] = entry;
}

/* The index of the entry for a name and query string, or entry_count. */
static size_t find(const char *name, const char *query) {
    size_t i = 0;
    while (i < entry_count &&
           (strcmp(entries[i]->name, name) != 0 || strcmp(entries[i]->query, query) != 0))
        i++;
    return i;
}

const struct cached_body *cache_find(const char *name, const char *query, const char *validator) {
    size_t index = find(name, query);
    if (index == entry_count || strcmp(entries[index]->validator, validator) != 0)
        return NULL;
    struct entry *entry = entries[index];
    put_in_front(entry, index);
    return &entry->body;
}

/* Copies to *free_place and moves it behind the copy, which it returns. */
static const char *copy(char **free_place, const char *data, size_t size) {
    char *place = *free_place;
    if (size > 0)
        memcpy(place, data, size);
    *free_place += size;
    return place;
}

void cache_store(const char *name, const char *query, const char *validator,
                 const struct cached_body *body) {
    size_t name_size = strlen(name) + 1, query_size = strlen(query) + 1;
    size_t validator_size = strlen(validator) + 1, next_size = strlen(body->next) + 1;
    size_t size =
        sizeof(struct entry) + name_size + query_size + validator_size + next_size + body->length;
    size_t same = find(name, query);
    if (same < entry_count)
        drop(same);
    if (size > CACHE_BYTES_MAX)
        return;
    while (entry_count == CACHE_COUNT_MAX || bytes + size > CACHE_BYTES_MAX)
        drop(entry_count - 1);
    struct entry *entry = malloc(size);
    if (!entry)
        return;
    char *place = entry->texts;
    entry->size = size;
    entry->name = copy(&place, name, name_size);
    entry->query = copy(&place, query, query_size);
    entry->validator = copy(&place, validator, validator_size);
    entry->body.next = copy(&place, body->next, next_size);
    entry->body.data = copy(&place, body->data, body->length);
    entry->body.length = body->length;
    bytes += size;
    put_in_front(entry, entry_count++);
}

void cache_clear(void) {
    while (entry_count > 0)
        drop(entry_count - 1);
}
