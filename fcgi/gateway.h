/* Where requests come from and answers go: FastCGI, or plain CGI (RFC 3875) for one request. */
#ifndef GATEWAY_H
#define GATEWAY_H

#include <stdbool.h>
#include <stddef.h>

struct gateway;
struct header;

/* FastCGI when standard input is a listening socket, else CGI. NULL when the process was started as
 * neither, or memory is short. */
struct gateway *gateway_open(void);
void gateway_release(struct gateway *gateway);

bool gateway_is_cgi(const struct gateway *gateway);

/* Waits for the next request. Returns false when it is time to end: after a stop signal, or after
 * CGI's one request. */
__attribute__((warn_unused_result)) bool gateway_next(struct gateway *gateway);

/* A variable of the request, or NULL where it is missing or empty. It is valid until
 * gateway_close. */
const char *gateway_variable(const struct gateway *gateway, const char *name);

/* Sends the header, which may be NULL, and a part of the body; is_last with the end of the answer.
 * Returns false when nobody takes it. */
__attribute__((warn_unused_result)) bool gateway_send(const struct gateway *gateway,
                                                      const struct header *header, const char *body,
                                                      size_t length, bool is_last);

/* Ends the request. Returns false when what was sent did not go out. */
bool gateway_close(struct gateway *gateway);

#endif
