/* Paths and methods: 404 and 405, OPTIONS, and the line that the worker logs of every request. */
#include "route.h"

#include "deadline.h"
#include "http.h"
#include "json.h"
#include "log.h"
#include "probe.h"
#include "report.h"

#include <string.h>

struct route {
    const char *path;
    void (*answer)(struct request *request, struct db *db);
};

static const struct route routes[] = {
    {"/health_check", probe_health},
    {"/readiness_check", probe_readiness},
};

static const struct route *find_route(const char *path) {
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (strcmp(routes[i].path, path) == 0)
            return &routes[i];
    }
    return NULL;
}

static void dispatch(struct request *request, struct db *db, long limit_ms) {
    const struct route *route = find_route(request->path);
    const struct report *report = report_find(request->path);
    if (!route && !report)
        http_send_problem(request, STATUS_NOT_FOUND, NULL);
    else if (request->method == HTTP_OPTIONS)
        http_send_options(request);
    else if (request->method == HTTP_OTHER)
        http_send_problem(request, STATUS_METHOD_NOT_ALLOWED, "allowed here: GET, HEAD, OPTIONS");
    else if (route)
        route->answer(request, db);
    else
        report_answer(report, request, db, limit_ms);
}

/* Probes come several times a second; what they find is logged when it changes. */
static enum log_level level_of(const struct request *request) {
    if (find_route(request->path))
        return LOG_DEBUG;
    return status_code(request->status) >= 500 ? LOG_ERROR : LOG_INFO;
}

void route_answer(struct request *request, struct db *db, long limit_ms) {
    int64_t started = clock_milliseconds(CLOCK_MONOTONIC);
    dispatch(request, db, limit_ms);
    struct json_object *line = log_start(level_of(request), "request");
    json_add_string(line, "request_id", request->id);
    json_add_string(line, "method", request->method_name);
    json_add_string(line, "path", request->path);
    json_add_integer(line, "status", status_code(request->status));
    json_add_integer(line, "bytes", (int64_t)request->body_bytes);
    json_add_integer(line, "waited_ms", request->waited_ms);
    json_add_integer(line, "duration_ms", clock_milliseconds(CLOCK_MONOTONIC) - started);
    if (request->reason)
        json_add_string(line, "reason", request->reason);
    log_finish(line);
}
