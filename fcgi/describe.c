/* The description is made of the rows that answer requests: reports[], their parameters and
 * columns, and routes[]. It is made once, when it is first asked for. */
#include "describe.h"

#include "http.h"
#include "json.h"
#include "params.h"
#include "report.h"
#include "route.h"
#include "status.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char about[] =
    "Reports on the use of a coworking space. A visit is a used token, dated by its creation; "
    "dates "
    "are inclusive. HEAD and OPTIONS are answered wherever GET is, other methods with 405. A "
    "parameter that is unknown, empty, given twice or not allowed is a 400 that names it. A "
    "report's "
    "ETag changes with the data: sent back as If-None-Match, it gets a 304 while nothing has "
    "changed.";

/* Fields of answers. */
static const struct field {
    const char *name, *schema, *description;
} fields[] = {
    {"X-Request-Id", "{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9._-]{1,64}$\"}",
     "The request's own, where it is 1 to 64 letters, digits, dots, underscores or hyphens; the "
     "logs "
     "carry it too"},
    {"ETag", "{\"type\":\"string\",\"pattern\":\"^(W/)?\\\"[!#-~]+\\\"$\"}",
     "Changes with the answer; missing in the rare case that the database is too busy to tell"},
    {"Link", "{\"type\":\"string\",\"pattern\":\"^<[^>]+>; rel=\\\"next\\\"$\"}",
     "The request for the rows that follow, where there are any"},
    {"Content-Disposition", "{\"type\":\"string\",\"pattern\":\"^attachment; filename=\\\"\"}",
     "A name for the file, with CSV"},
    {"Data-As-Of",
     "{\"type\":\"string\",\"format\":\"date-time\","
     "\"pattern\":\"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{12}Z$\"}",
     "When the last change was that the report can hold: the time of asking, unless a standby that "
     "is behind its primary answers"},
    {"Retry-After", "{\"type\":\"integer\"}", "Seconds to wait before the next attempt"},
};

/* Errors, and where they can be met. */
enum scope { EVERYWHERE, WITH_PARAMETERS, WITH_DATABASE };

static const struct error {
    int code;
    const char *title;
    enum scope scope;
    bool is_temporary;
    const char *description;
    const char *detail; /* an example's */
} errors[] = {
    {400, "Bad Request", WITH_PARAMETERS, false, "A query parameter is wrong; detail names it",
     "query parameter 'limit' is '0'; allowed: a whole number from 1 to 500"},
    {414, "URI Too Long", EVERYWHERE, false, "The address is over 8 kB", NULL},
    {431, "Request Header Fields Too Large", EVERYWHERE, false, "The header is over 32 kB", NULL},
    {500, "Internal Server Error", EVERYWHERE, false, "A fault of the service", NULL},
    {502, "Bad Gateway", EVERYWHERE, true, "No worker runs", NULL},
    {503, "Service Unavailable", WITH_DATABASE, true,
     "The database, its tables or our rights on them are missing, or no worker was free in time",
     NULL},
    {504, "Gateway Timeout", EVERYWHERE, true, "No answer within the time limit", NULL},
};

enum {
    FIELD_COUNT = sizeof fields / sizeof fields[0],
    ERROR_COUNT = sizeof errors / sizeof errors[0],
    CODE_SIZE = 8,
    PATH_SIZE = 128,
};

static const char problem_schema[] =
    "{\"type\":\"object\",\"description\":\"A problem document (RFC 9457)\","
    "\"required\":[\"type\",\"title\",\"status\",\"instance\"],\"properties\":{"
    "\"type\":{\"type\":\"string\"},"
    "\"title\":{\"type\":\"string\"},"
    "\"status\":{\"type\":\"integer\"},"
    "\"detail\":{\"type\":\"string\",\"description\":\"what is wrong and what is allowed\"},"
    "\"instance\":{\"type\":\"string\",\"description\":\"urn:request: and the X-Request-Id\"}}}";

/* A member that is an object of one member, and so on inwards, is what most of this is made of. */
static struct json_object *wrap(const char *key, struct json_object *member) {
    struct json_object *object = json_create();
    json_add_object(object, key, member);
    return object;
}

static struct json_object *refer(const char *kind, const char *name) {
    char text[PATH_SIZE];
    (void)snprintf(text, sizeof text, "#/components/%s/%s", kind, name);
    struct json_object *object = json_create();
    json_add_string(object, "$ref", text);
    return object;
}

/* Parameters */

static struct json_object *make_parameter_schema(const struct param_rule *rule) {
    struct json_object *schema = json_create();
    char pattern[64];
    switch (rule->kind) {
    case PARAM_DATE:
    case PARAM_END_DATE:
        json_add_string(schema, "type", "string");
        json_add_string(schema, "format", "date");
        break;
    case PARAM_INTEGER:
        json_add_string(schema, "type", "integer");
        json_add_integer(schema, "minimum", 1);
        json_add_integer(schema, "maximum", rule->largest);
        break;
    case PARAM_NUMBERS:
        (void)snprintf(pattern, sizeof pattern, "^-?[0-9]{1,%d}(,-?[0-9]{1,%d}){0,%ld}$",
                       PARAMS_DIGITS_MAX, PARAMS_DIGITS_MAX, rule->largest - 1);
        json_add_string(schema, "type", "string");
        json_add_string(schema, "pattern", pattern);
        break;
    case PARAM_CHOICE: {
        struct json_object *choices = json_create_array();
        for (const char *const *choice = rule->choices; *choice; choice++)
            json_add_string(choices, NULL, *choice);
        json_add_string(schema, "type", "string");
        json_add_object(schema, "enum", choices);
        json_add_string(schema, "default", rule->choices[0]);
        break;
    }
    }
    return schema;
}

/* Numbers stand in JSON as they are, all else is a string. */
static void add_value(struct json_object *object, const char *key, bool is_number,
                      const char *text) {
    if (is_number)
        json_add_text(object, key, text);
    else
        json_add_string(object, key, text);
}

static struct json_object *make_parameters(const struct param_rule *rules) {
    struct json_object *parameters = json_create_array();
    for (const struct param_rule *rule = rules; rule->name; rule++) {
        struct json_object *parameter = json_create();
        json_add_string(parameter, "name", rule->name);
        json_add_string(parameter, "in", "query");
        json_add_string(parameter, "description", rule->description);
        json_add_object(parameter, "schema", make_parameter_schema(rule));
        if (rule->example)
            add_value(parameter, "example", rule->kind == PARAM_INTEGER, rule->example);
        json_add_object(parameters, NULL, parameter);
    }
    return parameters;
}

/* Answers */

static struct json_object *make_column_schema(const struct column *column) {
    struct json_object *schema = json_create();
    json_add_string(schema, "type", column->type == CELL_INTEGER ? "integer" : "string");
    if (column->type == CELL_DATE)
        json_add_string(schema, "format", "date");
    json_add_string(schema, "description", column->description);
    return schema;
}

/* A row from that column on. */
static struct json_object *make_row_schema(const struct column *columns) {
    struct json_object *schema = json_create();
    struct json_object *properties = json_create();
    struct json_object *required = json_create_array();
    for (const struct column *column = columns; column->name; column++) {
        json_add_object(properties, column->name, make_column_schema(column));
        json_add_string(required, NULL, column->name);
    }
    json_add_string(schema, "type", "object");
    json_add_object(schema, "properties", properties);
    json_add_object(schema, "required", required);
    json_add_text(schema, "additionalProperties", "false");
    return schema;
}

static struct json_object *make_row_example(const struct column *columns) {
    struct json_object *row = json_create();
    for (const struct column *column = columns; column->name; column++)
        add_value(row, column->name, column->type == CELL_INTEGER, column->example);
    return row;
}

static struct json_object *make_records_schema(const struct report *report) {
    struct json_object *schema = json_create();
    json_add_string(schema, "type", "array");
    json_add_object(schema, "items", refer("schemas", report->name));
    return schema;
}

/* format=json of the two reports that are an object keyed by their first column. */
static struct json_object *make_keyed_schema(const struct report *report) {
    struct json_object *schema = json_create();
    json_add_string(schema, "type", "object");
    json_add_object(schema, "additionalProperties",
                    report->shape == RENDER_VALUES ? make_column_schema(&report->columns[1])
                                                   : make_row_schema(&report->columns[1]));
    return schema;
}

static struct json_object *make_keyed_example(const struct report *report) {
    const struct column *columns = report->columns;
    struct json_object *example = json_create();
    if (report->shape == RENDER_VALUES)
        add_value(example, columns[0].example, columns[1].type == CELL_INTEGER, columns[1].example);
    else
        json_add_object(example, columns[0].example, make_row_example(&columns[1]));
    return example;
}

static struct json_object *make_json_content(const struct report *report) {
    struct json_object *records = json_create_array(), *examples = json_create();
    json_add_object(records, NULL, make_row_example(report->columns));
    struct json_object *content = json_create();
    if (report->shape == RENDER_RECORDS) {
        json_add_object(content, "schema", make_records_schema(report));
    } else {
        struct json_object *either = json_create_array();
        json_add_object(either, NULL, make_keyed_schema(report));
        json_add_object(either, NULL, make_records_schema(report));
        json_add_object(content, "schema", wrap("anyOf", either));
        json_add_object(examples, format_names[FORMAT_JSON],
                        wrap("value", make_keyed_example(report)));
    }
    json_add_object(examples, format_names[FORMAT_RECORDS], wrap("value", records));
    json_add_object(content, "examples", examples);
    return content;
}

static struct json_object *make_csv_content(const struct report *report) {
    char text[1024] = "";
    size_t length = 0;
    for (int line = 0; line < 2; line++) {
        for (const struct column *column = report->columns; column->name; column++)
            length += (size_t)snprintf(text + length, sizeof text - length, "%s%s",
                                       line ? column->example : column->name,
                                       column[1].name ? "," : "\r\n");
    }
    struct json_object *content = json_create();
    json_add_text(content, "schema", "{\"type\":\"string\"}");
    json_add_string(content, "example", text);
    return content;
}

/* The fields of an answer, by name, up to a NULL one. */
static struct json_object *make_headers(const char *const *names) {
    struct json_object *headers = json_create();
    for (; *names; names++)
        json_add_object(headers, *names, refer("headers", *names));
    return headers;
}

static struct json_object *make_response(const char *description, const char *const *field_names,
                                         struct json_object *content) {
    struct json_object *response = json_create();
    json_add_string(response, "description", description);
    json_add_object(response, "headers", make_headers(field_names));
    if (content)
        json_add_object(response, "content", content);
    return response;
}

static void add_errors(struct json_object *responses, enum scope widest) {
    char code[CODE_SIZE];
    for (size_t i = 0; i < ERROR_COUNT; i++) {
        (void)snprintf(code, sizeof code, "%d", errors[i].code);
        if (errors[i].scope <= widest)
            json_add_object(responses, code, refer("responses", code));
    }
}

static struct json_object *make_operation(const char *name, const char *description) {
    struct json_object *operation = json_create();
    json_add_string(operation, "operationId", name);
    json_add_string(operation, "summary", description);
    return operation;
}

static struct json_object *make_report_path(const struct report *report) {
    static const char *const plain[] = {"X-Request-Id", "ETag", "Data-As-Of", "Content-Disposition",
                                        NULL};
    static const char *const paged[] = {"X-Request-Id",        "ETag", "Data-As-Of",
                                        "Content-Disposition", "Link", NULL};
    struct json_object *content = json_create();
    json_add_object(content, "application/json", make_json_content(report));
    json_add_object(content, "text/csv", make_csv_content(report));
    struct json_object *responses = json_create();
    json_add_object(
        responses, "200",
        make_response("The report", report->orders[0].key_count > 0 ? paged : plain, content));
    json_add_object(responses, "304", refer("responses", "304"));
    add_errors(responses, WITH_DATABASE);
    struct json_object *operation = make_operation(report->name, report->description);
    json_add_object(operation, "parameters", make_parameters(report->parameters));
    json_add_object(operation, "responses", responses);
    return wrap("get", operation);
}

static struct json_object *make_route_path(const struct route *route) {
    static const char *const of_probe[] = {"X-Request-Id", NULL};
    static const char *const of_failure[] = {"X-Request-Id", "Retry-After", NULL};
    static const char *const of_document[] = {"X-Request-Id", "ETag", NULL};
    struct json_object *responses = json_create(), *schema = json_create();
    json_add_text(schema, "schema", route->schema);
    json_add_object(responses, "200",
                    make_response("Yes, or the document", route->is_probe ? of_probe : of_document,
                                  wrap(route->content_type, schema)));
    if (!route->is_probe)
        json_add_object(responses, "304", refer("responses", "304"));
    if (route->failure) {
        struct json_object *text = json_create();
        json_add_text(text, "schema", "{\"type\":\"string\"}");
        json_add_string(text, "example", route->failure);
        json_add_object(responses, "503",
                        make_response("No", of_failure, wrap(route->content_type, text)));
    }
    add_errors(responses, route->is_probe ? EVERYWHERE : WITH_PARAMETERS);
    struct json_object *operation = make_operation(route->name, route->description);
    json_add_object(operation, "responses", responses);
    return wrap("get", operation);
}

/* What paths have in common */

static struct json_object *make_fields(void) {
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
    json_add_string(example, "title", error->title);
    json_add_integer(example, "status", error->code);
    if (error->detail)
        json_add_string(example, "detail", error->detail);
    json_add_string(example, "instance", "urn:request:9e32dc1473f4ea9f89b7ffdcc57d8aed");
    struct json_object *document = json_create();
    json_add_object(document, "schema", refer("schemas", "problem"));
    json_add_object(document, "example", example);
    return make_response(error->description, error->is_temporary ? temporary : lasting,
                         wrap("application/problem+json", document));
}

static struct json_object *make_common_responses(void) {
    static const char *const unchanged[] = {"X-Request-Id", "ETag", "Data-As-Of", NULL};
    struct json_object *responses = json_create();
    json_add_object(responses, "304",
                    make_response("Nothing has changed since If-None-Match", unchanged, NULL));
    for (size_t i = 0; i < ERROR_COUNT; i++) {
        char code[CODE_SIZE];
        (void)snprintf(code, sizeof code, "%d", errors[i].code);
        json_add_object(responses, code, make_error(&errors[i]));
    }
    return responses;
}

static struct json_object *make_schemas(void) {
    struct json_object *schemas = json_create();
    for (const struct report *report = reports; report->name; report++)
        json_add_object(schemas, report->name, make_row_schema(report->columns));
    json_add_text(schemas, "problem", problem_schema);
    return schemas;
}

static struct json_object *make_paths(void) {
    struct json_object *paths = json_create();
    for (const struct report *report = reports; report->name; report++) {
        char path[PATH_SIZE];
        (void)snprintf(path, sizeof path, REPORT_FOLDER "%s", report->name);
        json_add_object(paths, path, make_report_path(report));
    }
    for (const struct route *route = routes; route->path; route++)
        json_add_object(paths, route->path, make_route_path(route));
    return paths;
}

static struct json_object *make_service(void) {
    struct json_object *info = json_create();
    json_add_string(info, "title", "Coworking analytics");
    json_add_string(info, "version", VERSION);
    json_add_string(info, "description", about);
    struct json_object *components = json_create();
    json_add_object(components, "schemas", make_schemas());
    json_add_object(components, "headers", make_fields());
    json_add_object(components, "responses", make_common_responses());
    struct json_object *document = json_create();
    json_add_string(document, "openapi", "3.1.0");
    json_add_object(document, "info", info);
    json_add_object(document, "paths", make_paths());
    json_add_object(document, "components", components);
    return document;
}

static struct json_object *make_list(void) {
    struct json_object *list = json_create_array();
    for (const struct report *report = reports; report->name; report++) {
        char path[PATH_SIZE], names[PATH_SIZE] = "";
        (void)snprintf(path, sizeof path, REPORT_FOLDER "%s", report->name);
        for (const struct param_rule *rule = report->parameters; rule->name; rule++) {
            size_t length = strlen(names);
            (void)snprintf(names + length, sizeof names - length, "%s%s", length ? "," : "",
                           rule->name);
        }
        struct json_object *line = json_create();
        json_add_string(line, "name", report->name);
        json_add_string(line, "path", path);
        json_add_string(line, "description", report->description);
        json_add_string(line, "parameters", names);
        json_add_object(list, NULL, line);
    }
    return list;
}

/* A document has no parameters, and a tag of its own text. */
static void send_document(struct request *request, struct json_object *document) {
    static const struct param_rule none[] = {{0}};
    struct params params;
    if (params_parse(&params, request->query, none) != STATUS_OK) {
        http_send_problem(request, STATUS_BAD_REQUEST, params.error);
        return;
    }
    size_t length;
    char tag[HTTP_TAG_SIZE];
    const char *text = json_text(document, &length);
    http_make_tag(tag, &text, 1);
    const struct entity entity = {.content_type = "application/json", .tag = tag};
    if (http_tag_matches(request, tag))
        http_send_not_modified(request, tag, NULL);
    else
        http_send_body(request, &entity, text, length);
}

void describe_reports(struct request *request, struct db *db) {
    static struct json_object *list;
    (void)db;
    if (!list)
        list = make_list();
    send_document(request, list);
}

void describe_service(struct request *request, struct db *db) {
    static struct json_object *service;
    (void)db;
    if (!service)
        service = make_service();
    send_document(request, service);
}
