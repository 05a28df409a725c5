/* SERVER_NAMES: the host names that nginx serves, read from the environment and written as an nginx
 * map. */
#ifndef SERVER_NAMES_H
#define SERVER_NAMES_H

#include <stdbool.h>

/* Whether these are host names (RFC 1123, 2.1, with underscores) or IP addresses (IPv6 in brackets,
 * as in a URL), separated by blanks or commas. "*." in front of a name stands for all names below
 * it. */
bool server_names_are_valid(const char *list);

/* Writes run/server_names.conf below the working directory, which nginx.conf includes in a map;
 * removes it when the list is NULL or names nothing, so that any name is served. Returns an exit
 * status, and logs what went wrong. */
int server_names_write(const char *list);

#endif
