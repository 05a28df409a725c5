/* Turns SERVER_NAMES into lines of nginx's configuration: the image has no shell to do it. */
#include "server_names.h"

#include "log.h"
#include "values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define FILE_NAME  "run/server_names.conf"
#define SEPARATORS " \t\r\n,"

enum { NAME_SIZE = sizeof "*." + 253 }; /* the longest host name, RFC 1035, 2.3.4 */

/* The next name of the list and its length, or NULL at the end. */
static const char *next_name(const char *list, size_t *length) {
    list += strspn(list, SEPARATORS);
    *length = strcspn(list, SEPARATORS);
    return *length > 0 ? list : NULL;
}

/* A host name, also one for all names below it, or an address in brackets. */
static bool is_name(const char *name, size_t length) {
    char text[NAME_SIZE];
    if (length >= sizeof text)
        return false;
    memcpy(text, name, length);
    text[length] = '\0';
    if (text[0] == '[' && text[length - 1] == ']') {
        text[length - 1] = '\0';
        return values_is_address(text + 1);
    }
    return text[length - 1] != '.' && values_is_name(strncmp(text, "*.", 2) == 0 ? text + 2 : text);
}

bool server_names_are_valid(const char *list) {
    size_t length;
    for (const char *name = list; (name = next_name(name, &length)); name += length) {
        if (!is_name(name, length))
            return false;
    }
    return true;
}

/* Whether the name is in the list before its own place. nginx refuses a name that is there twice.
 */
static bool is_repeated(const char *list, const char *name, size_t length) {
    size_t other_length;
    const char *other = next_name(list, &other_length);
    while (other != name && (other_length != length || strncasecmp(other, name, length) != 0))
        other = next_name(other + other_length, &other_length);
    return other != name;
}

/* The backslash keeps nginx from taking a name for one of its own words, such as "default". */
static bool write_names(FILE *file, const char *list) {
    size_t length;
    bool written = fputs("default other;\n", file) >= 0;
    for (const char *name = list; (name = next_name(name, &length)); name += length) {
        if (!is_repeated(list, name, length))
            written = written && fprintf(file, "\\\\%.*s served;\n", (int)length, name) > 0;
    }
    return fclose(file) == 0 && written;
}

static int fail(void) {
    char detail[128];
    (void)snprintf(detail, sizeof detail, "%s cannot be written: %s", FILE_NAME, strerror(errno));
    log_text(LOG_ERROR, "server_names", detail);
    return EXIT_FAILURE;
}

int server_names_write(const char *list) {
    size_t length;
    if (!list || !next_name(list, &length))
        return unlink(FILE_NAME) == 0 || errno == ENOENT ? EXIT_SUCCESS : fail();
    FILE *file = fopen(FILE_NAME, "we");
    return file && write_names(file, list) ? EXIT_SUCCESS : fail();
}
