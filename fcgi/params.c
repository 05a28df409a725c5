/* Splits a query string in one pass, then checks the values. An error names the parameter. */
#include "params.h"

#include "text.h"
#include "values.h"

#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
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

/* Adds a word to a list with commas, as far as there is room. */
static void append_word(char *out, size_t size, const char *word) {
    text_append(out, size, "%s%s", *out ? ", " : "", word);
}

static void list_names(const struct param_rule *rules, char *out, size_t size) {
    *out = '\0';
    for (; rules->name; rules++)
        append_word(out, size, rules->name);
    if (!*out)
        append_word(out, size, "no parameters");
}

/* The start of what a client sent, with question marks for what should not be printed. */
static void make_safe(const char *text, size_t length, char safe[SHOWN_MAX + 1]) {
    if (length > SHOWN_MAX)
        length = SHOWN_MAX;
    for (size_t i = 0; i < length; i++) {
        bool printable = text[i] > ' ' && text[i] < 0x7f && text[i] != '"';
        safe[i] = '?';
        if (printable)
            safe[i] = text[i];
    }
    safe[length] = '\0';
}

static enum status refuse_name(struct params *params, const char *what, const char *name,
                               size_t length, const struct param_rule *rules) {
    char names[PARAMS_ERROR_SIZE - 128], safe[SHOWN_MAX + 1];
    make_safe(name, length, safe);
    list_names(rules, names, sizeof names);
    (void)snprintf(params->error, sizeof params->error, "query parameter '%s' %s; allowed here: %s",
                   safe, what, names);
    return STATUS_BAD_REQUEST;
}

enum status params_refuse(struct params *params, const struct param_rule *rule, const char *value,
                          const char *allowed) {
    char safe[SHOWN_MAX + 1];
    make_safe(value, strlen(value), safe);
    (void)snprintf(params->error, sizeof params->error, "query parameter '%s' is '%s'; allowed: %s",
                   rule->name, safe, allowed);
    return STATUS_BAD_REQUEST;
}

/* What a rule allows, in words. */
static void describe(const struct param_rule *rule, char *out, size_t size) {
    *out = '\0';
    switch (rule->kind) {
    case PARAM_DATE:
    case PARAM_END_DATE:
        append_word(out, size, "a day of the calendar as YYYY-MM-DD");
        append_word(out, size, "0001-01-01 to 9999-12-31");
        break;
    case PARAM_INTEGER:
        (void)snprintf(out, size, "a whole number from 1 to %ld", rule->largest);
        break;
    case PARAM_CHOICE:
        for (const char *const *choice = rule->choices; *choice; choice++)
            append_word(out, size, *choice);
        break;
    case PARAM_NUMBERS:
        (void)snprintf(out, size,
                       "at most %ld whole numbers of at most %d digits, with a comma between them",
                       rule->largest, PARAMS_DIGITS_MAX);
        break;
    }
}

size_t params_find(const struct param_rule *rules, const char *name) {
    size_t i = 0;
    while (rules[i].name && strcmp(rules[i].name, name) != 0)
        i++;
    return i;
}

/* One "name=value" or bare "name"; used counts the bytes of params->text that are taken. */
static enum status parse_item(struct params *params, const char *item, size_t length,
                              const struct param_rule *rules, size_t *used) {
    const char *equals = memchr(item, '=', length);
    size_t name_length = equals ? (size_t)(equals - item) : length;
    size_t value_length = equals ? length - name_length - 1 : 0;
    if (length + 2 > sizeof params->text - *used)
        return refuse_name(params, "makes the query too long", item, name_length, rules);
    char *name = params->text + *used;
    char *value = name + name_length + 1;
    if (!decode(item, name_length, name))
        return refuse_name(params, "is not properly percent-encoded", item, name_length, rules);
    size_t index = params_find(rules, name);
    if (!rules[index].name)
        return refuse_name(params, "is unknown", name, strlen(name), rules);
    if (!decode(item + length - value_length, value_length, value))
        return refuse_name(params, "has a value that is not properly percent-encoded", name,
                           strlen(name), rules);
    assert(index < PARAMS_MAX);
    if (params->values[index])
        return refuse_name(params, "is given twice", name, strlen(name), rules);
    params->values[index] = value;
    *used += length + 2;
    return STATUS_OK;
}

static enum status split(struct params *params, const char *query, const struct param_rule *rules) {
    size_t used = 0;
    for (const char *item = query; *item; item += strspn(item, "&")) {
        size_t length = strcspn(item, "&");
        if (length > 0) {
            enum status status = parse_item(params, item, length, rules, &used);
            if (status != STATUS_OK)
                return status;
        }
        item += length;
    }
    return STATUS_OK;
}

static bool is_date(const char *text) {
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    static const char form[] = "9999-99-99";
    for (size_t i = 0; i < sizeof form; i++) {
        if (form[i] == '9' ? !isdigit((unsigned char)text[i]) : text[i] != form[i])
            return false;
    }
    int year = (int)strtol(text, NULL, 10);
    int month = (int)strtol(text + 5, NULL, 10);
    int day = (int)strtol(text + 8, NULL, 10);
    if (year < 1 || month < 1 || month > 12)
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day >= 1 && day <= lengths[month - 1] + (month == 2 && leap ? 1 : 0);
}

static size_t count_digits(const char *text) {
    return strspn(text, "0123456789");
}

static bool is_integer(const char *text, long largest) {
    size_t digits = count_digits(text);
    if (digits == 0 || digits > PARAMS_DIGITS_MAX || text[digits])
        return false;
    long number = strtol(text, NULL, 10);
    return number >= 1 && number <= largest;
}

static bool are_numbers(const char *text, long most) {
    for (; most > 0; most--, text++) {
        text += *text == '-';
        size_t digits = count_digits(text);
        text += digits;
        if (digits == 0 || digits > PARAMS_DIGITS_MAX || (*text && *text != ','))
            return false;
        if (!*text)
            return true;
    }
    return false;
}

static bool is_valid(const struct param_rule *rule, const char *value) {
    switch (rule->kind) {
    case PARAM_DATE:
    case PARAM_END_DATE:
        return is_date(value);
    case PARAM_INTEGER:
        return is_integer(value, rule->largest);
    case PARAM_CHOICE:
        return values_choice(rule->choices, value) >= 0;
    case PARAM_NUMBERS:
        return are_numbers(value, rule->largest);
    }
    return false;
}

static enum status check(struct params *params, const struct param_rule *rules, size_t index) {
    const struct param_rule *rule = &rules[index];
    const char *value = params->values[index];
    char allowed[PARAMS_ERROR_SIZE / 2];
    if (!value)
        return STATUS_OK;
    if (!is_valid(rule, value)) {
        describe(rule, allowed, sizeof allowed);
        return params_refuse(params, rule, value, allowed);
    }
    const char *start = rule->kind == PARAM_END_DATE ? params->values[index - 1] : NULL;
    if (start && strcmp(start, value) > 0) { /* such dates compare as texts do */
        (void)snprintf(allowed, sizeof allowed, "no day after '%s', which is %s", rule->name,
                       value);
        return params_refuse(params, rule - 1, start, allowed);
    }
    return STATUS_OK;
}

const char *params_value(const struct params *params, const struct param_rule *rules,
                         size_t index) {
    if (!rules[index].name)
        return NULL;
    const char *sent = params->values[index];
    return !sent && rules[index].kind == PARAM_CHOICE ? rules[index].choices[0] : sent;
}

enum status params_parse(struct params *params, const char *query, const struct param_rule *rules) {
    memset((void *)params->values, 0, sizeof params->values);
    params->error[0] = '\0';
    enum status status = split(params, query, rules);
    for (size_t i = 0; rules[i].name && status == STATUS_OK; i++)
        status = check(params, rules, i);
    return status;
}
