/* One FastCGI connection at a time (FastCGI Specification 1.0). */
#ifndef FASTCGI_RECORDS_H
#define FASTCGI_RECORDS_H

#include <stdbool.h>
#include <stddef.h>

struct fastcgi;
struct header;

/* NULL when libfcgi cannot be used or memory is short. */
struct fastcgi *fastcgi_create(void);
void fastcgi_release(struct fastcgi *fastcgi);

/* Takes over a connection and reads the request on it to its end. Returns false, with the
 * connection closed, when it does not carry a whole FastCGI request. */
__attribute__((warn_unused_result)) bool fastcgi_read(struct fastcgi *fastcgi, int fd);

/* A parameter of the request, or NULL. It is valid until fastcgi_close. */
const char *fastcgi_parameter(const struct fastcgi *fastcgi, const char *name);

/* Sends the header, which may be NULL, and a part of the body; with is_last, the end of the request
 * too. Returns false when the web server does not take it. */
__attribute__((warn_unused_result)) bool fastcgi_write(const struct fastcgi *fastcgi,
                                                       const struct header *header,
                                                       const char *body, size_t length,
                                                       bool is_last);

/* Closes the connection. Without an end of the request before it, the web server knows that the
 * answer was cut. */
void fastcgi_close(struct fastcgi *fastcgi);

#endif
