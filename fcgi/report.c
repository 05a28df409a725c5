/* A report is a row of reports[]: path, query, parameters, shape. All else is common to all. */
#include "report.h"

#include "db.h"
#include "deadline.h"
#include "http.h"
#include "params.h"
#include "render.h"
#include "sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    /* The server's own limits answer first, and spare the connection; this is what they get. */
    GRACE_MS = 200,
};

struct report {
    const char *path;
    struct db_query query;
    enum render_shape shape;
    const char *const *parameters; /* ends with NULL */
};

static const char *const no_parameters[] = {NULL};

static const struct report reports[] = {
    {"/api/reports/daily_usage", {"daily_usage", sql_reports_daily_usage}, RENDER_VALUES,
     no_parameters},
    {"/api/reports/user_visits", {"user_visits", sql_reports_user_visits}, RENDER_OBJECTS,
     no_parameters},
};

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

/* The ETag: all that the answer's bytes depend on. It is read before the report is, so that a tag
 * may stand for newer rows than it says, which no later validator equals, but never for older. */
static enum status read_tag(const struct report *report, struct request *request, struct db *db,
                            int64_t deadline, char tag[HTTP_TAG_SIZE]) {
    char validator[DB_VALIDATOR_SIZE];
    enum status status = db_read_validator(db, deadline, validator);
    if (status != STATUS_OK)
        return status;
    uint64_t state = UINT64_C(0xcbf29ce484222325);
    const char *const parts[] = {VERSION, report->path, report->query.sql, request->query,
                                 validator};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        state = hash(state, parts[i]);
    (void)snprintf(tag, HTTP_TAG_SIZE, "%016" PRIx64, state);
    return STATUS_OK;
}

static enum status render_rows(struct render *render, struct db *db) {
    const struct row *row;
    enum status status;
    while ((status = db_next_row(db, &row)) == STATUS_OK && row) {
        if (!render_row(render, row))
            return STATUS_CLIENT_GONE;
    }
    return status;
}

/* One pass over the report; *again when a second one is needed. */
static enum status send_report(const struct report *report, struct request *request,
                               struct db *db, int64_t deadline, const char *tag, bool *again) {
    struct render render;
    enum status status = db_start(db, &report->query, deadline);
    if (status == STATUS_OK) {
        http_start_body(request, "application/json", tag);
        status = render_begin(&render, request, report->shape) ? render_rows(&render, db)
                                                               : STATUS_CLIENT_GONE;
    }
    db_end(db);
    if (status == STATUS_OK && !render_end(&render))
        status = STATUS_CLIENT_GONE;
    if (status == STATUS_OK)
        *again = http_end_body(request);
    return status;
}

void report_answer(const struct report *report, struct request *request, struct db *db,
                   long limit_ms) {
    struct params params;
    char tag[HTTP_TAG_SIZE];
    if (params_parse(&params, request->query, report->parameters) != STATUS_OK) {
        http_send_problem(request, STATUS_BAD_REQUEST, params.error);
        return;
    }
    if (request->waited_ms >= limit_ms) {
        request->reason = "no worker was free within the limit";
        http_send_problem(request, STATUS_UNAVAILABLE, request->reason);
        return;
    }
    int64_t deadline = deadline_in(limit_ms - request->waited_ms + GRACE_MS);
    enum status status = read_tag(report, request, db, deadline, tag);
    if (status == STATUS_OK && http_tag_matches(request, tag)) {
        http_send_not_modified(request, tag);
        return;
    }
    bool again = status == STATUS_OK;
    while (status == STATUS_OK && again) {
        again = false;
        status = send_report(report, request, db, deadline, tag, &again);
    }
    if (status != STATUS_OK) {
        request->reason = status == STATUS_CLIENT_GONE ? "the client left" : db_reason(db);
        http_send_problem(request, status, NULL);
    }
}
