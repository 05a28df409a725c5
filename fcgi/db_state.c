/* What a server says of itself: which data it holds, whose settings, and how far it is behind. */
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
    OLD_MS = 10000, /* where there is no bound: older than this is looked at again */
};

static const char *cell(const PGresult *result, int column) {
    return PQgetisnull(result, 0, column) ? NULL : PQgetvalue(result, 0, column);
}

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

static enum status take_state(struct db *db, const PGresult *result) {
    struct db_state *state = &db->state;
    const char *server = cell(result, 1), *standby = cell(result, 2);
    if (server)
        (void)snprintf(db->session.server, sizeof db->session.server, "%s", server);
    int length = snprintf(state->validator, sizeof state->validator, "%s %s", db->session.server,
                          PQgetvalue(result, 0, 0));
    if (length >= (int)sizeof state->validator) /* what is cut off may be what changes */
        *state->validator = '\0';
    state->is_standby = standby != NULL;
    state->as_of_ms = db->asked_ms;
    if (!standby)
        return STATUS_OK;
    if (!lag_read(standby, &db->sighting))
        return db_fail(db, STATUS_INTERNAL_ERROR, "", "a standby did not say how far it is");
    state->as_of_ms = lag_as_of(&db->memory, db->session.server, &db->sighting);
    return STATUS_OK;
}

enum status db_take_row(struct db *db, size_t query, const PGresult *result) {
    if (PQntuples(result) != 1)
        return db_fail(db, STATUS_INTERNAL_ERROR, "", "the database gave no answer of one row");
    if (query == LOOK)
        return take_look(db, result);
    if (query == VALIDATOR)
        return take_state(db, result);
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
    return db_add_state(db) && db_send(db) ? db_await_all(db, deadline) : db_fail_broken(db);
}

/* After an idle hour the first change to arrive must not look like an hour of lag: what had been
 * received at the first look is soon replayed. */
static enum status look_again(struct db *db, int64_t deadline) {
    const struct lag_sighting first = db->sighting;
    long bound = db->config->max_replica_lag_ms;
    int64_t until = deadline_in(LOOK_FOR_MS);
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
