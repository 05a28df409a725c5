/* Escapes with json-c; the only file that includes it. Most texts need no escaping. */
#include "json_escape.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void end_out_of_memory(void) {
    static const char line[] = "{\"level\":\"error\",\"event\":\"out_of_memory\"}\n";
    (void)fputs(line, stderr);
    exit(EXIT_FAILURE);
}

void *json_reallocate(void *block, size_t size) {
    void *moved = realloc(block, size);
    if (!moved)
        end_out_of_memory();
    return moved;
}

/* Whether the text is printable ASCII without quotes and backslashes, which needs no escaping. */
static bool is_plain(const char *text, size_t length) {
    bool plain = true;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        plain &= byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\';
    }
    return plain;
}

/* The length of the UTF-8 sequence at the start of a text, or 0 if it is not one (RFC 3629, 4). */
static size_t utf8_length(const unsigned char *text, size_t left) {
    unsigned char first = text[0];
    size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first > 0xf4 || length > left)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    }
    bool overlong = (first == 0xe0 && text[1] < 0xa0) || (first == 0xf0 && text[1] < 0x90);
    bool beyond = (first == 0xed && text[1] > 0x9f) || (first == 0xf4 && text[1] > 0x8f);
    return overlong || beyond ? 0 : length;
}

static size_t valid_prefix(const char *text, size_t length) {
    size_t valid = 0, step;
    while (valid < length &&
           (step = utf8_length((const unsigned char *)text + valid, length - valid)) > 0)
        valid += step;
    return valid;
}

/* Returns a copy with question marks for bytes that are not UTF-8, or NULL when all are. */
static char *repair(const char *text, size_t length) {
    size_t valid = valid_prefix(text, length);
    if (valid == length)
        return NULL;
    char *repaired = json_reallocate(NULL, length + 1);
    memcpy(repaired, text, length);
    repaired[length] = '\0';
    for (; valid < length; valid += valid_prefix(repaired + valid, length - valid))
        repaired[valid] = '?';
    return repaired;
}

const char *json_escape(const char *text, size_t length, size_t *escaped_length) {
    static struct json_object *last;
    *escaped_length = length;
    if (is_plain(text, length))
        return text;
    (void)json_object_put(last);
    char *repaired = repair(text, length);
    last = json_object_new_string_len(repaired ? repaired : text, (int)length);
    free(repaired);
    const int flags = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE;
    const char *quoted =
        last ? json_object_to_json_string_length(last, flags, escaped_length) : NULL;
    if (!quoted)
        end_out_of_memory();
    *escaped_length -= 2;
    return quoted + 1;
}
