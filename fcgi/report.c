/* Answers a report as its row says: all is common to all reports. */
#include "report.h"

#include "accept.h"
#include "deadline.h"
#include "http.h"
#include "kept.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    NAME_SIZE = 64,
    PLACE_SIZE = REPORT_KEY_MAX * (PARAMS_DIGITS_MAX + 4),
    AS_OF_SIZE = 40,
    CONFLICTS_MAX = 5, /* with what a standby replays: tried again as often, within the limit */
};

void report_open(struct db *db) {
    for (const struct report *report = reports; report->name; report++) {
        for (size_t i = 0; i < REPORT_ORDERS_MAX && report->orders[i].query.name; i++)
            db_add_query(db, &report->orders[i].query);
    }
}

const struct report *report_find(const char *path) {
    const size_t folder = strlen(REPORT_FOLDER);
    if (strncmp(path, REPORT_FOLDER, folder) != 0)
        return NULL;
    for (const struct report *report = reports; report->name; report++) {
        if (strcmp(report->name, path + folder) == 0)
            return report;
    }
    return NULL;
}

/* One request for a report under way. */
struct answer {
    const struct report *report;
    const struct report_order *order;
    struct request *request;
    struct db *db;
    struct params params;
    enum format format;
    size_t limit; /* rows of a page; 0 for all */
    long limit_ms;
    int64_t deadline; /* of the first row */
    struct entity entity;
    char name[NAME_SIZE]; /* with the format's: what a file of it is called */
    char validator[DB_VALIDATOR_SIZE];
    char tag[HTTP_TAG_SIZE];
    char as_of[AS_OF_SIZE];
    char place[PLACE_SIZE]; /* of a page's last row */
    char next[HTTP_NEXT_SIZE];
};

static const char *value_of(const struct answer *answer, const char *name) {
    const struct param_rule *rules = answer->report->parameters;
    return params_value(&answer->params, rules, params_find(rules, name));
}

static size_t find_choice(const struct param_rule *rule, const char *value) {
    size_t i = 0;
    while (rule->choices[i] && strcmp(rule->choices[i], value) != 0)
        i++;
    return i;
}

/* By name where there is one; else as Accept prefers. What it does not allow for is still answered,
 * in JSON. */
static enum format choose_format(const struct answer *answer) {
    const struct param_rule *rules = answer->report->parameters;
    size_t index = params_find(rules, "format");
    const char *named = answer->params.values[index];
    if (named)
        return (enum format)find_choice(&rules[index], named);
    return accept_prefers(answer->request->accept, "text/csv", "application/json") ? FORMAT_CSV
                                                                                   : FORMAT_JSON;
}

static const struct report_order *choose_order(const struct answer *answer) {
    const struct param_rule *rules = answer->report->parameters;
    const char *named = value_of(answer, "order");
    size_t index = named ? find_choice(&rules[params_find(rules, "order")], named) : 0;
    return &answer->report->orders[index];
}

/* A place in the list is told by as many numbers as the order has columns for it. */
static enum status check_place(struct answer *answer) {
    const struct param_rule *rules = answer->report->parameters;
    const char *after = value_of(answer, "after");
    size_t count = 1;
    for (const char *comma = after; comma && (comma = strchr(comma, ',')); comma++)
        count++;
    if (!after || count == answer->order->key_count)
        return STATUS_OK;
    char allowed[PARAMS_ERROR_SIZE / 2] = "";
    for (size_t i = 0; i < answer->order->key_count; i++) {
        size_t length = strlen(allowed);
        (void)snprintf(allowed + length, sizeof allowed - length, "%s%s", i ? "," : "",
                       answer->report->columns[answer->order->key[i]].name);
    }
    size_t length = strlen(allowed);
    (void)snprintf(allowed + length, sizeof allowed - length, " with order=%s",
                   value_of(answer, "order"));
    return params_refuse(&answer->params, &rules[params_find(rules, "after")], after, allowed);
}

/* What the request asks for, from its parameters. */
static enum status read_request(struct answer *answer) {
    enum status status =
        params_parse(&answer->params, answer->request->query, answer->report->parameters);
    if (status != STATUS_OK)
        return status;
    const char *limit = value_of(answer, "limit");
    answer->limit = limit ? strtoul(limit, NULL, 10) : 0;
    answer->format = choose_format(answer);
    answer->order = choose_order(answer);
    (void)snprintf(answer->name, sizeof answer->name, "%s.%s", answer->report->name,
                   format_names[answer->format]);
    answer->entity =
        (struct entity){.content_type = format_types[answer->format],
                        .tag = answer->tag,
                        .file_name = answer->format == FORMAT_CSV ? answer->name : NULL,
                        .next = answer->next,
                        .as_of = answer->as_of};
    return check_place(answer);
}

/* The ETag: all that the answer's bytes depend on. Its validator is read before the report is, so
 * that it may stand for newer rows than it says, which no later validator equals, but never for
 * older. */
static void note_tag(struct answer *answer) {
    (void)snprintf(answer->validator, sizeof answer->validator, "%s",
                   db_state(answer->db)->validator);
    const char *const parts[] = {VERSION, answer->name, answer->order->query.sql,
                                 answer->request->query, answer->validator};
    *answer->tag = '\0';
    if (*answer->validator)
        http_make_tag(answer->tag, parts, sizeof parts / sizeof parts[0]);
}

/* "2026-11-28T17:09:07.123Z" */
static void note_time(struct answer *answer) {
    int64_t milliseconds = db_state(answer->db)->as_of_ms;
    time_t second = (time_t)(milliseconds / 1000);
    struct tm utc;
    size_t length =
        strftime(answer->as_of, sizeof answer->as_of, "%Y-%m-%dT%H:%M:%S", gmtime_r(&second, &utc));
    (void)snprintf(answer->as_of + length, sizeof answer->as_of - length, ".%03dZ",
                   (int)(milliseconds % 1000));
}

/* What the server that answers said of its data: behind a pooler, or after a connection was made
 * anew, another one than was asked first. */
static void note_state(struct answer *answer) {
    if (!*answer->validator || strcmp(answer->validator, db_state(answer->db)->validator) != 0)
        note_tag(answer);
    note_time(answer);
}

static void append(char *text, size_t size, const char *name, const char *value) {
    size_t length = strlen(text);
    (void)snprintf(text + length, size - length, "%c%s=%s", strchr(text, '?') ? '&' : '?', name,
                   value);
}

/* The request again, behind the row that was noted. Checked values need no percent-encoding. */
static void link_next_page(struct answer *answer) {
    const struct param_rule *rules = answer->report->parameters;
    (void)snprintf(answer->next, sizeof answer->next, REPORT_FOLDER "%s", answer->report->name);
    for (size_t i = 0; rules[i].name; i++) {
        const char *value =
            strcmp(rules[i].name, "after") == 0 ? answer->place : answer->params.values[i];
        if (value)
            append(answer->next, sizeof answer->next, rules[i].name, value);
    }
}

/* Notes where a row stands in the order. */
static void note_place(struct answer *answer, const struct row *row) {
    *answer->place = '\0';
    for (size_t i = 0; i < answer->order->key_count; i++) {
        size_t length = strlen(answer->place);
        (void)snprintf(answer->place + length, sizeof answer->place - length, "%s%s", i ? "," : "",
                       row->cells[answer->order->key[i]].text);
    }
}

/* Once rows flow, each of them has the whole limit: a long answer may take its time, a database
 * that falls silent may not. A page's query asks for one row more, which is not shown. */
static enum status render_rows(struct answer *answer, struct render *render) {
    const struct row *row;
    enum status status;
    while ((status = db_next_row(answer->db, deadline_in(answer->limit_ms), &row)) == STATUS_OK &&
           row) {
        if (answer->limit > 0 && render->rows == answer->limit) {
            link_next_page(answer);
            continue;
        }
        if (!render_row(render, row))
            return STATUS_CLIENT_GONE;
        if (render->rows == answer->limit)
            note_place(answer, row);
    }
    return status;
}

/* Keeps the body to send it again while the validator stays, if it is small enough. */
static void keep_body(const struct answer *answer) {
    struct kept_body body = {.next = answer->next};
    body.data = http_body(&body.length);
    if (body.data && *answer->tag)
        kept_store(answer->name, answer->request->query, answer->validator, &body);
}

static enum render_shape shape_of(const struct answer *answer) {
    switch (answer->format) {
    case FORMAT_CSV:
        return RENDER_CSV;
    case FORMAT_RECORDS:
        return RENDER_RECORDS;
    default:
        return answer->report->shape;
    }
}

static enum status start_query(struct answer *answer) {
    const char *values[PARAMS_MAX] = {NULL};
    for (size_t i = 0; i < answer->order->query.parameter_count; i++)
        values[i] = params_value(&answer->params, answer->report->parameters, i);
    return db_start(answer->db, &answer->order->query, values, answer->deadline);
}

/* One pass over the report; *again when a second one is needed. */
static enum status send_rows(struct answer *answer, bool *again) {
    struct render render;
    enum status status = start_query(answer);
    if (status == STATUS_OK) {
        note_state(answer);
        *answer->next = '\0';
        http_start_body(answer->request, &answer->entity);
        status = STATUS_CLIENT_GONE;
        if (render_begin(&render, answer->request, shape_of(answer), db_columns(answer->db)))
            status = render_rows(answer, &render);
    }
    db_end(answer->db);
    if (status == STATUS_OK && !render_end(&render))
        status = STATUS_CLIENT_GONE;
    if (status == STATUS_OK)
        keep_body(answer);
    *again = status == STATUS_OK && http_end_body(answer->request);
    return status;
}

/* Sends what the validator shows to be the answer still: nothing at all where the client has it, or
 * the kept body. False when the report must be asked for. */
static bool send_unchanged(struct answer *answer) {
    if (!*answer->tag)
        return false;
    if (http_tag_matches(answer->request, answer->tag)) {
        http_send_not_modified(answer->request, answer->tag, answer->as_of);
        return true;
    }
    const struct kept_body *kept =
        kept_find(answer->name, answer->request->query, answer->validator);
    if (!kept)
        return false;
    answer->entity.next = kept->next;
    http_send_body(answer->request, &answer->entity, kept->data, kept->length);
    return true;
}

static enum status send_answer(struct answer *answer) {
    enum status status = db_read_state(answer->db, answer->deadline);
    if (status != STATUS_OK)
        return status;
    note_state(answer);
    if (send_unchanged(answer))
        return STATUS_OK;
    bool again = true;
    int conflicts = 0;
    while (status == STATUS_OK && again) {
        status = send_rows(answer, &again);
        if (status != STATUS_OK && conflicts < CONFLICTS_MAX && db_met_conflict(answer->db) &&
            !http_has_left()) {
            conflicts++;
            again = true;
            status = STATUS_OK;
        }
    }
    return status;
}

/* What a client may know; db_reason says more, to the log. */
static const char *describe(enum status status) {
    switch (status) {
    case STATUS_UNAVAILABLE:
        return "the database cannot be reached, or what the report reads is not there";
    case STATUS_LAGGING:
        return "the standby that was asked is behind by more than MAX_REPLICA_LAG_MS";
    case STATUS_TIMEOUT:
        return "the database did not answer within the limit";
    default:
        return NULL;
    }
}

void report_answer(const struct report *report, struct request *request, struct db *db,
                   long limit_ms) {
    struct answer answer = {.report = report,
                            .request = request,
                            .db = db,
                            .limit_ms = limit_ms,
                            .deadline = deadline_in(limit_ms - request->waited_ms + DB_GRACE_MS)};
    if (read_request(&answer) != STATUS_OK) {
        http_send_problem(request, STATUS_BAD_REQUEST, answer.params.error);
        return;
    }
    if (request->waited_ms >= limit_ms) {
        request->reason = "no worker was free within the limit";
        http_send_problem(request, STATUS_UNAVAILABLE, request->reason);
        return;
    }
    enum status status = send_answer(&answer);
    if (status != STATUS_OK) {
        request->reason = status == STATUS_CLIENT_GONE ? "nobody takes the answer" : db_reason(db);
        http_send_problem(request, status, describe(status));
    }
}
