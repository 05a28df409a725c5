/* Reads an Accept field range by range. A malformed range counts as far as it can be read. */
#include "media_type.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

enum { WHOLE = 1000 }; /* a quality has three decimals */

/* The quality among a range's parameters, in thousandths. */
static int read_quality(const char *parameters, size_t length) {
    const char *end = parameters + length;
    for (const char *at = parameters; at < end; at++) {
        if (*at != ';')
            continue;
        at++;
        while (at < end && (*at == ' ' || *at == '\t'))
            at++;
        if (end - at < 3 || tolower((unsigned char)at[0]) != 'q' || at[1] != '=')
            continue;
        if (at[2] != '0')
            return WHOLE;
        int quality = 0, scale = WHOLE;
        for (at += at + 3 < end && at[3] == '.' ? 4 : 3;
             at < end && isdigit((unsigned char)*at) && scale > 1; at++) {
            scale /= 10;
            quality += (*at - '0') * scale;
        }
        return quality;
    }
    return WHOLE;
}

/* How specifically a range names a type, up to 3; 0 when it does not name it. */
static int match(const char *range, size_t length, const char *type) {
    size_t whole = strlen(type), group = strcspn(type, "/") + 1;
    if (length == whole && strncasecmp(range, type, whole) == 0)
        return 3;
    if (length == group + 1 && strncasecmp(range, type, group) == 0 && range[group] == '*')
        return 2;
    return length == 3 && memcmp(range, "*/*", 3) == 0 ? 1 : 0;
}

/* The quality of the range that names the type most specifically. */
static int rate(const char *accept, const char *type) {
    int quality = 0, closest = 0;
    for (const char *range = accept; *range; range += *range == ',') {
        range += strspn(range, " \t");
        size_t length = strcspn(range, ",");
        size_t name_length = strcspn(range, ",; \t");
        int closeness = match(range, name_length, type);
        if (closeness > closest) {
            closest = closeness;
            quality = read_quality(range + name_length, length - name_length);
        }
        range += length;
    }
    return quality;
}

bool media_type_is_preferred(const char *accept, const char *type, const char *other) {
    return accept && rate(accept, type) > rate(accept, other);
}
