/* Runs a query: connects, sends what goes before and after it, and reads its rows one by one. */
#include "db_private.h"

#include "deadline.h"
#include "json.h"
#include "log.h"
#include "placeholders.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Type codes of PostgreSQL (pg_type.dat); libpq has no names for them. */
enum {
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_DATE = 1082,
    TYPE_TIMESTAMP = 1114,
};

static const char lock_not_available[] = "55P03";

struct db *db_open(const struct config *config, enum db_access access) {
    struct db *db = calloc(1, sizeof *db);
    if (!db)
        return NULL;
    /* The wait for a name server is the only one without a deadline (resolv.conf(5)). */
    (void)setenv("RES_OPTIONS", "timeout:1 attempts:1", 0);
    db->config = config;
    db->access = access;
    for (size_t i = 0; i < OWN_QUERIES; i++)
        db_add_query(db, &db_own_queries[i]);
    db_read_servers(db);
    return db;
}

void db_add_query(struct db *db, const struct db_query *query) {
    assert(db->query_count < QUERIES_MAX);
    db->parameter_counts[db->query_count] = placeholders_count(query->sql);
    db->queries[db->query_count++] = query;
}

void db_close(struct db *db) {
    if (db)
        db_disconnect(db);
    free(db);
}

const char *db_reason(const struct db *db) {
    return db->reason;
}

bool db_is_refused(const struct db *db) {
    return strncmp(db->sqlstate, "28", 2) == 0; /* invalid authorization specification */
}

bool db_is_away(const struct db *db) {
    return db->is_away;
}

const struct db_state *db_state(const struct db *db) {
    return &db->state;
}

bool db_met_conflict(const struct db *db) {
    return strcmp(db->sqlstate, "40001") == 0 || strcmp(db->sqlstate, "40P01") == 0;
}

static enum status greet(struct db *db, int64_t deadline) {
    log_text(LOG_INFO, "database_connected",
             db_uses_tls(db) ? "with TLS; statements are being prepared"
                             : "without TLS; statements are being prepared");
    if (db->session.sends_settings)
        log_text(LOG_WARNING, "settings_per_query",
                 "settings go with each query: a pooler shares the sessions, and the role does not "
                 "have all settings; a migration sets them for a role that only this service uses");
    *db->logged = '\0';
    return db_prepare_all(db, deadline);
}

static void log_unreachable(struct db *db) {
    if (strcmp(db->logged, db->reason) == 0) /* once, not at every request */
        return;
    struct json_object *line = log_start(LOG_ERROR, "database_unreachable");
    json_add_string(line, "reason", db->reason);
    log_finish(line);
    memcpy(db->logged, db->reason, sizeof db->logged);
}

enum status db_connect(struct db *db, int64_t deadline) {
    if (db->session.connection)
        return STATUS_OK;
    enum status status = db_find_server(db, deadline);
    if (status == STATUS_OK)
        return greet(db, deadline);
    log_unreachable(db);
    return status;
}

/* Reads the query's first row. The steps before it have been read. */
static enum status await_first_row(struct db *db, int64_t deadline) {
    if (!PQsetSingleRowMode(db->session.connection))
        return db_fail_broken(db);
    enum status status = db_await_result(db, deadline, &db->result);
    if (status != STATUS_OK)
        return status;
    ExecStatusType kind = PQresultStatus(db->result);
    db->fetched = kind == PGRES_SINGLE_TUPLE || kind == PGRES_TUPLES_OK;
    return db->fetched ? STATUS_OK : db_fail_result(db, db->result);
}

static enum status start_once(struct db *db, size_t query, const char *const *values,
                              int64_t deadline) {
    if (!db_add_before(db) || !db_add(db, query, values))
        return db_fail_broken(db);
    size_t before = db->step_count - 1;
    if (!db_add_behind(db) || !db_send(db))
        return db_fail_broken(db);
    db->running = true;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && db->step < before)
        status = db_await_step(db, deadline);
    if (status == STATUS_OK && before > 0 && db_is_behind(db))
        status = db_fail(db, STATUS_LAGGING, "",
                         "the standby is behind by more than MAX_REPLICA_LAG_MS");
    if (status == STATUS_OK)
        status = await_first_row(db, deadline);
    if (status == STATUS_OK || !db->session.connection)
        return status;
    PQclear(db->result);
    db->result = NULL;
    db->running = false;
    (void)db_await_all(db, deadline);
    return status;
}

static size_t find_query(const struct db *db, const struct db_query *query) {
    size_t index = 0;
    while (index < db->query_count && db->queries[index] != query)
        index++;
    return index;
}

enum status db_start(struct db *db, const struct db_query *query, const char *const *values,
                     int64_t deadline) {
    size_t index = find_query(db, query);
    if (index == db->query_count)
        return db_fail(db, STATUS_INTERNAL_ERROR, "", "the query is not one of this worker's");
    bool is_kept = db->session.connection != NULL;
    *db->sqlstate = '\0';
    for (;;) {
        enum status status = db_connect(db, deadline);
        if (status == STATUS_OK)
            status = start_once(db, index, values, deadline);
        if (status == STATUS_OK)
            return status;
        if (strcmp(db->sqlstate, lock_not_available) == 0 && deadline_left(deadline) > DB_GRACE_MS)
            continue;
        if (db_adapt(db))
            continue;
        if (!is_kept || !status_sqlstate_is_stale(db->sqlstate))
            return status;
        is_kept = false;
        db_disconnect(db);
    }
}

static enum cell_type cell_type_of(Oid type) {
    switch (type) {
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
        return CELL_INTEGER;
    case TYPE_DATE:
        return CELL_DATE;
    case TYPE_TIMESTAMP:
        return CELL_TIMESTAMP;
    default:
        return CELL_TEXT;
    }
}

static void read_columns(struct db *db) {
    const PGresult *result = db->result;
    int count = PQnfields(result);
    db->row.count = count < ROW_COLUMNS_MAX ? (size_t)count : ROW_COLUMNS_MAX;
    for (int i = 0; i < (int)db->row.count; i++) {
        db->row.cells[i] = (struct cell){
            .name = PQfname(result, i),
            .type = cell_type_of(PQftype(result, i)),
        };
    }
}

const struct row *db_columns(struct db *db) {
    read_columns(db);
    return &db->row;
}

static const struct row *read_row(struct db *db) {
    const PGresult *result = db->result;
    read_columns(db);
    for (int i = 0; i < (int)db->row.count; i++) {
        struct cell *cell = &db->row.cells[i];
        cell->text = PQgetisnull(result, 0, i) ? NULL : PQgetvalue(result, 0, i);
        cell->length = (size_t)PQgetlength(result, 0, i);
    }
    return &db->row;
}

enum status db_next_row(struct db *db, int64_t deadline, const struct row **row) {
    *row = NULL;
    if (!db->fetched) {
        PQclear(db->result);
        db->result = NULL;
        enum status status = db_await_result(db, deadline, &db->result);
        if (status != STATUS_OK)
            return status;
    }
    db->fetched = false;
    ExecStatusType kind = PQresultStatus(db->result);
    if (kind == PGRES_SINGLE_TUPLE) {
        *row = read_row(db);
        return STATUS_OK;
    }
    enum status failure = kind == PGRES_TUPLES_OK ? STATUS_OK : db_fail_result(db, db->result);
    if (!db->session.connection)
        return failure;
    db->running = false;
    enum status status = db_await_all(db, deadline);
    return failure != STATUS_OK ? failure : status;
}

void db_end(struct db *db) {
    if (db->running)
        db_disconnect(db);
    PQclear(db->result);
    db->result = NULL;
    db->fetched = false;
}

/* A server that does not answer costs only its share of the time when there are others. */
static int64_t patience(const struct db *db, int64_t deadline) {
    size_t servers = hosts_size(&db->hosts);
    return servers > 1 ? deadline_in(deadline_left(deadline) / (int)servers) : deadline;
}

/* Asks over an existing connection, which may have gone stale. */
static enum status ask_kept(struct db *db, int64_t deadline) {
    const struct candidate candidate = db->session.candidate;
    enum status status = db_ask_state(db, patience(db, deadline));
    bool is_one = hosts_size(&db->hosts) < 2;
    if (status == STATUS_OK || (is_one && !status_sqlstate_is_stale(db->sqlstate)))
        return status;
    if (status == STATUS_TIMEOUT || status == STATUS_LAGGING)
        hosts_leave_out(&db->hosts, &candidate);
    db_disconnect(db);
    return db_connect(db, deadline); /* which asks for the state too */
}

enum status db_read_state(struct db *db, int64_t deadline) {
    db_renew(db, deadline);
    return db->session.connection ? ask_kept(db, deadline) : db_connect(db, deadline);
}
