/* A request from CGI's variables (RFC 3875, 4.1) and nginx.conf's own. */
#include "request.h"

#include "deadline.h"
#include "gateway.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

enum {
    METHOD_LENGTH_MAX = 32,
    WAITED_MS_MAX = 3600000, /* beyond this, a request's time of arrival is not believed */
};

static const char *variable_or(const struct request *request, const char *name,
                               const char *otherwise) {
    const char *value = gateway_variable(request->gateway, name);
    return value ? value : otherwise;
}

static enum method parse_method(const char *name) {
    if (strcmp(name, "GET") == 0)
        return METHOD_GET;
    if (strcmp(name, "HEAD") == 0)
        return METHOD_HEAD;
    return strcmp(name, "OPTIONS") == 0 ? METHOD_OPTIONS : METHOD_OTHER;
}

static void read_method(struct request *request) {
    const char *name = variable_or(request, "REQUEST_METHOD", "GET");
    size_t letters = strspn(name, CAPITALS "-");
    request->method_name = letters <= METHOD_LENGTH_MAX && !name[letters] ? name : "?";
    request->method = parse_method(name);
}

/* SCRIPT_NAME and PATH_INFO together are the path (RFC 3875, 4.1.5). Without them, REQUEST_URI up
 * to its query is. */
static void read_path(struct request *request) {
    const char *script = variable_or(request, "SCRIPT_NAME", "");
    const char *info = variable_or(request, "PATH_INFO", "");
    (void)snprintf(request->path, sizeof request->path, "%s%s", script, info);
    if (*request->path)
        return;
    const char *uri = variable_or(request, "REQUEST_URI", "/");
    (void)snprintf(request->path, sizeof request->path, "%.*s", (int)strcspn(uri, "?"), uri);
}

/* The web server's id for the request, or one of our own when that is missing or not fit to log. */
static void read_id(struct request *request) {
    static const char allowed[] = CAPITALS "abcdefghijklmnopqrstuvwxyz0123456789._-";
    const char *id = variable_or(request, "HTTP_X_REQUEST_ID", "");
    size_t length = strlen(id);
    if (length > 0 && length < sizeof request->id && strspn(id, allowed) == length) {
        memcpy(request->id, id, length + 1);
        return;
    }
    uint64_t random = 0;
    (void)!getrandom(&random, sizeof random, 0);
    (void)snprintf(request->id, sizeof request->id, "%016" PRIx64, random);
}

/* nginx sets REQUEST_MSEC ("1700000000.123") when it has read the request: since then the request
 * has waited for a worker. */
static int64_t read_waited(const struct request *request) {
    const char *stamp = gateway_variable(request->gateway, "REQUEST_MSEC");
    if (!stamp)
        return 0;
    double waited = (double)clock_milliseconds(CLOCK_REALTIME) - strtod(stamp, NULL) * 1000;
    return waited > 0 && waited < WAITED_MS_MAX ? (int64_t)waited : 0; /* and 0 for no number */
}

void request_read(struct request *request, const struct gateway *gateway, struct body *body) {
    *request = (struct request){.gateway = gateway, .body = body, .status = STATUS_INTERNAL_ERROR};
    read_method(request);
    read_path(request);
    read_id(request);
    request->query = variable_or(request, "QUERY_STRING", "");
    request->client = gateway_variable(gateway, "CLIENT_ADDRESS");
    request->accept = gateway_variable(gateway, "HTTP_ACCEPT");
    request->if_none_match = gateway_variable(gateway, "HTTP_IF_NONE_MATCH");
    request->takes_chunks =
        strcmp(variable_or(request, "SERVER_PROTOCOL", "HTTP/1.1"), "HTTP/1.0") != 0;
    request->waited_ms = read_waited(request);
}
