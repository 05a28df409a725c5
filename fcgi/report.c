/* Answers a report as its row says: everything here is common to all reports. */
#include "report.h"

#include "body.h"
#include "cache.h"
#include "deadline.h"
#include "etag.h"
#include "header.h"
#include "reply.h"
#include "report_check.h"
#include "request.h"
#include "selection.h"
#include "timestamp.h"
#include "turn.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
    NAME_SIZE = 64,
    LINK_SIZE = 256,
    CONFLICTS_MAX = 5,       /* how often a query is repeated that met a conflict */
    SHORT_BYTES = 60 * 1024, /* a body up to here is short in any case, and all in the buffer */
};

/* A tag of all queries' texts: a build that was not committed may have others under one VERSION. */
static char queries_tag[ETAG_SIZE];

void report_open(struct db *db, long workers) {
    turn_open(workers);
    for (const struct report *report = reports; report->name; report++) {
        for (size_t i = 0; i < REPORT_ORDERS_MAX && report->orders[i].query.name; i++) {
            const char *const texts[] = {queries_tag, report->orders[i].query.sql};
            db_add_query(db, &report->orders[i].query);
            etag_make(queries_tag, texts, sizeof texts / sizeof texts[0]);
        }
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

/* The answer to one request, on its way. */
struct answer {
    struct request *request;
    struct db *db;
    struct selection selection;
    long limit_ms;
    int64_t deadline;   /* of the first row */
    const char *reason; /* of a failure that is not the database's; else NULL */
    struct turn turn;
    struct entity entity; /* of the texts that follow */
    char name[NAME_SIZE]; /* the report's and its format's: what a file of it is called */
    char tag[ETAG_SIZE];
    char as_of[TIMESTAMP_SIZE];
    char next[LINK_SIZE];
    char place[SELECTION_PLACE_SIZE]; /* of a page's last row */
    char validator[DB_VALIDATOR_SIZE];
};

static void set_entity(struct answer *answer) {
    enum format format = answer->selection.format;
    (void)snprintf(answer->name, sizeof answer->name, "%s.%s", answer->selection.report->name,
                   format_names[format]);
    answer->entity = (struct entity){
        .content_type = format_types[format],
        .tag = answer->tag,
        .file_name = format == FORMAT_CSV ? answer->name : NULL,
        .next = answer->next,
        .as_of = answer->as_of,
    };
}

/* The ETag: all that the answer's bytes depend on. The validator is read before the report. So the
 * tag may belong to rows that are newer than it says, which no later validator matches, but never
 * to older ones. */
static void note_tag(struct answer *answer) {
    (void)snprintf(answer->validator, sizeof answer->validator, "%s",
                   db_state(answer->db)->validator);
    const char *const parts[] = {VERSION, queries_tag, answer->name, answer->request->query,
                                 answer->validator};
    *answer->tag = '\0';
    if (*answer->validator)
        etag_make(answer->tag, parts, sizeof parts / sizeof parts[0]);
}

/* What the server says of its data. The server that answers the query may be another one than was
 * asked first: behind a pooler, or after a reconnect. */
static void note_state(struct answer *answer) {
    if (!*answer->validator || strcmp(answer->validator, db_state(answer->db)->validator) != 0)
        note_tag(answer);
    timestamp_write(db_state(answer->db)->as_of_ms, answer->as_of);
}

/* Whether this client may have the rest of the answer, which may be long. */
static bool may_continue(struct answer *answer) {
    size_t length;
    bool is_short = body_buffered(answer->request->body, &length) && length < SHORT_BYTES;
    return is_short || turn_grow(&answer->turn);
}

/* Each row has the whole limit once rows flow: a long answer may take its time, but a database that
 * falls silent may not. A page's query asks for one row more than the page shows. */
static enum status render_rows(struct answer *answer, struct render *render) {
    const size_t limit = answer->selection.limit;
    const struct row *row;
    enum status status;
    while ((status = db_next_row(answer->db, deadline_in(answer->limit_ms), &row)) == STATUS_OK &&
           row) {
        if (limit > 0 && render->rows == limit) {
            selection_link(&answer->selection, answer->place, answer->next, sizeof answer->next);
            continue;
        }
        if (!render_row(render, row))
            return STATUS_CLIENT_GONE;
        if (!may_continue(answer))
            return STATUS_TOO_MANY_REQUESTS;
        if (render->rows == limit)
            selection_place(&answer->selection, row, answer->place);
    }
    return status;
}

static enum render_shape shape_of(const struct selection *selection) {
    switch (selection->format) {
    case FORMAT_CSV:
        return RENDER_CSV;
    case FORMAT_RECORDS:
        return RENDER_RECORDS;
    default:
        return selection->report->shape;
    }
}

static enum status render_result(struct answer *answer) {
    struct render render;
    const struct row *columns = db_columns(answer->db);
    if (!report_check_result(answer->selection.report, columns)) {
        answer->reason = "the query's columns are not those of the report's row";
        return STATUS_INTERNAL_ERROR;
    }
    note_state(answer);
    *answer->next = '\0';
    body_start(answer->request, &answer->entity);
    if (!render_begin(&render, answer->request, shape_of(&answer->selection), columns))
        return STATUS_CLIENT_GONE;
    enum status status = render_rows(answer, &render);
    return status == STATUS_OK && !render_end(&render) ? STATUS_CLIENT_GONE : status;
}

/* Caches a body that is small enough, to send it again while the validator stays. */
static void cache_body(const struct answer *answer) {
    struct cached_body body = {.next = answer->next};
    body.data = body_buffered(answer->request->body, &body.length);
    if (body.data && *answer->tag)
        cache_store(answer->name, answer->request->query, answer->validator, &body);
}

/* One pass over the report. Sets *again when the body has to be written once more. */
static enum status send_rows(struct answer *answer, bool *again) {
    const struct selection *selection = &answer->selection;
    enum status status =
        db_start(answer->db, &selection->order->query, selection->arguments, answer->deadline);
    if (status == STATUS_OK)
        status = render_result(answer);
    db_end(answer->db);
    if (status == STATUS_OK)
        cache_body(answer);
    *again = status == STATUS_OK && body_end(answer->request);
    return status;
}

/* Sends what the validator proves to be the answer still: 304 where the client has it, or the
 * cached body. Returns false when the query must run. */
static bool send_unchanged(struct answer *answer) {
    if (!*answer->tag)
        return false;
    if (reply_if_not_modified(answer->request, &answer->entity))
        return true;
    const struct cached_body *cached =
        cache_find(answer->name, answer->request->query, answer->validator);
    if (!cached)
        return false;
    answer->entity.next = cached->next;
    reply_body(answer->request, &answer->entity, cached->data, cached->length);
    return true;
}

/* Whether the query met a conflict with what a standby replays, and nothing has been sent yet. */
static bool may_repeat(const struct answer *answer) {
    return db_met_conflict(answer->db) && !body_has_left(answer->request->body);
}

/* Sends the rows, in several passes where one is not enough. */
static enum status send_passes(struct answer *answer) {
    enum status status = STATUS_OK;
    bool again = true;
    for (int conflicts = 0; again;) {
        status = send_rows(answer, &again);
        if (status != STATUS_OK)
            again = may_repeat(answer) && conflicts++ < CONFLICTS_MAX;
    }
    return status;
}

/* Sends what the query says now, when it is the client's turn. */
static enum status send_fresh(struct answer *answer) {
    const struct selection *selection = &answer->selection;
    answer->turn = (struct turn){
        .address = answer->request->client,
        .kind = selection->limit == 0 ? (int)(selection->report - reports) : -1,
        .is_part = selection->is_part,
    };
    enum status status = turn_begin(&answer->turn) ? send_passes(answer) : STATUS_TOO_MANY_REQUESTS;
    turn_end(&answer->turn, status == STATUS_OK ? answer->request->body_bytes : 0);
    return status;
}

static enum status send_answer(struct answer *answer) {
    enum status status = db_read_state(answer->db, answer->deadline);
    if (status != STATUS_OK)
        return status;
    note_state(answer);
    if (send_unchanged(answer))
        return STATUS_OK;
    return send_fresh(answer);
}

/* What a client may know; the log has the reason. */
static const char *describe(enum status status) {
    switch (status) {
    case STATUS_TOO_MANY_REQUESTS:
        return "this address already receives as many answers over 1 MB as one address may at a "
               "time; try again later, or use limit";
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

static void send_failure(struct answer *answer, enum status status) {
    if (status == STATUS_CLIENT_GONE)
        answer->reason = "nobody takes the answer";
    else if (status == STATUS_TOO_MANY_REQUESTS)
        answer->reason = "the client has all of its turns for long answers";
    answer->request->reason = answer->reason ? answer->reason : db_reason(answer->db);
    reply_problem(answer->request, status, describe(status));
}

void report_answer(const struct report *report, struct request *request, struct db *db,
                   long limit_ms) {
    struct answer answer = {
        .request = request,
        .db = db,
        .limit_ms = limit_ms,
        .deadline = deadline_in(limit_ms - request->waited_ms + DB_GRACE_MS),
    };
    if (selection_read(&answer.selection, report, request) != STATUS_OK) {
        reply_problem(request, STATUS_BAD_REQUEST, answer.selection.params.error);
        return;
    }
    if (request->waited_ms >= limit_ms) {
        request->reason = "no worker was free within the limit";
        reply_problem(request, STATUS_UNAVAILABLE, request->reason);
        return;
    }
    set_entity(&answer);
    enum status status = send_answer(&answer);
    if (status != STATUS_OK)
        send_failure(&answer, status);
}
