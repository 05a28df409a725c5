/* Cached bodies: found only for the same request and validator, and bounded in memory. */
#include "cache.h"

#include "cases.h"

#include <stdlib.h>
#include <string.h>

static const char report[] = "a.json";

/* Overwrites the caller's text and data after they are kept. */
static void store(const char *query, const char *validator, const char *text) {
    char *copies[5] = {strdup(report), strdup(query), strdup(validator), strdup(text),
                       strdup("/next?x")};
    cache_store(copies[0], copies[1], copies[2],
                &(struct cached_body){copies[4], copies[3], strlen(text)});
    for (size_t i = 0; i < 5; i++) {
        memset(copies[i], '#', strlen(copies[i]));
        free(copies[i]);
    }
}

static void store_sized(const char *query, size_t length) {
    char *data = malloc(length + 1);
    assert_non_null(data);
    memset(data, query[0], length);
    cache_store(report, query, "v1", &(struct cached_body){"", data, length});
    free(data);
}

static bool is_kept(const char *query, const char *validator, const char *text) {
    const struct cached_body *body = cache_find(report, query, validator);
    return body && body->length == strlen(text) && memcmp(body->data, text, body->length) == 0;
}

static bool is_kept_sized(const char *query, size_t length) {
    const struct cached_body *body = cache_find(report, query, "v1");
    if (!body || body->length != length)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (body->data[i] != query[0])
            return false;
    }
    return true;
}

struct lookup {
    const char *name, *report, *query, *validator;
    bool found;
};

/* With a body kept for "a.json", "x=1" and "v1". */
static const struct lookup lookups[] = {
    {"the same request and validator", "a.json", "x=1", "v1", true},
    {"a newer validator", "a.json", "x=1", "v2", false},
    {"a longer validator", "a.json", "x=1", "v10", false},
    {"a shorter validator", "a.json", "x=1", "v", false},
    {"no validator", "a.json", "x=1", "", false},
    {"another report", "b.json", "x=1", "v1", false},
    {"another query", "a.json", "x=2", "v1", false},
    {"a longer query", "a.json", "x=1&y=2", "v1", false},
    {"no query", "a.json", "", "v1", false},
    {"another format", "a.csv", "x=1", "v1", false},
    {"the name's end in the query", "a.jso", "nx=1", "v1", false},
};

static void check_lookup(void **state) {
    const struct lookup *line = *state;
    cache_clear();
    assert_null(cache_find(line->report, line->query, line->validator));
    store("x=1", "v1", "body");
    const struct cached_body *body = cache_find(line->report, line->query, line->validator);
    assert_int_equal(body != NULL, line->found);
    if (body) {
        assert_string_equal(body->next, "/next?x");
        assert_int_equal(body->length, 4);
        assert_memory_equal(body->data, "body", 4);
    }
    cache_clear();
}

static void check_replacement(void **state) {
    (void)state;
    cache_clear();
    store("x=1", "v1", "older");
    store("x=2", "v1", "other");
    store("x=1", "v2", "newer");
    assert_null(cache_find(report, "x=1", "v1"));
    assert_true(is_kept("x=1", "v2", "newer"));
    assert_true(is_kept("x=2", "v1", "other"));
    cache_clear();
}

static void check_empty_body(void **state) {
    (void)state;
    cache_clear();
    cache_store(report, "", "v1", &(struct cached_body){"", NULL, 0});
    assert_true(is_kept("", "v1", ""));
    cache_clear();
}

static void check_clear(void **state) {
    (void)state;
    cache_clear();
    store("", "v1", "body");
    cache_clear();
    assert_null(cache_find(report, "", "v1"));
    cache_clear();
}

/* One body more than there is room for: the least recently used one is dropped. */
static void check_count(void **state) {
    (void)state;
    char query[16];
    cache_clear();
    for (int i = 0; i < CACHE_COUNT_MAX; i++) {
        (void)snprintf(query, sizeof query, "%d", i);
        store(query, "v1", query);
    }
    assert_true(is_kept("0", "v1", "0"));
    store("one more", "v1", "one more");
    assert_null(cache_find(report, "1", "v1"));
    assert_true(is_kept("one more", "v1", "one more"));
    for (int i = 0; i < CACHE_COUNT_MAX; i++) {
        (void)snprintf(query, sizeof query, "%d", i);
        assert_int_equal(is_kept(query, "v1", query), i != 1);
    }
    cache_clear();
}

enum { LARGE = CACHE_BYTES_MAX / 4 - 1024 }; /* four fit, with their keys */

static void check_bytes(void **state) {
    (void)state;
    cache_clear();
    for (const char *query = "abcd"; *query; query++)
        store_sized((char[]){*query, '\0'}, LARGE);
    for (const char *query = "bcda"; *query; query++)
        assert_true(is_kept_sized((char[]){*query, '\0'}, LARGE));
    store_sized("e",
                LARGE + LARGE / 2); /* needs the room of two: b and c, the least recently used */
    assert_true(is_kept_sized("e", LARGE + LARGE / 2));
    assert_true(is_kept_sized("a", LARGE));
    assert_true(is_kept_sized("d", LARGE));
    assert_null(cache_find(report, "b", "v1"));
    assert_null(cache_find(report, "c", "v1"));
    cache_clear();
}

/* Room is given back: no kept byte is counted twice or forgotten. */
static void check_bytes_given_back(void **state) {
    (void)state;
    cache_clear();
    for (int i = 0; i < 100; i++)
        store_sized("a", LARGE + (size_t)i);
    for (const char *query = "bcd"; *query; query++)
        store_sized((char[]){*query, '\0'}, LARGE);
    assert_true(is_kept_sized("a", LARGE + 99));
    assert_true(is_kept_sized("b", LARGE));
    assert_true(is_kept_sized("d", LARGE));
    cache_clear();
}

/* A body that is too large is not kept. The older one in its place goes, and no other. */
static void check_too_large(void **state) {
    (void)state;
    cache_clear();
    store_sized("a", 10);
    store_sized("b", 10);
    store_sized("a", CACHE_BYTES_MAX);
    assert_null(cache_find(report, "a", "v1"));
    assert_true(is_kept_sized("b", 10));
    cache_clear();
}

int main(void) {
    ADD_CASES(lookups, check_lookup);
    add_case("a newer body takes the older one's place", check_replacement, NULL);
    add_case("an empty body", check_empty_body, NULL);
    add_case("cleared", check_clear, NULL);
    add_case("one more than may be kept", check_count, NULL);
    add_case("more bytes than may be kept", check_bytes, NULL);
    add_case("bytes are given back", check_bytes_given_back, NULL);
    add_case("too large to be kept", check_too_large, NULL);
    return run_cases("cache");
}
