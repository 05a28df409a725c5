/* Objects and strings through json-c, the one module that includes it. */
#include "json.h"

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

static struct json_object *check_allocated(struct json_object *value) {
    if (!value)
        end_out_of_memory();
    return value;
}

/* The length of the UTF-8 sequence that text starts with, 0 where it is none (RFC 3629, 4). */
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

/* JSON is UTF-8: bytes from outside that are not are shown as question marks. NULL when all are. */
static char *repair(const char *text, size_t length) {
    size_t valid = valid_prefix(text, length);
    if (valid == length)
        return NULL;
    char *repaired = malloc(length + 1);
    if (!repaired)
        end_out_of_memory();
    memcpy(repaired, text, length);
    repaired[length] = '\0';
    for (; valid < length; valid += valid_prefix(repaired + valid, length - valid))
        repaired[valid] = '?';
    return repaired;
}

static void add(struct json_object *object, const char *key, struct json_object *value) {
    char *repaired = repair(key, strlen(key));
    if (json_object_object_add_ex(object, repaired ? repaired : key, value,
                                  JSON_C_OBJECT_ADD_KEY_IS_NEW) != 0)
        end_out_of_memory();
    free(repaired);
}

struct json_object *json_create(void) {
    return check_allocated(json_object_new_object());
}

void json_add_string(struct json_object *object, const char *key, const char *value) {
    if (object)
        json_add_string_of(object, key, value, strlen(value));
}

void json_add_string_of(struct json_object *object, const char *key, const char *value,
                        size_t length) {
    if (!object)
        return;
    char *repaired = repair(value, length);
    const char *text = repaired ? repaired : value;
    add(object, key, check_allocated(json_object_new_string_len(text, (int)length)));
    free(repaired);
}

void json_add_integer(struct json_object *object, const char *key, int64_t value) {
    if (object)
        add(object, key, check_allocated(json_object_new_int64(value)));
}

void json_add_milliseconds(struct json_object *object, const char *key, double value) {
    if (!object)
        return;
    char text[32];
    (void)snprintf(text, sizeof text, "%.3f", value);
    add(object, key, check_allocated(json_object_new_double_s(value, text)));
}

void json_add_null(struct json_object *object, const char *key) {
    if (object)
        add(object, key, NULL);
}

void json_add_object(struct json_object *object, const char *key, struct json_object *member) {
    if (object)
        add(object, key, member);
    else
        json_release(member);
}

const char *json_text(struct json_object *object, size_t *length) {
    const int flags = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE;
    const char *text = json_object_to_json_string_length(object, flags, length);
    if (!text)
        end_out_of_memory();
    return text;
}

void json_release(struct json_object *object) {
    (void)json_object_put(object);
}
