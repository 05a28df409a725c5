/* One request, and what becomes of it. */
#ifndef REQUEST_H
#define REQUEST_H

#include "status.h"

#include <stdbool.h>
#include <stdint.h>

enum { REQUEST_ID_SIZE = 64 + 1 };

enum method { METHOD_GET, METHOD_HEAD, METHOD_OPTIONS, METHOD_OTHER };

struct body;
struct gateway;

/* Texts live as long as the request. */
struct request {
    const struct gateway *gateway; /* where it came from */
    struct body *body;             /* of its answer */

    const char *method_name; /* "?" for what cannot be a method's name */
    enum method method;
    char path[256];            /* cut off where longer: no route is that long */
    const char *query;         /* as sent, without "?" */
    const char *accept;        /* NULL when the client sent none */
    const char *if_none_match; /* NULL when the client sent none */
    char id[REQUEST_ID_SIZE];
    const char *client; /* its address; NULL for a client without limits */
    bool takes_chunks;  /* the client understands a body without a length: not in HTTP/1.0 */
    int64_t waited_ms;  /* from its arrival at nginx until a worker took it */

    const char *reason; /* what went wrong, for the log only; NULL when nothing did */
    enum status status; /* of the answer */
    uint64_t body_bytes;
};

/* Reads a request from its variables. The answer's body is the caller's. */
void request_read(struct request *request, const struct gateway *gateway, struct body *body);

#endif
