/* Bodies that are kept: found under the same request and validator alone, and bounded in memory. */
#include "kept.h"

#include "cases.h"

#include <stdlib.h>
#include <string.h>

static const char report[] = "a.json";

/* The caller's text and data are gone once they are kept. */
static void store(const char *query, const char *validator, const char *text) {
    char *copies[5] = {strdup(report), strdup(query), strdup(validator), strdup(text),
                       strdup("/next?x")};
    kept_store(copies[0], copies[1], copies[2],
               &(struct kept_body){copies[4], copies[3], strlen(text)});
    for (size_t i = 0; i < 5; i++) {
        memset(copies[i], '#', strlen(copies[i]));
        free(copies[i]);
    }
}

static void store_sized(const char *query, size_t length) {
    char *data = malloc(length + 1);
    assert_non_null(data);
    memset(data, query[0], length);
    kept_store(report, query, "v1", &(struct kept_body){"", data, length});
    free(data);
}

static bool is_kept(const char *query, const char *validator, const char *text) {
    const struct kept_body *body = kept_find(report, query, validator);
    return body && body->length == strlen(text) && memcmp(body->data, text, body->length) == 0;
}

static bool is_kept_sized(const char *query, size_t length) {
    const struct kept_body *body = kept_find(report, query, "v1");
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

/* Where "a.json", "x=1" and "v1" are kept. */
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
    kept_clear();
    assert_null(kept_find(line->report, line->query, line->validator));
    store("x=1", "v1", "body");
    const struct kept_body *body = kept_find(line->report, line->query, line->validator);
    assert_int_equal(body != NULL, line->found);
    if (body) {
        assert_string_equal(body->next, "/next?x");
        assert_int_equal(body->length, 4);
        assert_memory_equal(body->data, "body", 4);
    }
    kept_clear();
}

static void check_replacement(void **state) {
    (void)state;
    kept_clear();
    store("x=1", "v1", "older");
    store("x=2", "v1", "other");
    store("x=1", "v2", "newer");
    assert_null(kept_find(report, "x=1", "v1"));
    assert_true(is_kept("x=1", "v2", "newer"));
    assert_true(is_kept("x=2", "v1", "other"));
    kept_clear();
}

static void check_empty_body(void **state) {
    (void)state;
    kept_clear();
    kept_store(report, "", "v1", &(struct kept_body){"", NULL, 0});
    assert_true(is_kept("", "v1", ""));
    kept_clear();
}

static void check_clear(void **state) {
    (void)state;
    kept_clear();
    store("", "v1", "body");
    kept_clear();
    assert_null(kept_find(report, "", "v1"));
    kept_clear();
}

/* One more than there is room for: of those before, the one asked for least recently goes. */
static void check_count(void **state) {
    (void)state;
    char query[16];
    kept_clear();
    for (int i = 0; i < KEPT_COUNT_MAX; i++) {
        (void)snprintf(query, sizeof query, "%d", i);
        store(query, "v1", query);
    }
    assert_true(is_kept("0", "v1", "0"));
    store("one more", "v1", "one more");
    assert_null(kept_find(report, "1", "v1"));
    assert_true(is_kept("one more", "v1", "one more"));
    for (int i = 0; i < KEPT_COUNT_MAX; i++) {
        (void)snprintf(query, sizeof query, "%d", i);
        assert_int_equal(is_kept(query, "v1", query), i != 1);
    }
    kept_clear();
}

enum { LARGE = KEPT_BYTES_MAX / 4 - 1024 }; /* four fit, with what they are found by */

static void check_bytes(void **state) {
    (void)state;
    kept_clear();
    for (const char *query = "abcd"; *query; query++)
        store_sized((char[]){*query, '\0'}, LARGE);
    for (const char *query = "bcda"; *query; query++)
        assert_true(is_kept_sized((char[]){*query, '\0'}, LARGE));
    store_sized("e", LARGE + LARGE / 2); /* wants the room of two: b and c, longest not asked for */
    assert_true(is_kept_sized("e", LARGE + LARGE / 2));
    assert_true(is_kept_sized("a", LARGE));
    assert_true(is_kept_sized("d", LARGE));
    assert_null(kept_find(report, "b", "v1"));
    assert_null(kept_find(report, "c", "v1"));
    kept_clear();
}

/* Room is given back: of the bytes kept, none are counted twice or forgotten. */
static void check_bytes_given_back(void **state) {
    (void)state;
    kept_clear();
    for (int i = 0; i < 100; i++)
        store_sized("a", LARGE + (size_t)i);
    for (const char *query = "bcd"; *query; query++)
        store_sized((char[]){*query, '\0'}, LARGE);
    assert_true(is_kept_sized("a", LARGE + 99));
    assert_true(is_kept_sized("b", LARGE));
    assert_true(is_kept_sized("d", LARGE));
    kept_clear();
}

/* What is too large goes unkept, and so does the older body in its place, but nothing else. */
static void check_too_large(void **state) {
    (void)state;
    kept_clear();
    store_sized("a", 10);
    store_sized("b", 10);
    store_sized("a", KEPT_BYTES_MAX);
    assert_null(kept_find(report, "a", "v1"));
    assert_true(is_kept_sized("b", 10));
    kept_clear();
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
    return run_cases("kept");
}
