/* Finds out how a new connection can be used: whether a pooler shares it, how our settings can be
 * applied, and whether prepared statements can have names. Never sets anything that outlasts a
 * transaction. */
#include "db_private.h"

#include "json.h"
#include "log.h"
#include "sql.h"

#include <string.h>

const struct db_query db_own_queries[OWN_QUERIES] = {
    [BEGIN_READING] = {.name = "begin_reading",
                       .sql = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"},
    [BEGIN_WRITING] = {.name = "begin_writing",
                       .sql = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"},
    [COMMIT] = {.name = "commit", .sql = "COMMIT"},
    [LOOK] = {.name = "look", .sql = sql_worker_look},
    [VALIDATOR] = {.name = "validator", .sql = sql_worker_validator},
    [SERVER] = {.name = "server", .sql = sql_worker_server},
    [STANDBY] = {.name = "standby", .sql = sql_worker_standby},
    [NAMES] = {.name = "coworking_analytics_names", .sql = sql_worker_names},
    [FORGET_NAMES] = {.name = "forget_names", .sql = "DEALLOCATE coworking_analytics_names"},
};

static bool add_look(struct db *db) {
    const char *const values[] = {db->settings, db->session.sends_settings ? "t" : "f"};
    return db_add(db, LOOK, values);
}

static bool add_begin(struct db *db) {
    bool writes = db->access == DB_READ_WRITE && !db->state.is_standby;
    return db_add(db, writes ? BEGIN_WRITING : BEGIN_READING, NULL);
}

/* Without BEGIN, the pipeline itself is one transaction, and goes to one server. */
bool db_add_before(struct db *db) {
    const struct session *session = &db->session;
    if (!session->is_pooled && !session->sends_settings)
        return true;
    return (!session->sends_settings || add_begin(db)) && add_look(db) && db_add_state(db);
}

bool db_add_behind(struct db *db) {
    return !db->session.sends_settings || db_add(db, COMMIT, NULL);
}

static enum status look(struct db *db, int64_t deadline) {
    db->state.is_standby = true; /* until it says what it is */
    if (!add_look(db) || !db_add_state(db) || !db_send(db))
        return db_fail_broken(db);
    enum status status = db_await_all(db, deadline);
    if (status != STATUS_OK)
        return status;
    /* When a connection starts, a pooler reports a process id that it made up. */
    db->session.is_pooled = db->process != PQbackendPID(db->session.connection);
    db->session.sends_settings = !db->settings_hold;
    return STATUS_OK;
}

/* Prepares a statement that looks for its own name, in a transaction, which keeps the server. */
static enum status probe_names(struct db *db, int64_t deadline) {
    if (!db_add(db, BEGIN_READING, NULL) || !db_add(db, NAMES, NULL) || !db_send(db))
        return db_fail_broken(db);
    enum status status = db_await_all(db, deadline);
    if (status != STATUS_OK)
        return db->session.connection ? STATUS_OK : status; /* the name is taken */
    bool is_tracked = !db->passes_names;
    if ((!is_tracked && !db_add(db, FORGET_NAMES, NULL)) || !db_add(db, COMMIT, NULL) ||
        !db_send(db))
        return db_fail_broken(db);
    status = db_await_all(db, deadline);
    db->session.has_names = status == STATUS_OK && is_tracked;
    return status;
}

enum status db_open_session(struct db *db, int64_t deadline) {
    if (PQsetnonblocking(db->session.connection, 1) != 0 ||
        !PQenterPipelineMode(db->session.connection))
        return db_fail_broken(db);
    enum status status = look(db, deadline);
    if (status == STATUS_OK && db->session.is_pooled)
        status = probe_names(db, deadline);
    else
        db->session.has_names = status == STATUS_OK;
    return status == STATUS_OK ? db_judge_state(db, deadline) : status;
}

static enum status prepare(struct db *db, size_t query, int64_t deadline) {
    if (!db_add_before(db) || !db_add_parse(db, query) || !db_add_behind(db) || !db_send(db))
        return db_fail_broken(db);
    return db_await_all(db, deadline);
}

static void log_not_prepared(const struct db *db, const char *query) {
    struct json_object *line = log_start(LOG_ERROR, "query_not_prepared");
    json_add_string(line, "query", query);
    json_add_string(line, "reason", db->reason);
    log_finish(line);
}

/* Logs each statement that cannot be prepared, before a user asks for its report, which tries again
 * then. */
enum status db_prepare_all(struct db *db, int64_t deadline) {
    for (size_t i = OWN_QUERIES; i < db->query_count; i++) {
        enum status status = prepare(db, i, deadline);
        if (status == STATUS_OK)
            continue;
        if (!db->session.connection)
            return status;
        log_not_prepared(db, db->queries[i]->name);
    }
    return STATUS_OK;
}

/* Whether the session has adapted to the last failure, so that the query should be tried again:
 * after a pooler turned out not to track names, or a role's settings changed. */
bool db_adapt(struct db *db) {
    static const char *const lost_names[] = {"42P05", "26000", "0A000"};
    bool adapted = db->adapted;
    db->adapted = false;
    struct session *session = &db->session;
    if (!session->connection || !session->is_pooled || !session->has_names)
        return adapted && session->connection;
    for (size_t i = 0; i < sizeof lost_names / sizeof lost_names[0]; i++) {
        if (strcmp(db->sqlstate, lost_names[i]) == 0) {
            session->has_names = false;
            return true;
        }
    }
    return adapted;
}
