/* One report in the description: its parameters, its rows, and what it answers in each format. */
#include "json.h"
#include "openapi_parts.h"
#include "params.h"
#include "report.h"
#include "text.h"

#include <stdio.h>

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

/* A number stands in JSON as it is; all else is a string. */
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

static struct json_object *make_column_schema(const struct column *column) {
    struct json_object *schema = json_create();
    json_add_string(schema, "type", column->type == CELL_INTEGER ? "integer" : "string");
    if (column->type == CELL_DATE)
        json_add_string(schema, "format", "date");
    json_add_string(schema, "description", column->description);
    return schema;
}

struct json_object *openapi_make_row_schema(const struct column *columns) {
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
    json_add_object(schema, "items", openapi_refer("schemas", report->name));
    return schema;
}

/* format=json of the two reports that are an object keyed by their first column. */
static struct json_object *make_keyed_schema(const struct report *report) {
    struct json_object *schema = json_create();
    json_add_string(schema, "type", "object");
    json_add_object(schema, "additionalProperties",
                    report->shape == RENDER_VALUES ? make_column_schema(&report->columns[1])
                                                   : openapi_make_row_schema(&report->columns[1]));
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
        json_add_object(content, "schema", openapi_wrap("anyOf", either));
        json_add_object(examples, format_names[FORMAT_JSON],
                        openapi_wrap("value", make_keyed_example(report)));
    }
    json_add_object(examples, format_names[FORMAT_RECORDS], openapi_wrap("value", records));
    json_add_object(content, "examples", examples);
    return content;
}

static struct json_object *make_csv_content(const struct report *report) {
    char text[1024] = "";
    for (int line = 0; line < 2; line++) {
        for (const struct column *column = report->columns; column->name; column++)
            text_append(text, sizeof text, "%s%s", line ? column->example : column->name,
                        column[1].name ? "," : "\r\n");
    }
    struct json_object *content = json_create();
    json_add_text(content, "schema", "{\"type\":\"string\"}");
    json_add_string(content, "example", text);
    return content;
}

struct json_object *openapi_make_report_path(const struct report *report) {
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
        openapi_make_response("The report", report->orders[0].key[0] ? paged : plain, content));
    json_add_object(responses, "304", openapi_refer("responses", "304"));
    openapi_add_errors(responses, WITH_DATABASE);
    struct json_object *operation = openapi_make_operation(report->name, report->description);
    json_add_object(operation, "parameters", make_parameters(report->parameters));
    json_add_object(operation, "responses", responses);
    return openapi_wrap("get", operation);
}
