/* Checks of texts. Nothing here knows which variable a text belongs to. */
#include "values.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HOST_SIZE = 254,   /* the longest name has 253 characters (RFC 1035) */
    ADDRESS_SIZE = 64, /* with the zone, which is a network interface */
    LABEL_MAX = 63,
    DIGITS_MAX = 9,
    PORT_MAX = 65535,
};

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

static const char space[] = " \t\r\n\v\f";

bool values_has_outer_space(const char *text) {
    size_t length = strlen(text);
    return length > 0 && (strchr(space, text[0]) || strchr(space, text[length - 1]));
}

/* Moves an item to the end of the trimmed text, without the white space around it. */
static char *move_item(char *target, const char *item, size_t length) {
    size_t start = strspn(item, space);
    start = start < length ? start : length;
    while (length > start && strchr(space, item[length - 1]))
        length--;
    memmove(target, item + start, length - start);
    return target + (length - start);
}

bool values_trim(char *text, bool is_list) {
    const size_t before = strlen(text);
    const char *item = text;
    char *target = text;
    for (;;) {
        size_t length = strcspn(item, is_list ? "," : "");
        char end = item[length];
        target = move_item(target, item, length);
        *target = end;
        if (end == '\0')
            break;
        target++;
        item += length + 1;
    }
    return strlen(text) != before;
}

bool values_number(const char *text, long low, long high, long *value) {
    size_t length = strlen(text);
    if (length == 0 || length > DIGITS_MAX || strspn(text, "0123456789") < length)
        return false;
    *value = strtol(text, NULL, 10);
    return *value >= low && *value <= high;
}

long values_choice(const char *const *choices, const char *text) {
    for (long place = 0; choices[place]; place++) {
        if (strcmp(text, choices[place]) == 0)
            return place;
    }
    return -1;
}

size_t values_count(const char *list) {
    size_t count = 1;
    for (; *list; list++)
        count += *list == ',';
    return count;
}

bool values_is_address(const char *text) {
    struct in6_addr address;
    char plain[ADDRESS_SIZE];
    size_t length = strcspn(text, "%"); /* a zone follows (RFC 4007) */
    if (strlen(text) >= sizeof plain || strcmp(text + length, "%") == 0)
        return false;
    memcpy(plain, text, length);
    plain[length] = '\0';
    return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, plain, &address) == 1;
}

bool values_is_name(const char *text) {
    struct in_addr address;
    if (strspn(text, "0123456789.") == strlen(text)) /* no top-level domain is a number */
        return inet_aton(text, &address) != 0;
    for (const char *label = text; *label;) {
        size_t length = strspn(label, NAME_CHARACTERS);
        if (length == 0 || length > LABEL_MAX || (label[length] && label[length] != '.'))
            return false;
        label += length + (label[length] == '.');
    }
    return true;
}

static bool is_host(const char *text) {
    if (*text == '/' || *text == '@') /* the folder of a socket, or an abstract one */
        return true;
    return *text != '\0' && (values_is_address(text) || values_is_name(text));
}

static bool is_address_or_empty(const char *text) {
    return *text == '\0' || values_is_address(text);
}

static bool is_port(const char *text) {
    long port;
    return values_number(text, 1, PORT_MAX, &port);
}

bool values_is_endpoint(const char *text) {
    char host[HOST_SIZE];
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : sizeof host;
    if (length >= sizeof host)
        return false;
    memcpy(host, text, length);
    host[length] = '\0';
    return values_is_name(host) && is_port(colon + 1);
}

static bool is_port_or_empty(const char *text) {
    return *text == '\0' || is_port(text);
}

static bool are_all(const char *list, bool (*is_valid)(const char *item)) {
    for (const char *item = list;; item++) {
        char text[HOST_SIZE];
        size_t length = strcspn(item, ",");
        if (length >= sizeof text)
            return false;
        memcpy(text, item, length);
        text[length] = '\0';
        if (!is_valid(text))
            return false;
        item += length;
        if (*item == '\0')
            return true;
    }
}

bool values_are_hosts(const char *list) {
    return are_all(list, is_host);
}

bool values_are_addresses(const char *list) {
    return are_all(list, is_address_or_empty);
}

bool values_are_ports(const char *list, bool may_be_empty) {
    return are_all(list, may_be_empty ? is_port_or_empty : is_port);
}

bool values_is_readable_file(const char *path) {
    struct stat file;
    return stat(path, &file) == 0 && !S_ISDIR(file.st_mode) && access(path, R_OK) == 0;
}

bool values_is_readable_folder(const char *path) {
    struct stat file;
    return stat(path, &file) == 0 && S_ISDIR(file.st_mode) && access(path, R_OK | X_OK) == 0;
}

bool values_is_private_key(const char *path) {
    struct stat file;
    if (stat(path, &file) != 0 || !S_ISREG(file.st_mode) || access(path, R_OK) != 0)
        return false;
    mode_t forbidden = file.st_uid == 0 ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO;
    return (file.st_mode & forbidden) == 0;
}
