/* The file of keys, which nginx reads as its auth_basic_user_file. */
#ifndef KEYS_H
#define KEYS_H

#include <stdbool.h>

/* Whether the file can be read and has at least one key, and each of its lines is one that `make
 * key` writes (NAME:{SSHA}...), a comment (#) or empty. Slower hashes than {SSHA} would let a
 * client keep nginx busy with wrong keys. */
bool keys_are_valid(const char *path);

#endif
