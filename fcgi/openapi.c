/* The document's frame, and the paths that are not reports. */
#include "openapi.h"

#include "json.h"
#include "openapi_parts.h"
#include "report.h"
#include "route.h"

#include <stdio.h>

enum { PATH_SIZE = 128 };

static const char about[] =
    "Reports on the use of a coworking space. A visit is a used token, dated by its creation; "
    "dates are inclusive. HEAD and OPTIONS are answered wherever GET is, other methods with 405. "
    "A parameter that is unknown, empty, given twice or not allowed is a 400 that names it. A "
    "report's ETag changes with the data: sent back as If-None-Match, it gets a 304 while nothing "
    "has changed.";

/* Relative to the document, which may be behind a proxy that strips a prefix of the path. */
static const char servers[] = "[{\"url\":\".\"}]";

/* nginx checks keys, and a worker does not know whether it does. So a key is optional here. */
static const char security_schemes[] =
    "{\"key\":{\"type\":\"http\",\"scheme\":\"basic\","
    "\"description\":\"The key's name as the user, the key as the password. In a cluster only the "
    "probes answer without a key.\"}}";
static const char security[] = "[{\"key\":[]},{}]";

static const char problem_schema[] =
    "{\"type\":\"object\",\"description\":\"A problem document (RFC 9457)\","
    "\"required\":[\"type\",\"title\",\"status\",\"instance\"],\"properties\":{"
    "\"type\":{\"type\":\"string\"},"
    "\"title\":{\"type\":\"string\"},"
    "\"status\":{\"type\":\"integer\"},"
    "\"detail\":{\"type\":\"string\",\"description\":\"what is wrong and what is allowed\"},"
    "\"instance\":{\"type\":\"string\",\"description\":\"urn:request: and the X-Request-Id\"}}}";

static struct json_object *make_route_path(const struct route *route) {
    static const char *const of_probe[] = {"X-Request-Id", NULL};
    static const char *const of_failure[] = {"X-Request-Id", "Retry-After", NULL};
    static const char *const of_document[] = {"X-Request-Id", "ETag", NULL};
    struct json_object *responses = json_create(), *schema = json_create();
    json_add_text(schema, "schema", route->schema);
    json_add_object(responses, "200",
                    openapi_make_response(route->is_probe ? "Yes" : "The document",
                                          route->is_probe ? of_probe : of_document,
                                          openapi_wrap(route->content_type, schema)));
    if (!route->is_probe)
        json_add_object(responses, "304", openapi_refer("responses", "304"));
    if (route->failure) {
        struct json_object *text = json_create();
        json_add_text(text, "schema", "{\"type\":\"string\"}");
        json_add_string(text, "example", route->failure);
        json_add_object(
            responses, "503",
            openapi_make_response("No", of_failure, openapi_wrap(route->content_type, text)));
    }
    openapi_add_errors(responses, route->is_probe ? EVERYWHERE : WITH_PARAMETERS);
    struct json_object *operation = openapi_make_operation(route->name, route->description);
    json_add_object(operation, "responses", responses);
    if (route->is_probe)
        json_add_object(operation, "security", json_create_array());
    return openapi_wrap("get", operation);
}

static struct json_object *make_schemas(void) {
    struct json_object *schemas = json_create();
    for (const struct report *report = reports; report->name; report++)
        json_add_object(schemas, report->name, openapi_make_row_schema(report->columns));
    json_add_text(schemas, "problem", problem_schema);
    return schemas;
}

static struct json_object *make_paths(void) {
    struct json_object *paths = json_create();
    for (const struct report *report = reports; report->name; report++) {
        char path[PATH_SIZE];
        (void)snprintf(path, sizeof path, REPORT_FOLDER "%s", report->name);
        json_add_object(paths, path, openapi_make_report_path(report));
    }
    for (const struct route *route = routes; route->path; route++)
        json_add_object(paths, route->path, make_route_path(route));
    return paths;
}

struct json_object *openapi_make(void) {
    struct json_object *info = json_create();
    json_add_string(info, "title", "Coworking analytics");
    json_add_string(info, "version", VERSION);
    json_add_string(info, "description", about);
    struct json_object *components = json_create();
    json_add_object(components, "schemas", make_schemas());
    json_add_object(components, "headers", openapi_make_headers());
    json_add_object(components, "responses", openapi_make_responses());
    json_add_text(components, "securitySchemes", security_schemes);
    struct json_object *document = json_create();
    json_add_string(document, "openapi", "3.1.0");
    json_add_object(document, "info", info);
    json_add_text(document, "servers", servers);
    json_add_text(document, "security", security);
    json_add_object(document, "paths", make_paths());
    json_add_object(document, "components", components);
    return document;
}
