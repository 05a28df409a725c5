/* Checks of a variable's text: white space, numbers, lists of hosts and ports, files. */
#ifndef VALUES_H
#define VALUES_H

#include <stdbool.h>
#include <stddef.h>

/* Removes white space from both ends and, in a list, around the commas. Returns whether there was
 * any. */
bool values_trim(char *text, bool is_list);

bool values_has_outer_space(const char *text);

/* Reads a decimal number within the bounds, of digits only. */
__attribute__((warn_unused_result)) bool values_number(const char *text, long low, long high,
                                                       long *value);

/* The index of a word in a list that ends with NULL, or -1. */
long values_choice(const char *const *choices, const char *text);

/* How many items a list with commas has. */
size_t values_count(const char *list);

/* An IP address; an IPv6 one may have a zone (RFC 4007). */
bool values_is_address(const char *text);

/* A host name (RFC 1123, with underscores), or an IPv4 address. */
bool values_is_name(const char *text);

/* A host name or an IPv4 address, a colon and a port. */
bool values_is_endpoint(const char *text);

/* Each item is a host name (RFC 1123, with underscores), an IP address, or a socket's folder. */
bool values_are_hosts(const char *list);

/* Each item is an IP address or, as libpq allows in PGHOSTADDR, empty. */
bool values_are_addresses(const char *list);

/* Each item is a port from 1 to 65535. libpq's own lists may have empty ones. */
bool values_are_ports(const char *list, bool may_be_empty);

/* A file, or a folder, that this user can read now. */
bool values_is_readable_file(const char *path);
bool values_is_readable_folder(const char *path);

/* A private key that libpq accepts: readable only by its owner, or by root's group too. */
bool values_is_private_key(const char *path);

#endif
