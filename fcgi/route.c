/* Finds what answers a request, and logs a line for each. */
#include "route.h"

#include "deadline.h"
#include "describe.h"
#include "json.h"
#include "log.h"
#include "probe.h"
#include "reply.h"
#include "report.h"
#include "request.h"

#include <string.h>

const struct route routes[] = {
    {.path = "/health_check",
     .name = "health_check",
     .description = "Whether this process can serve; asks no database",
     .content_type = "text/plain",
     .schema = "{\"const\":\"ok\"}",
     .is_probe = true,
     .answer = probe_health},
    {.path = "/readiness_check",
     .name = "readiness_check",
     .description = "Whether the database answers and has its tables",
     .content_type = "text/plain",
     .schema = "{\"const\":\"ok\"}",
     .failure = "failed",
     .is_probe = true,
     .answer = probe_readiness},
    {.path = REPORT_FOLDER,
     .name = "reports",
     .description = "The reports",
     .content_type = "application/json",
     .schema = "{\"type\":\"array\",\"items\":{\"type\":\"object\","
               "\"required\":[\"name\",\"path\",\"description\",\"parameters\"],"
               "\"additionalProperties\":{\"type\":\"string\"}}}",
     .answer = describe_reports},
    {.path = "/openapi.json",
     .name = "openapi",
     .description = "This description",
     .content_type = "application/json",
     .schema = "{\"type\":\"object\",\"required\":[\"openapi\",\"info\",\"paths\"]}",
     .answer = describe_service},
    {0},
};

static const struct route *find_route(const char *path) {
    for (const struct route *route = routes; route->path; route++) {
        if (strcmp(route->path, path) == 0)
            return route;
    }
    return NULL;
}

static void dispatch(const struct route *route, struct request *request, struct db *db,
                     long limit_ms) {
    const struct report *report = route ? NULL : report_find(request->path);
    if (!route && !report)
        reply_problem(request, STATUS_NOT_FOUND, NULL);
    else if (request->method == METHOD_OPTIONS)
        reply_options(request);
    else if (request->method == METHOD_OTHER)
        reply_problem(request, STATUS_METHOD_NOT_ALLOWED, "allowed here: GET, HEAD, OPTIONS");
    else if (route)
        route->answer(request, db);
    else
        report_answer(report, request, db, limit_ms);
}

/* Probes come several times a second: probe.c logs when their result changes. */
static enum log_level level_of(const struct route *route, const struct request *request) {
    if (route && route->is_probe)
        return LOG_DEBUG;
    return status_code(request->status) >= 500 ? LOG_ERROR : LOG_INFO;
}

void route_answer(struct request *request, struct db *db, long limit_ms) {
    int64_t started = clock_milliseconds(CLOCK_MONOTONIC);
    const struct route *route = find_route(request->path);
    dispatch(route, request, db, limit_ms);
    struct json_object *line = log_start(level_of(route, request), "request");
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
