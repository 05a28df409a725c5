/* Arbitrary bytes as query string, text and timestamp: whatever comes, the results keep shape. */
#include "http.h"
#include "json.h"
#include "params.h"
#include "render.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* assert(3) could be compiled out. */
static void require(bool condition) {
    if (!condition)
        abort();
}

static bool starts_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static void check_items(const struct params *params, const char *const *allowed) {
    require(params->count <= PARAMS_MAX && *params->error == '\0');
    for (size_t i = 0; i < params->count; i++) {
        size_t place = 0;
        while (allowed[place] && strcmp(allowed[place], params->items[i].name) != 0)
            place++;
        require(allowed[place] != NULL);
        for (size_t other = 0; other < i; other++)
            require(strcmp(params->items[other].name, params->items[i].name) != 0);
        const char *value = params->items[i].value;
        require(value > params->text && value < params->text + sizeof params->text);
        require(strlen(value) < sizeof params->text);
    }
}

/* Percent-encoded anew, the items say the same. */
static void check_encoded(const struct params *params, const char *const *allowed) {
    char query[PARAMS_TEXT_SIZE * 3 + PARAMS_MAX] = "", *end = query;
    for (size_t i = 0; i < params->count; i++) {
        end += sprintf(end, "&%s=", params->items[i].name);
        for (const char *byte = params->items[i].value; *byte; byte++)
            end += sprintf(end, "%%%02x", (unsigned char)*byte);
    }
    struct params again;
    if (params_parse(&again, query, allowed) != STATUS_OK) {
        require(end - query > PARAMS_TEXT_SIZE - 2 * PARAMS_MAX); /* too long, encoded */
        return;
    }
    require(again.count == params->count);
    for (size_t i = 0; i < again.count; i++) {
        require(strcmp(again.items[i].name, params->items[i].name) == 0);
        require(strcmp(again.items[i].value, params->items[i].value) == 0);
    }
}

static void check_query(const char *query) {
    static const char *const allowed[] = {"from", "to", "format", "limit", NULL};
    struct params params;
    memset(&params, 'x', sizeof params);
    enum status status = params_parse(&params, query, allowed);
    if (status == STATUS_OK) {
        check_items(&params, allowed);
        check_encoded(&params, allowed);
        return;
    }
    require(status == STATUS_BAD_REQUEST);
    require(strnlen(params.error, sizeof params.error) < sizeof params.error);
    require(starts_with(params.error, "query parameter '"));
    require(ends_with(params.error, "; allowed here: from, to, format, limit"));
    for (const char *byte = params.error; *byte; byte++)
        require(*byte >= ' ' && *byte < 0x7f);
}

/* By what the bytes stand for, where json.c goes by their ranges; json-c's own check lets
 * surrogates and more pass. */
static bool is_utf8(const char *text, size_t length) {
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    for (size_t i = 0; i < length;) {
        unsigned char first = (unsigned char)text[i++];
        size_t bytes = first < 0x80 ? 1 : (size_t)__builtin_clz(~((uint32_t)first << 24));
        if (first >= 0x80 && (bytes < 2 || bytes > 4))
            return false;
        uint32_t point = first & (0xffU >> bytes);
        for (size_t more = 1; more < bytes; more++, i++) {
            if (i == length || (text[i] & 0xc0) != 0x80)
                return false;
            point = point << 6 | (text[i] & 0x3fU);
        }
        if (bytes > 1 && (point < lowest[bytes] || point > 0x10ffff || point >> 11 == 0x1b))
            return false;
    }
    return true;
}

/* UTF-8 comes back as it went in. Anything else becomes UTF-8, byte for byte or question mark. */
static void check_string(const char *bytes, size_t length) {
    struct json_object *object = json_create();
    size_t text_length;
    json_add_string_of(object, "key", bytes, length);
    const char *text = json_text(object, &text_length);
    require(strlen(text) == text_length);

    struct json_tokener *tokener = json_tokener_new();
    require(tokener != NULL);
    /* Not strict: json-c 0.18 then takes the bytes of UTF-8 for control characters. */
    struct json_object *parsed = json_tokener_parse_ex(tokener, text, (int)text_length);
    require(json_tokener_get_error(tokener) == json_tokener_success);
    require(json_tokener_get_parse_end(tokener) == text_length);
    struct json_object *value = json_object_object_get(parsed, "key");
    const char *read = json_object_get_string(value);
    require((size_t)json_object_get_string_len(value) == length && is_utf8(read, length));
    bool unchanged = is_utf8(bytes, length);
    for (size_t i = 0; i < length; i++)
        require(read[i] == bytes[i] || (!unchanged && read[i] == '?' && (bytes[i] & 0x80)));
    json_tokener_free(tokener);
    (void)json_object_put(parsed);
    json_release(object);
}

/* The bytes lie in a block of their own, and so does the room for the result. */
static void check_timestamp(const char *text, size_t length, size_t size) {
    char *room = malloc(size);
    require(room != NULL);
    size_t shown = render_timestamp(text, length, room, size);
    require(shown < size && room[shown] == '\0');
    require(size <= length || (shown >= length && shown <= length + 6));
    size_t whole = strcspn(text, ".");
    require(memcmp(room, text, whole < shown ? whole : shown) == 0);
    free(room);
}

/* Rendering alone needs no HTTP. */
bool http_write(struct request *request, const char *data, size_t length) {
    (void)request;
    (void)data;
    (void)length;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1); /* texts from the web server and from libpq end with NUL */
    require(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    check_query(text);
    check_string(text, size);
    check_timestamp(text, strlen(text), 64);
    check_timestamp(text, strlen(text), size ? data[0] % 64U + 1 : 1);
    free(text);
    return 0;
}
