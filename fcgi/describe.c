/* Each document is made once, from the rows that answer requests, when it is first asked for. */
#include "describe.h"

#include "etag.h"
#include "header.h"
#include "json.h"
#include "openapi.h"
#include "params.h"
#include "reply.h"
#include "report.h"
#include "request.h"
#include "text.h"

#include <stdbool.h>
#include <stdio.h>

enum { PATH_SIZE = 128 };

static struct json_object *make_list(void) {
    struct json_object *list = json_create_array();
    for (const struct report *report = reports; report->name; report++) {
        char path[PATH_SIZE], names[PATH_SIZE] = "";
        (void)snprintf(path, sizeof path, REPORT_FOLDER "%s", report->name);
        for (const struct param_rule *rule = report->parameters; rule->name; rule++)
            text_append(names, sizeof names, "%s%s", *names ? "," : "", rule->name);
        struct json_object *line = json_create();
        json_add_string(line, "name", report->name);
        json_add_string(line, "path", path);
        json_add_string(line, "description", report->description);
        json_add_string(line, "parameters", names);
        json_add_object(list, NULL, line);
    }
    return list;
}

/* A document, and the tag of its text. */
struct document {
    struct json_object *object;
    char tag[ETAG_SIZE];
};

/* Makes the document when it is first asked for. It takes no parameters. */
static void send_document(struct request *request, struct document *document,
                          struct json_object *(*make)(void)) {
    static const struct param_rule none[] = {{0}};
    struct params params;
    if (params_parse(&params, request->query, none) != STATUS_OK) {
        reply_problem(request, STATUS_BAD_REQUEST, params.error);
        return;
    }
    bool is_new = !document->object;
    if (is_new)
        document->object = make();
    size_t length;
    const char *text = json_text(document->object, &length);
    if (is_new)
        etag_make(document->tag, &text, 1);
    const struct entity entity = {.content_type = "application/json", .tag = document->tag};
    if (!reply_if_not_modified(request, &entity))
        reply_body(request, &entity, text, length);
}

void describe_reports(struct request *request, struct db *db) {
    static struct document list;
    (void)db;
    send_document(request, &list, make_list);
}

void describe_service(struct request *request, struct db *db) {
    static struct document service;
    (void)db;
    send_document(request, &service, openapi_make);
}
