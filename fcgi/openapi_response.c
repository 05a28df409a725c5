/* What the answers of all paths have in common: header fields and errors. */
#include "json.h"
#include "openapi_parts.h"
#include "status.h"

#include <stdbool.h>
#include <stdio.h>

/* Header fields of answers. */
static const struct field {
    const char *name, *schema, *description;
} fields[] = {
    {.name = "X-Request-Id",
     .schema = "{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9._-]{1,64}$\"}",
     .description = "The request's own if it is 1 to 64 letters, digits, dots, underscores or "
                    "hyphens; the logs have it too"},
    {.name = "ETag",
     .schema = "{\"type\":\"string\",\"pattern\":\"^(W/)?\\\"[!#-~]+\\\"$\"}",
     .description =
         "Changes with the answer; missing in the rare case that the database is too busy to tell"},
    {.name = "Link",
     .schema = "{\"type\":\"string\",\"pattern\":\"^<[^>]+>; rel=\\\"next\\\"$\"}",
     .description = "The request for the next rows, if there are more; relative to this one"},
    {.name = "Content-Disposition",
     .schema = "{\"type\":\"string\",\"pattern\":\"^attachment; filename=\\\"\"}",
     .description = "A name for the file, with CSV"},
    {.name = "Data-As-Of",
     .schema = "{\"type\":\"string\",\"format\":\"date-time\","
               "\"pattern\":\"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{12}Z$\"}",
     .description = "The report holds all changes up to this time: the time of the request, unless "
                    "a standby that is behind its primary answers"},
    {.name = "Retry-After",
     .schema = "{\"type\":\"integer\"}",
     .description = "Seconds to wait before the next attempt"},
};

/* The errors that are worth describing; their titles stand in status.c. */
static const struct error {
    int code;
    enum openapi_scope scope;
    const char *description;
    const char *detail; /* of the example, where it has one */
} errors[] = {
    {.code = 400,
     .scope = WITH_PARAMETERS,
     .description = "A query parameter is wrong; detail names it",
     .detail = "query parameter 'limit' is '0'; allowed: a whole number from 1 to 500"},
    {.code = 401, .scope = WITH_PARAMETERS, .description = "No key, or a wrong one"},
    {.code = 414, .scope = EVERYWHERE, .description = "The address is over 8 kB"},
    {.code = 429,
     .scope = WITH_PARAMETERS,
     .description = "Too many requests, long answers or wrong keys from one address"},
    {.code = 431, .scope = EVERYWHERE, .description = "The header is over 17 kB"},
    {.code = 500, .scope = EVERYWHERE, .description = "A fault of the service"},
    {.code = 502, .scope = EVERYWHERE, .description = "No worker runs"},
    {.code = 503,
     .scope = WITH_DATABASE,
     .description = "The database, its tables or our rights on them are missing, or no worker was "
                    "free in time"},
    {.code = 504, .scope = EVERYWHERE, .description = "No answer within the time limit"},
};

enum {
    FIELD_COUNT = sizeof fields / sizeof fields[0],
    ERROR_COUNT = sizeof errors / sizeof errors[0],
    CODE_SIZE = 8,
    REFERENCE_SIZE = 128,
};

struct json_object *openapi_wrap(const char *key, struct json_object *member) {
    struct json_object *object = json_create();
    json_add_object(object, key, member);
    return object;
}

struct json_object *openapi_refer(const char *kind, const char *name) {
    char text[REFERENCE_SIZE];
    (void)snprintf(text, sizeof text, "#/components/%s/%s", kind, name);
    struct json_object *object = json_create();
    json_add_string(object, "$ref", text);
    return object;
}

static struct json_object *make_headers(const char *const *names) {
    struct json_object *headers = json_create();
    for (; *names; names++)
        json_add_object(headers, *names, openapi_refer("headers", *names));
    return headers;
}

struct json_object *openapi_make_response(const char *description, const char *const *field_names,
                                          struct json_object *content) {
    struct json_object *response = json_create();
    json_add_string(response, "description", description);
    json_add_object(response, "headers", make_headers(field_names));
    if (content)
        json_add_object(response, "content", content);
    return response;
}

void openapi_add_errors(struct json_object *responses, enum openapi_scope widest) {
    char code[CODE_SIZE];
    for (size_t i = 0; i < ERROR_COUNT; i++) {
        (void)snprintf(code, sizeof code, "%d", errors[i].code);
        if (errors[i].scope <= widest)
            json_add_object(responses, code, openapi_refer("responses", code));
    }
}

struct json_object *openapi_make_operation(const char *name, const char *description) {
    struct json_object *operation = json_create();
    json_add_string(operation, "operationId", name);
    json_add_string(operation, "summary", description);
    return operation;
}

struct json_object *openapi_make_headers(void) {
    struct json_object *headers = json_create();
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        struct json_object *header = json_create();
        json_add_string(header, "description", fields[i].description);
        json_add_text(header, "schema", fields[i].schema);
        json_add_object(headers, fields[i].name, header);
    }
    return headers;
}

static struct json_object *make_error(const struct error *error) {
    static const char *const lasting[] = {"X-Request-Id", NULL};
    static const char *const temporary[] = {"X-Request-Id", "Retry-After", NULL};
    struct json_object *example = json_create();
    json_add_string(example, "type", "about:blank");
    json_add_string(example, "title", status_code_title(error->code));
    json_add_integer(example, "status", error->code);
    if (error->detail)
        json_add_string(example, "detail", error->detail);
    json_add_string(example, "instance", "urn:request:9e32dc1473f4ea9f89b7ffdcc57d8aed");
    struct json_object *document = json_create();
    json_add_object(document, "schema", openapi_refer("schemas", "problem"));
    json_add_object(document, "example", example);
    return openapi_make_response(error->description,
                                 status_code_is_temporary(error->code) ? temporary : lasting,
                                 openapi_wrap("application/problem+json", document));
}

struct json_object *openapi_make_responses(void) {
    static const char *const unchanged[] = {"X-Request-Id", "ETag", "Data-As-Of", NULL};
    struct json_object *responses = json_create();
    json_add_object(
        responses, "304",
        openapi_make_response("Nothing has changed since If-None-Match", unchanged, NULL));
    for (size_t i = 0; i < ERROR_COUNT; i++) {
        char code[CODE_SIZE];
        (void)snprintf(code, sizeof code, "%d", errors[i].code);
        json_add_object(responses, code, make_error(&errors[i]));
    }
    return responses;
}
