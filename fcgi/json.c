/* An object or array is kept as the text it becomes. */
#include "json.h"

#include "json_escape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 512, NUMBER_SIZE = 32 };

struct json_object {
    char *text;
    size_t length; /* without the closing bracket */
    size_t size;
};

/* Makes room for that many more bytes and the closing bracket. */
static char *reserve(struct json_object *object, size_t more) {
    size_t needed = object->length + more + sizeof "}";
    if (needed > object->size) {
        object->size = needed < FIRST_SIZE ? FIRST_SIZE : 2 * needed;
        object->text = json_reallocate(object->text, object->size);
    }
    return object->text + object->length;
}

static void append(struct json_object *object, const char *text, size_t length) {
    memcpy(reserve(object, length), text, length);
    object->length += length;
}

static void append_string(struct json_object *object, const char *text, size_t length) {
    size_t escaped_length;
    const char *escaped = json_escape(text, length, &escaped_length);
    append(object, "\"", 1);
    append(object, escaped, escaped_length);
    append(object, "\"", 1);
}

static void append_key(struct json_object *object, const char *key) {
    if (object->length > 1)
        append(object, ",", 1);
    if (!key)
        return;
    append_string(object, key, strlen(key));
    append(object, ":", 1);
}

static void add(struct json_object *object, const char *key, const char *value, size_t length) {
    append_key(object, key);
    append(object, value, length);
}

static struct json_object *create(const char *start) {
    struct json_object *object = json_reallocate(NULL, sizeof *object);
    *object = (struct json_object){0};
    append(object, start, 1);
    return object;
}

struct json_object *json_create(void) {
    return create("{");
}

struct json_object *json_create_array(void) {
    return create("[");
}

void json_add_string(struct json_object *object, const char *key, const char *value) {
    if (object)
        json_add_string_of(object, key, value, strlen(value));
}

void json_add_string_of(struct json_object *object, const char *key, const char *value,
                        size_t length) {
    if (!object)
        return;
    append_key(object, key);
    append_string(object, value, length);
}

/* Not by snprintf: a log line has five integers, and it would be a fifth of the line's cost. */
void json_add_integer(struct json_object *object, const char *key, int64_t value) {
    char text[NUMBER_SIZE];
    char *end = text + sizeof text, *digit = end;
    uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;
    if (!object)
        return;
    do
        *--digit = (char)('0' + left % 10);
    while (left /= 10);
    if (value < 0)
        *--digit = '-';
    add(object, key, digit, (size_t)(end - digit));
}

void json_add_milliseconds(struct json_object *object, const char *key, double value) {
    char text[NUMBER_SIZE];
    if (!object)
        return;
    (void)snprintf(text, sizeof text, "%.3f", value);
    add(object, key, text, strlen(text));
}

void json_add_text(struct json_object *object, const char *key, const char *json) {
    if (object)
        add(object, key, json, strlen(json));
}

void json_add_object(struct json_object *object, const char *key, struct json_object *member) {
    size_t length;
    if (object && member) {
        const char *text = json_text(member, &length);
        add(object, key, text, length);
    }
    json_release(member);
}

const char *json_text(struct json_object *object, size_t *length) {
    memcpy(reserve(object, 0), *object->text == '[' ? "]" : "}", sizeof "}");
    *length = object->length + 1;
    return object->text;
}

void json_release(struct json_object *object) {
    if (object)
        free(object->text);
    free(object);
}
