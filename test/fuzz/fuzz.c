/* Arbitrary bytes as query string, header, text and timestamp: every result stays well-formed. */
#include "body.h"
#include "json.h"
#include "media_type.h"
#include "params.h"
#include "render.h"
#include "request.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Unlike assert(3), this cannot be compiled out. */
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

static const char *const formats[] = {"json", "records", NULL};
static const struct param_rule rules[] = {
    {.name = "from", .kind = PARAM_DATE},
    {.name = "to", .kind = PARAM_END_DATE},
    {.name = "limit", .kind = PARAM_INTEGER, .largest = 500},
    {.name = "after", .kind = PARAM_NUMBERS, .largest = 2},
    {.name = "format", .kind = PARAM_CHOICE, .choices = formats},
    {0},
};

/* Values suit PostgreSQL and a Link header: they have no blank, quote or percent sign. */
static void check_values(const struct params *params) {
    require(*params->error == '\0');
    for (size_t i = 0; rules[i].name; i++) {
        const char *value = params->values[i];
        if (!value)
            continue;
        require(value > params->text && value < params->text + sizeof params->text);
        size_t length = strlen(value);
        require(length > 0 && length <= 2 * (PARAMS_DIGITS_MAX + 1) + 1);
        require(strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-,") == length);
        require(rules[i].kind > PARAM_END_DATE || length == strlen("2024-03-01"));
    }
    require(!params->values[0] || !params->values[1] ||
            strcmp(params->values[0], params->values[1]) <= 0);
}

/* Encoding and decoding the values again gives the same values. */
static void check_encoded(const struct params *params) {
    char query[PARAMS_TEXT_SIZE] = "", *end = query;
    for (size_t i = 0; rules[i].name; i++) {
        if (!params->values[i])
            continue;
        end += sprintf(end, "&%s=", rules[i].name);
        for (const char *byte = params->values[i]; *byte; byte++)
            end += sprintf(end, "%%%02x", (unsigned char)*byte);
    }
    struct params again;
    require(params_parse(&again, query, rules) == STATUS_OK);
    for (size_t i = 0; rules[i].name; i++) {
        require(!params->values[i] == !again.values[i]);
        require(!params->values[i] || strcmp(params->values[i], again.values[i]) == 0);
    }
}

static void check_query(const char *query) {
    struct params params;
    memset(&params, 'x', sizeof params);
    enum status status = params_parse(&params, query, rules);
    if (status == STATUS_OK) {
        check_values(&params);
        check_encoded(&params);
        return;
    }
    require(status == STATUS_BAD_REQUEST);
    require(strnlen(params.error, sizeof params.error) < sizeof params.error);
    require(starts_with(params.error, "query parameter '"));
    require(strstr(params.error, "'; allowed: ") ||
            ends_with(params.error, "; allowed here: from, to, limit, after, format"));
    for (const char *byte = params.error; *byte; byte++)
        require(*byte >= ' ' && *byte < 0x7f);
}

/* No field prefers each of the two types to the other. */
static void check_accept(const char *field) {
    require(!media_type_is_preferred(field, "text/csv", "application/json") ||
            !media_type_is_preferred(field, "application/json", "text/csv"));
}

/* Decodes the bytes, where json.c compares ranges. json-c's own check accepts surrogates, among
 * others. */
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

/* UTF-8 stays as it is. Of anything else, each byte is kept or becomes a question mark. */
static void check_string(const char *bytes, size_t length) {
    struct json_object *object = json_create();
    size_t text_length;
    json_add_string_of(object, "key", bytes, length);
    const char *text = json_text(object, &text_length);
    require(strlen(text) == text_length);

    struct json_tokener *tokener = json_tokener_new();
    require(tokener != NULL);
    /* Not strict: json-c 0.18 would mistake bytes of UTF-8 for control characters. */
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

/* The bytes and the result's buffer are blocks of their own. */
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

/* Replaces fcgi/body.c: keeps the body instead of sending it. */
static char *body;
static size_t body_length;

bool body_write(struct request *request, const char *data, size_t length) {
    (void)request;
    memcpy(body + body_length, data, length);
    body_length += length;
    return true;
}

/* A text in CSV is one field of one line, and no formula. */
static void check_csv(const char *text, size_t length) {
    struct request request = {0};
    struct render render;
    struct row row = {1, {{"a", CELL_TEXT, text, length}}};
    body = malloc(2 * length + 16);
    require(body != NULL);
    body_length = 0;
    require(render_begin(&render, &request, RENDER_CSV, &row) && render_row(&render, &row) &&
            render_end(&render));
    const char *line = body + strlen("a\r\n"), *end = body + body_length - strlen("\r\n");
    require(memcmp(body, "a\r\n", 3) == 0 && memcmp(end, "\r\n", 2) == 0);
    bool quoted = *line == '"';
    size_t quotes = 0;
    for (const char *byte = line; byte < end; byte++) {
        quotes += *byte == '"';
        require(quoted || !strchr("\",\r\n", *byte));
    }
    require(quotes % 2 == 0 && (!quoted || (quotes >= 2 && end[-1] == '"')));
    require(line[quoted] == '\0' || !strchr("=+-@\t\r", line[quoted]));
    free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1); /* texts from the web server and from libpq end with NUL */
    require(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    check_query(text);
    check_accept(text);
    check_csv(text, strlen(text));
    check_string(text, size);
    check_timestamp(text, strlen(text), 64);
    check_timestamp(text, strlen(text), size ? data[0] % 64U + 1 : 1);
    free(text);
    return 0;
}
