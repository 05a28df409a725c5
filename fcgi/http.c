/* Owns what outlives a request: the gateway it comes through and the buffer of its answer. */
#include "http.h"

#include "body.h"
#include "gateway.h"
#include "request.h"

#include <stdlib.h>

struct http {
    struct gateway *gateway;
    struct body *body;
    struct request request;
};

struct http *http_open(void) {
    struct http *http = calloc(1, sizeof *http);
    if (!http)
        return NULL;
    http->gateway = gateway_open();
    http->body = body_create();
    if (http->gateway && http->body)
        return http;
    http_close(http);
    return NULL;
}

void http_close(struct http *http) {
    gateway_release(http->gateway);
    body_release(http->body);
    free(http);
}

bool http_is_cgi(const struct http *http) {
    return gateway_is_cgi(http->gateway);
}

struct request *http_next(struct http *http) {
    if (!gateway_next(http->gateway))
        return NULL;
    body_reset(http->body);
    request_read(&http->request, http->gateway, http->body);
    return &http->request;
}

bool http_finish(struct http *http) {
    return gateway_close(http->gateway) && body_is_sent(http->body);
}
