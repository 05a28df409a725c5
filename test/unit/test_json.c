/* JSON: escaping, repair of invalid UTF-8, numbers, and the NULL object, which stores nothing. */
#include "json.h"

#include "cases.h"

#include <string.h>

struct text {
    const char *name;
    const char *bytes;
    size_t length;
    const char *json; /* the member's value */
};

#define BYTES(text) text, sizeof(text) - 1

static const struct text texts[] = {
    {"empty", BYTES(""), "\"\""},
    {"plain", BYTES("abc"), "\"abc\""},
    {"double quote", BYTES("a\"b"), "\"a\\\"b\""},
    {"backslash", BYTES("a\\b"), "\"a\\\\b\""},
    {"slash stays", BYTES("</a>"), "\"</a>\""},
    {"line ends and tab", BYTES("\r\n\t"), "\"\\r\\n\\t\""},
    {"backspace and form feed", BYTES("\b\f"), "\"\\b\\f\""},
    {"other control characters", BYTES("\x01\x1b\x1f"), "\"\\u0001\\u001b\\u001f\""},
    {"NUL inside", BYTES("a\0b"), "\"a\\u0000b\""},
    {"DEL stays", BYTES("\x7f"), "\"\x7f\""},
    {"two bytes, lowest", BYTES("\xc2\x80"), "\"\xc2\x80\""},
    {"two bytes, highest", BYTES("\xdf\xbf"), "\"\xdf\xbf\""},
    {"three bytes, lowest", BYTES("\xe0\xa0\x80"), "\"\xe0\xa0\x80\""},
    {"three bytes, last before the surrogates", BYTES("\xed\x9f\xbf"), "\"\xed\x9f\xbf\""},
    {"three bytes, first after the surrogates", BYTES("\xee\x80\x80"), "\"\xee\x80\x80\""},
    {"three bytes, highest", BYTES("\xef\xbf\xbf"), "\"\xef\xbf\xbf\""},
    {"four bytes, lowest", BYTES("\xf0\x90\x80\x80"), "\"\xf0\x90\x80\x80\""},
    {"four bytes, highest", BYTES("\xf4\x8f\xbf\xbf"), "\"\xf4\x8f\xbf\xbf\""},
    {"lone continuation", BYTES("a\x80z"), "\"a?z\""},
    {"continuation too many", BYTES("\xc3\xa9\xa9"), "\"\xc3\xa9?\""},
    {"lead byte at the end", BYTES("a\xc3"), "\"a?\""},
    {"three bytes cut at the end", BYTES("a\xe2\x82"), "\"a?\?\""},
    {"four bytes cut at the end", BYTES("\xf0\x9f\x98"), "\"?\?\?\""},
    {"three bytes cut by a letter", BYTES("\xe2\x82z"), "\"?\?z\""},
    {"three bytes cut by another sequence", BYTES("\xe2\x82\xc3\xa9"), "\"?\?\xc3\xa9\""},
    {"overlong in two bytes", BYTES("\xc0\xaf\xc1\xbf"), "\"?\?\?\?\""},
    {"overlong in three bytes", BYTES("\xe0\x9f\xbf"), "\"?\?\?\""},
    {"overlong in four bytes", BYTES("\xf0\x8f\xbf\xbf"), "\"?\?\?\?\""},
    {"surrogate, first", BYTES("\xed\xa0\x80"), "\"?\?\?\""},
    {"surrogate, last", BYTES("\xed\xbf\xbf"), "\"?\?\?\""},
    {"beyond U+10FFFF", BYTES("\xf4\x90\x80\x80"), "\"?\?\?\?\""},
    {"beyond what four bytes may hold", BYTES("\xf5\x80\x80\x80"), "\"?\?\?\?\""},
    {"bytes that never occur", BYTES("\xf5\xfe\xff"), "\"?\?\?\""},
    {"escape after a repair", BYTES("\xff\"\n"), "\"?\\\"\\n\""},
    {"bytes behind the length do not count", "abc", 2, "\"ab\""},
    {"sequence cut by the length", "\xc3\xa9", 1, "\"?\""},
};

/* Compares after the release, so that a failed case is not reported as a leak, too. */
static void check_object(struct json_object *object, const char *expected) {
    char text[256];
    size_t length;
    (void)snprintf(text, sizeof text, "%s", json_text(object, &length));
    json_release(object);
    assert_string_equal(text, expected);
    assert_int_equal(length, strlen(text));
}

static void check_member(struct json_object *object, const char *json) {
    char expected[256];
    (void)snprintf(expected, sizeof expected, "{\"key\":%s}", json);
    check_object(object, expected);
}

static void check_text(void **state) {
    const struct text *line = *state;
    struct json_object *object = json_create();
    json_add_string_of(object, "key", line->bytes, line->length);
    check_member(object, line->json);
}

struct integer {
    const char *name; /* the number as it is written */
    int64_t value;
};

static const struct integer integers[] = {
    {"0", 0},
    {"-1", -1},
    {"2147483647", INT32_MAX},
    {"2147483648", INT32_MAX + INT64_C(1)},
    {"9007199254740993", INT64_C(9007199254740993)},
    {"9223372036854775807", INT64_MAX},
    {"-9223372036854775808", INT64_MIN},
};

static void check_integer(void **state) {
    const struct integer *line = *state;
    struct json_object *object = json_create();
    json_add_integer(object, "key", line->value);
    check_member(object, line->name);
}

struct milliseconds {
    const char *name;
    double value;
    const char *json;
};

static const struct milliseconds durations[] = {
    {"no time", 0, "0.000"},
    {"a whole number of milliseconds", 1, "1.000"},
    {"a quarter of a millisecond", 0.25, "0.250"},
    {"rounded up to a microsecond", 6e-4, "0.001"},
    {"rounded down to none", 4e-4, "0.000"},
    {"rounded up within the third digit", 1.2346, "1.235"},
    {"a day", 864e5, "86400000.000"},
};

static void check_milliseconds(void **state) {
    const struct milliseconds *line = *state;
    struct json_object *object = json_create();
    json_add_milliseconds(object, "key", line->value);
    check_member(object, line->json);
}

struct key {
    const char *name, *key;
    const char *json; /* the whole object */
};

static const struct key keys[] = {
    {"key with a double quote", "a\"b", "{\"a\\\"b\":1}"},
    {"key with a line end", "a\nb", "{\"a\\nb\":1}"},
    {"key beyond ASCII", "\xc3\xa9", "{\"\xc3\xa9\":1}"},
    {"empty key", "", "{\"\":1}"},
    {"key that is not UTF-8", "a\xff", "{\"a?\":1}"},
};

static void check_key(void **state) {
    const struct key *line = *state;
    struct json_object *object = json_create();
    json_add_integer(object, line->key, 1);
    check_object(object, line->json);
}

static void check_order(void **state) {
    (void)state;
    struct json_object *object = json_create(), *member = json_create();
    json_add_string(object, "z", "1");
    json_add_integer(object, "a", 1);
    json_add_object(member, "inner", json_create());
    json_add_object(object, "m", member);
    json_add_integer(object, "b", 2);
    check_object(object, "{\"z\":\"1\",\"a\":1,\"m\":{\"inner\":{}},\"b\":2}");
}

static void check_array(void **state) {
    (void)state;
    struct json_object *array = json_create_array(), *inner = json_create();
    json_add_string(array, NULL, "a\"");
    json_add_integer(array, NULL, -1);
    json_add_object(array, NULL, json_create_array());
    json_add_text(inner, "raw", "[true,null]");
    json_add_object(array, NULL, inner);
    check_object(array, "[\"a\\\"\",-1,[],{\"raw\":[true,null]}]");
    check_object(json_create_array(), "[]");
}

/* Values given to a NULL object must be freed: the sanitizer checks. */
static void check_null_object(void **state) {
    (void)state;
    struct json_object *member = json_create();
    json_add_string(member, "key", "value");
    json_add_string(NULL, "key", "value");
    json_add_string_of(NULL, "key", "\xff", 1);
    json_add_integer(NULL, "key", 1);
    json_add_milliseconds(NULL, "key", 1);
    json_add_text(NULL, "key", "true");
    json_add_object(NULL, "key", member);
    json_release(NULL);
}

int main(void) {
    ADD_CASES(texts, check_text);
    ADD_CASES(integers, check_integer);
    ADD_CASES(durations, check_milliseconds);
    ADD_CASES(keys, check_key);
    add_case("members stand in the order added", check_order, NULL);
    add_case("arrays", check_array, NULL);
    add_case("a NULL object takes nothing", check_null_object, NULL);
    return run_cases("json");
}
