/* Chooses between FastCGI and CGI once, so that nothing above it has to. */
#include "gateway.h"

#include "fastcgi_records.h"
#include "header.h"
#include "listener.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>

struct gateway {
    struct fastcgi *fastcgi; /* NULL for CGI */
    bool cgi_is_done;
};

static struct gateway *create(struct fastcgi *fastcgi) {
    struct gateway *gateway = calloc(1, sizeof *gateway);
    if (gateway)
        gateway->fastcgi = fastcgi;
    return gateway;
}

struct gateway *gateway_open(void) {
    if (!listener_exists())
        return getenv("REQUEST_METHOD") ? create(NULL) : NULL;
    struct fastcgi *fastcgi = fastcgi_create();
    struct gateway *gateway = fastcgi ? create(fastcgi) : NULL;
    if (gateway)
        listener_open();
    else
        fastcgi_release(fastcgi);
    return gateway;
}

void gateway_release(struct gateway *gateway) {
    if (gateway)
        fastcgi_release(gateway->fastcgi);
    free(gateway);
}

bool gateway_is_cgi(const struct gateway *gateway) {
    return !gateway->fastcgi;
}

static bool next_cgi(struct gateway *gateway) {
    bool is_first = !gateway->cgi_is_done;
    gateway->cgi_is_done = true;
    return is_first;
}

bool gateway_next(struct gateway *gateway) {
    if (gateway_is_cgi(gateway))
        return next_cgi(gateway);
    for (;;) {
        int fd = listener_accept();
        if (fd < 0)
            return false;
        if (fastcgi_read(gateway->fastcgi, fd))
            return true;
        log_text(LOG_WARNING, "malformed_request", "a connection did not speak FastCGI");
    }
}

const char *gateway_variable(const struct gateway *gateway, const char *name) {
    const char *value =
        gateway_is_cgi(gateway) ? getenv(name) : fastcgi_parameter(gateway->fastcgi, name);
    return value && *value ? value : NULL;
}

static bool print(const char *text, size_t length) {
    return fwrite(text, 1, length, stdout) == length;
}

bool gateway_send(const struct gateway *gateway, const struct header *header, const char *body,
                  size_t length, bool is_last) {
    if (!gateway_is_cgi(gateway))
        return fastcgi_write(gateway->fastcgi, header, body, length, is_last);
    return (!header || print(header->text, header->length)) && print(body, length);
}

bool gateway_close(struct gateway *gateway) {
    if (gateway_is_cgi(gateway))
        return fflush(stdout) == 0;
    fastcgi_close(gateway->fastcgi);
    return true;
}
