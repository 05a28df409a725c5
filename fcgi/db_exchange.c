/* Sends statements and reads results. Every wait has a deadline here, because a frozen server
 * answers neither a query nor a request to cancel it. */
#include "db_private.h"

#include "deadline.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

void db_disconnect(struct db *db) {
    PQclear(db->result);
    db->result = NULL;
    db->running = false;
    PQfinish(db->session.connection);
    db->session = (struct session){0};
    db->step = db->step_count = 0;
}

enum status db_fail(struct db *db, enum status status, const char *sqlstate, const char *reason) {
    (void)snprintf(db->sqlstate, sizeof db->sqlstate, "%s", sqlstate);
    (void)snprintf(db->reason, sizeof db->reason, "%s%s%s", sqlstate, *sqlstate ? " " : "", reason);
    return status;
}

enum status db_fail_timeout(struct db *db) {
    db_disconnect(db); /* a late answer must not be taken for the next query's */
    return db_fail(db, STATUS_TIMEOUT, "", "the database did not answer within the limit");
}

enum status db_fail_broken(struct db *db) {
    db_disconnect(db);
    return db_fail(db, STATUS_UNAVAILABLE, "08006", "the connection to the database broke");
}

enum status db_fail_result(struct db *db, const PGresult *result) {
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (!sqlstate || PQstatus(db->session.connection) != CONNECTION_OK)
        return db_fail_broken(db);
    const char *reason = status_sqlstate_reason(sqlstate);
    if (!reason)
        reason = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    return db_fail(db, status_from_sqlstate(sqlstate), sqlstate, reason ? reason : "");
}

bool db_wait_for(const PGconn *connection, short events, int64_t deadline) {
    struct pollfd ready = {.fd = PQsocket(connection), .events = events};
    int count;
    do
        count = poll(&ready, 1, deadline_left(deadline));
    while (count < 0 && deadline_left(deadline) > 0);
    return count == 1;
}

static const char *name_of(const struct db *db, size_t query) {
    return db->session.has_names || query == NAMES ? db->queries[query]->name : "";
}

static void note_step(struct db *db, size_t query, bool is_parse) {
    assert(db->step_count < STEPS_MAX);
    db->steps[db->step_count++] = (struct step){query, is_parse};
}

bool db_add_parse(struct db *db, size_t query) {
    note_step(db, query, true);
    return PQsendPrepare(db->session.connection, name_of(db, query), db->queries[query]->sql, 0,
                         NULL) == 1;
}

bool db_add(struct db *db, size_t query, const char *const *values) {
    bool is_prepared = db->session.has_names && db->session.prepared[query];
    if (!is_prepared && !db_add_parse(db, query))
        return false;
    note_step(db, query, false);
    return PQsendQueryPrepared(db->session.connection, name_of(db, query),
                               (int)db->parameter_counts[query], values, NULL, NULL, 0) == 1;
}

/* A standby's position is asked before the validator, which may then cover newer data, but never
 * older. */
bool db_add_state(struct db *db) {
    bool names_server = db->session.is_pooled || !*db->session.server;
    db->asked_ms = clock_milliseconds(CLOCK_REALTIME);
    db->has_sighting = false;
    return (!db->state.is_standby || db_add(db, STANDBY, NULL)) &&
           db_add(db, names_server ? SERVER : VALIDATOR, NULL);
}

bool db_send(struct db *db) {
    return PQpipelineSync(db->session.connection) == 1;
}

enum status db_await_result(struct db *db, int64_t deadline, PGresult **result) {
    PGconn *connection = db->session.connection;
    *result = NULL;
    for (;;) {
        int unsent = PQflush(connection);
        if (unsent < 0)
            return db_fail_broken(db);
        if (unsent == 0 && !PQisBusy(connection))
            break;
        if (!db_wait_for(connection, unsent ? POLLIN | POLLOUT : POLLIN, deadline))
            return db_fail_timeout(db);
        if (!PQconsumeInput(connection))
            return db_fail_broken(db);
    }
    *result = PQgetResult(connection);
    return STATUS_OK;
}

static enum status take_result(struct db *db, struct step step, const PGresult *result) {
    switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
        if (step.is_parse)
            db->session.prepared[step.query] = db->session.has_names;
        return STATUS_OK;
    case PGRES_TUPLES_OK:
        return step.query < OWN_QUERIES ? db_take_row(db, step.query, result) : STATUS_OK;
    case PGRES_SINGLE_TUPLE:
    case PGRES_PIPELINE_ABORTED: /* by an error that has been noted */
        return STATUS_OK;
    default:
        return db_fail_result(db, result);
    }
}

enum status db_await_step(struct db *db, int64_t deadline) {
    enum status outcome = STATUS_OK;
    PGresult *result;
    do {
        enum status status = db_await_result(db, deadline, &result);
        if (status == STATUS_OK && result)
            status = take_result(db, db->steps[db->step], result);
        PQclear(result);
        if (outcome == STATUS_OK)
            outcome = status;
        if (!db->session.connection)
            return outcome;
    } while (result);
    db->step++;
    return outcome;
}

static enum status await_sync(struct db *db, int64_t deadline) {
    PGresult *result;
    enum status status = db_await_result(db, deadline, &result);
    bool is_sync = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
    PQclear(result);
    db->step = db->step_count = 0;
    return status == STATUS_OK && !is_sync ? db_fail_broken(db) : status;
}

static enum status await_pipeline(struct db *db, int64_t deadline) {
    enum status outcome = STATUS_OK;
    while (db->session.connection && db->step < db->step_count) {
        enum status status = db_await_step(db, deadline);
        if (outcome == STATUS_OK)
            outcome = status;
    }
    enum status status = db->session.connection ? await_sync(db, deadline) : outcome;
    return outcome != STATUS_OK ? outcome : status;
}

/* An error between BEGIN and COMMIT leaves the transaction open and keeps the pooler's server
 * connection busy. This COMMIT rolls it back. */
enum status db_await_all(struct db *db, int64_t deadline) {
    enum status outcome = await_pipeline(db, deadline);
    if (!db->session.connection || PQtransactionStatus(db->session.connection) != PQTRANS_INERROR)
        return outcome;
    enum status status =
        db_add(db, COMMIT, NULL) && db_send(db) ? await_pipeline(db, deadline) : db_fail_broken(db);
    return outcome != STATUS_OK ? outcome : status;
}
