/* A report is a row of reports[]: path, query, parameters, shape. All else is common to all. */
#include "report.h"

#include "db.h"
#include "deadline.h"
#include "http.h"
#include "kept.h"
#include "params.h"
#include "render.h"
#include "sql.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct report {
    const char *path;
    struct db_query query;
    enum render_shape shape;
    const char *const *parameters; /* ends with NULL */
};

static const char *const no_parameters[] = {NULL};

static const struct report reports[] = {
    {"/api/reports/daily_usage",
     {"daily_usage", sql_reports_daily_usage, 0},
     RENDER_VALUES,
     no_parameters},
    {"/api/reports/user_visits",
     {"user_visits", sql_reports_user_visits, 0},
     RENDER_OBJECTS,
     no_parameters},
};

static const char content_type[] = "application/json";

enum { REPORT_COUNT = sizeof reports / sizeof reports[0] };

void report_open(struct db *db) {
    for (size_t i = 0; i < REPORT_COUNT; i++)
        db_add_query(db, &reports[i].query);
}

const struct report *report_find(const char *path) {
    for (size_t i = 0; i < REPORT_COUNT; i++) {
        if (strcmp(reports[i].path, path) == 0)
            return &reports[i];
    }
    return NULL;
}

/* FNV-1a (Fowler, Noll, Vo) over the text and its closing NUL. */
static uint64_t hash(uint64_t state, const char *text) {
    do
        state = (state ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    while (*text++);
    return state;
}

/* One request for a report under way. */
struct answer {
    const struct report *report;
    struct request *request;
    struct db *db;
    long limit_ms;
    int64_t deadline; /* of the first row */
    char validator[DB_VALIDATOR_SIZE];
    char tag[HTTP_TAG_SIZE];
};

/* The ETag: all that the answer's bytes depend on. Its validator is read before the report is, so
 * that it may stand for newer rows than it says, which no later validator equals, but never for
 * older. */
static enum status read_tag(struct answer *answer) {
    enum status status = db_read_validator(answer->db, answer->deadline, answer->validator);
    if (status != STATUS_OK || !*answer->validator)
        return status;
    uint64_t state = UINT64_C(0xcbf29ce484222325);
    const char *const parts[] = {VERSION, answer->report->path, answer->report->query.sql,
                                 answer->request->query, answer->validator};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        state = hash(state, parts[i]);
    (void)snprintf(answer->tag, sizeof answer->tag, "%016" PRIx64, state);
    return STATUS_OK;
}

/* Once rows flow, each of them has the whole limit: a long answer may take its time, a database
 * that falls silent may not. */
static enum status render_rows(const struct answer *answer, struct render *render) {
    const struct row *row;
    enum status status;
    while ((status = db_next_row(answer->db, deadline_in(answer->limit_ms), &row)) == STATUS_OK &&
           row) {
        if (!render_row(render, row))
            return STATUS_CLIENT_GONE;
    }
    return status;
}

/* Keeps the body to send it again while the validator stays, if it is small enough. */
static void keep_body(const struct answer *answer) {
    struct kept_body body = {.content_type = content_type};
    body.data = http_body(&body.length);
    if (body.data && *answer->tag)
        kept_store(answer->report->path, answer->request->query, answer->validator, &body);
}

/* One pass over the report; *again when a second one is needed. */
static enum status send_rows(struct answer *answer, bool *again) {
    struct render render;
    enum status status = db_start(answer->db, &answer->report->query, NULL, answer->deadline);
    if (status == STATUS_OK) {
        if (!db_validator_holds(answer->db, answer->validator))
            *answer->tag = '\0'; /* these rows are another server's */
        http_start_body(answer->request, content_type, answer->tag);
        status = STATUS_CLIENT_GONE;
        if (render_begin(&render, answer->request, answer->report->shape))
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
static bool send_unchanged(const struct answer *answer) {
    if (!*answer->tag)
        return false;
    if (http_tag_matches(answer->request, answer->tag)) {
        http_send_not_modified(answer->request, answer->tag);
        return true;
    }
    const struct kept_body *kept =
        kept_find(answer->report->path, answer->request->query, answer->validator);
    if (kept)
        http_send_body(answer->request, kept->content_type, answer->tag, kept->data, kept->length);
    return kept != NULL;
}

static enum status send_answer(struct answer *answer) {
    enum status status = read_tag(answer);
    if (status == STATUS_OK && send_unchanged(answer))
        return STATUS_OK;
    bool again = true;
    while (status == STATUS_OK && again)
        status = send_rows(answer, &again);
    return status;
}

/* What a client may know; db_reason says more, to the log. */
static const char *describe(enum status status) {
    switch (status) {
    case STATUS_UNAVAILABLE:
        return "the database cannot be reached, or what the report reads is not there";
    case STATUS_TIMEOUT:
        return "the database did not answer within the limit";
    default:
        return NULL;
    }
}

void report_answer(const struct report *report, struct request *request, struct db *db,
                   long limit_ms) {
    struct params params;
    if (params_parse(&params, request->query, report->parameters) != STATUS_OK) {
        http_send_problem(request, STATUS_BAD_REQUEST, params.error);
        return;
    }
    if (request->waited_ms >= limit_ms) {
        request->reason = "no worker was free within the limit";
        http_send_problem(request, STATUS_UNAVAILABLE, request->reason);
        return;
    }
    struct answer answer = {.report = report,
                            .request = request,
                            .db = db,
                            .limit_ms = limit_ms,
                            .deadline = deadline_in(limit_ms - request->waited_ms + DB_GRACE_MS)};
    enum status status = send_answer(&answer);
    if (status != STATUS_OK) {
        request->reason = status == STATUS_CLIENT_GONE ? "nobody takes the answer" : db_reason(db);
        http_send_problem(request, status, describe(status));
    }
}
