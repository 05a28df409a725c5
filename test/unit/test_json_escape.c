/* Escaped texts: byte for byte what json-c writes. */
#include "json_escape.h"

#include "cases.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

/* The text is a block of its own, so that the sanitizer notices a read past its end. */
static void check_as_json_c(const char *text, size_t length) {
    char *block = malloc(length ? length : 1);
    assert_non_null(block);
    memcpy(block, text, length);
    size_t escaped_length, expected_length;
    const char *escaped = json_escape(block, length, &escaped_length);
    struct json_object *string = json_object_new_string_len(text, (int)length);
    const char *expected = json_object_to_json_string_length(
        string, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &expected_length);
    bool equal =
        escaped_length == expected_length - 2 && memcmp(escaped, expected + 1, escaped_length) == 0;
    (void)json_object_put(string);
    free(block);
    assert_true(equal);
}

static void check_ascii(void **state) {
    (void)state;
    for (int first = 0; first < 0x80; first++) {
        for (int second = 0; second < 0x80; second++)
            check_as_json_c((char[]){(char)first, (char)second}, 2);
    }
}

static void check_two_bytes(void **state) {
    (void)state;
    for (int first = 0xc2; first < 0xe0; first++) {
        for (int second = 0x80; second < 0xc0; second++)
            check_as_json_c((char[]){'"', (char)first, (char)second, '/'}, 4);
    }
}

static void check_long(void **state) {
    (void)state;
    char text[300];
    for (size_t length = 0; length < sizeof text; length++) {
        memset(text, 'a', sizeof text);
        check_as_json_c(text, length);
        text[length / 2] = '\n';
        check_as_json_c(text, length);
    }
}

static void check_plain_is_not_copied(void **state) {
    (void)state;
    static const char text[] = "2024-03-01 </a> '~";
    size_t length;
    assert_ptr_equal(json_escape(text, sizeof text - 1, &length), text);
    assert_int_equal(length, sizeof text - 1);
}

int main(void) {
    add_case("every two bytes of ASCII", check_ascii, NULL);
    add_case("every sequence of two bytes", check_two_bytes, NULL);
    add_case("texts of every length", check_long, NULL);
    add_case("plain text is not copied", check_plain_is_not_copied, NULL);
    return run_cases("json_escape");
}
