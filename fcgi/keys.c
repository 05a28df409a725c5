/* Only the form of each line is checked: nginx alone compares keys. */
#include "keys.h"

#include <stdio.h>
#include <string.h>

enum {
    LINE_SIZE = 256,
    NAME_LENGTH = 64,
    HASH_LENGTH = 28, /* in base64: the 20 bytes of SHA-1, and at least one of salt */
};

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const char scheme[] = ":{SSHA}";

static size_t count(const char *text, const char *others) {
    size_t length = 0;
    while (text[length] && (strchr(letters, text[length]) || strchr(others, text[length])))
        length++;
    return length;
}

static bool is_key(const char *line) {
    size_t length = count(line, "0123456789._@-");
    if (length == 0 || length > NAME_LENGTH || strncmp(line + length, scheme, strlen(scheme)) != 0)
        return false;
    const char *hash = line + length + strlen(scheme);
    length = count(hash, "0123456789+/=");
    return length >= HASH_LENGTH && strspn(hash + length, "\r\n") == strlen(hash + length);
}

bool keys_are_valid(const char *path) {
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    char line[LINE_SIZE];
    size_t keys = 0;
    bool are_valid = true;
    while (are_valid && fgets(line, sizeof line, file)) {
        bool is_empty = *line == '#' || *line == '\n' || *line == '\r';
        are_valid = is_empty || is_key(line);
        keys += !is_empty;
    }
    are_valid = are_valid && !ferror(file) && keys > 0;
    (void)fclose(file);
    return are_valid;
}
