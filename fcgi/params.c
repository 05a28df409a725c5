/* Splits a query string in one pass; anything that is not allowed is refused by name. */
#include "params.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_MAX = 40 }; /* how much of a parameter an error repeats */

static int hex_digit(char character) {
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = character ? strchr(digits, character) : NULL;
    return found ? (int)(found - digits) % 16 : -1;
}

/* Decodes into out, which has room for length bytes and a NUL. False for a "%" without two hex
 * digits, and for a NUL byte, which would hide what follows it. */
static bool decode(const char *text, size_t length, char *out) {
    for (size_t i = 0; i < length; i++) {
        char character = text[i] == '+' ? ' ' : text[i];
        if (character == '%') {
            int high = i + 1 < length ? hex_digit(text[i + 1]) : -1;
            int low = i + 2 < length ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0 || high + low == 0)
                return false;
            character = (char)(high * 16 + low);
            i += 2;
        }
        *out++ = character;
    }
    *out = '\0';
    return true;
}

/* "nothing", or the allowed names with commas. */
static void list_allowed(const char *const *allowed, char *out, size_t size) {
    size_t length = (size_t)snprintf(out, size, "%s", *allowed ? *allowed : "no parameters");
    for (size_t i = 1; *allowed && allowed[i] && length < size; i++)
        length += (size_t)snprintf(out + length, size - length, ", %s", allowed[i]);
}

static enum status refuse(struct params *params, const char *what, const char *shown,
                          size_t shown_length, const char *const *allowed) {
    char names[PARAMS_ERROR_SIZE - 128], safe[SHOWN_MAX + 1];
    size_t length = shown_length < SHOWN_MAX ? shown_length : SHOWN_MAX;
    for (size_t i = 0; i < length; i++) {
        bool printable = shown[i] > ' ' && shown[i] < 0x7f && shown[i] != '"';
        safe[i] = '?';
        if (printable)
            safe[i] = shown[i];
    }
    safe[length] = '\0';
    list_allowed(allowed, names, sizeof names);
    (void)snprintf(params->error, sizeof params->error, "query parameter '%s' %s; allowed here: %s",
                   safe, what, names);
    return STATUS_BAD_REQUEST;
}

static bool is_allowed(const char *name, const char *const *allowed) {
    while (*allowed && strcmp(*allowed, name) != 0)
        allowed++;
    return *allowed != NULL;
}

static bool is_known(const struct params *params, const char *name) {
    size_t i = 0;
    while (i < params->count && strcmp(params->items[i].name, name) != 0)
        i++;
    return i < params->count;
}

/* One "name=value" or bare "name"; used counts the bytes of params->text that are taken. */
static enum status parse_item(struct params *params, const char *item, size_t length,
                              const char *const *allowed, size_t *used) {
    const char *equals = memchr(item, '=', length);
    size_t name_length = equals ? (size_t)(equals - item) : length;
    size_t value_length = equals ? length - name_length - 1 : 0;
    if (length + 2 > sizeof params->text - *used || params->count == PARAMS_MAX)
        return refuse(params, "makes the query too long", item, name_length, allowed);
    char *name = params->text + *used;
    char *value = name + name_length + 1;
    if (!decode(item, name_length, name))
        return refuse(params, "is not properly percent-encoded", item, name_length, allowed);
    if (!is_allowed(name, allowed))
        return refuse(params, "is unknown", name, strlen(name), allowed);
    if (!decode(item + length - value_length, value_length, value))
        return refuse(params, "has a value that is not properly percent-encoded", name,
                      strlen(name), allowed);
    if (is_known(params, name))
        return refuse(params, "is given twice", name, strlen(name), allowed);
    params->items[params->count].name = name;
    params->items[params->count].value = value;
    params->count++;
    *used += length + 2;
    return STATUS_OK;
}

enum status params_parse(struct params *params, const char *query, const char *const *allowed) {
    size_t used = 0;
    params->count = 0;
    params->error[0] = '\0';
    for (const char *item = query; *item; item += strspn(item, "&")) {
        size_t length = strcspn(item, "&");
        if (length > 0) {
            enum status status = parse_item(params, item, length, allowed, &used);
            if (status != STATUS_OK)
                return status;
        }
        item += length;
    }
    return STATUS_OK;
}
