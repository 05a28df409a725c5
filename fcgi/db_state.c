/* Reads a server's state: which data it holds, whether our settings apply, and how far behind it
 * is. */
#include "db_private.h"

#include "config.h"
#include "deadline.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOOK_AGAIN_MS = 20,
    LOOK_FOR_MS = 200,
    BELIEVED_MS = 1000,
    OLD_MS = 10000, /* without a bound: data older than this is checked again */
};

static enum status take_look(struct db *db, const PGresult *result) {
    struct session *session = &db->session;
    db->process = (int)strtol(PQgetvalue(result, 0, 0), NULL, 10);
    db->settings_hold = *PQgetvalue(result, 0, 1) == 't';
    bool is_known = *session->server;
    if (db->settings_hold || session->sends_settings || !is_known)
        return STATUS_OK;
    session->sends_settings = db->adapted = true;
    return db_fail(db, STATUS_UNAVAILABLE, "", "the role's settings are no longer ours");
}

static enum status take_sighting(struct db *db, const PGresult *result) {
    db->has_sighting = lag_read(PQgetvalue(result, 0, 0), &db->sighting);
    return db->has_sighting
               ? STATUS_OK
               : db_fail(db, STATUS_INTERNAL_ERROR, "", "a standby did not report its position");
}

static enum status take_state(struct db *db, const PGresult *result) {
    struct db_state *state = &db->state;
    struct session *session = &db->session;
    const char *validator = PQgetvalue(result, 0, 0);
    if (PQnfields(result) > 1)
        (void)snprintf(session->server, sizeof session->server, "%s", PQgetvalue(result, 0, 1));
    int length =
        snprintf(state->validator, sizeof state->validator, "%s %s", session->server, validator);
    if (length >= (int)sizeof state->validator) /* the part that was cut off may be what changes */
        *state->validator = '\0';
    state->is_standby = strchr(validator, '/') != NULL;
    state->as_of_ms = db->asked_ms;
    if (!state->is_standby)
        return STATUS_OK;
    if (!db->has_sighting) { /* it was taken for a primary */
        db->adapted = true;
        return db_fail(db, STATUS_UNAVAILABLE, "", "a standby answers where a primary was");
    }
    state->as_of_ms = lag_as_of(&db->memory, session->server, &db->sighting);
    return STATUS_OK;
}

enum status db_take_row(struct db *db, size_t query, const PGresult *result) {
    if (PQntuples(result) != 1)
        return db_fail(db, STATUS_INTERNAL_ERROR, "",
                       "the database did not answer with exactly one row");
    if (query == LOOK)
        return take_look(db, result);
    if (query == VALIDATOR || query == SERVER)
        return take_state(db, result);
    if (query == STANDBY)
        return take_sighting(db, result);
    db->passes_names = *PQgetvalue(result, 0, 0) == 't';
    return STATUS_OK;
}

static bool is_older(const struct db *db, long milliseconds) {
    return db->state.is_standby && db->sighting.now_ms - db->state.as_of_ms > milliseconds;
}

bool db_is_behind(const struct db *db) {
    long bound = db->config->max_replica_lag_ms;
    return db->access == DB_READ_ONLY && bound > 0 && is_older(db, bound);
}

static enum status ask_once(struct db *db, int64_t deadline) {
    enum status status;
    do
        status = db_add_state(db) && db_send(db) ? db_await_all(db, deadline) : db_fail_broken(db);
    while (status != STATUS_OK && db_adapt(db));
    return status;
}

/* After an idle hour, the first change must not look like an hour of lag: what had been received at
 * the first check is soon replayed. */
static enum status look_again(struct db *db, int64_t deadline) {
    const struct lag_sighting first = db->sighting;
    long bound = db->config->max_replica_lag_ms;
    int half = deadline_left(deadline) / 2; /* the other half is for the next server */
    int64_t until = deadline_in(half < LOOK_FOR_MS ? half : LOOK_FOR_MS);
    enum status status = STATUS_OK;
    while (status == STATUS_OK && first.is_streaming && is_older(db, bound > 0 ? bound : OLD_MS) &&
           deadline_left(until) > 0 && deadline_left(deadline) > 0) {
        (void)poll(NULL, 0, LOOK_AGAIN_MS);
        status = ask_once(db, deadline);
        if (status == STATUS_OK && lag_has_caught_up(&first, &db->sighting)) {
            lag_remember(&db->memory, db->session.server, first.now_ms);
            db->state.as_of_ms = first.now_ms;
        }
    }
    if (deadline_left(until) == 0)
        db->believed_until = deadline_in(BELIEVED_MS);
    return status;
}

enum status db_judge_state(struct db *db, int64_t deadline) {
    enum status status = STATUS_OK;
    if (db->access == DB_READ_ONLY && deadline_left(db->believed_until) == 0)
        status = look_again(db, deadline);
    if (status != STATUS_OK || !db_is_behind(db))
        return status;
    return db_fail(db, STATUS_LAGGING, "", "the standby is behind by more than MAX_REPLICA_LAG_MS");
}

enum status db_ask_state(struct db *db, int64_t deadline) {
    enum status status = ask_once(db, deadline);
    return status == STATUS_OK ? db_judge_state(db, deadline) : status;
}
