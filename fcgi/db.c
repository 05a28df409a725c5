/* The only module that includes libpq. Every wait has a deadline of its own, because a stopped
 * server answers neither a query nor a request to cancel it. */
#include "db.h"

#include "config.h"
#include "deadline.h"
#include "json.h"
#include "log.h"
#include "sql.h"

#include <assert.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REASON_SIZE = 256,
    NUMBER_SIZE = 24, /* of any long, in text */
    QUERIES_MAX = 32,
    LOCK_WAIT_MS_MAX = 500,      /* well below deadlock_timeout, see lock_wait */
    SEND_STALL_MS = 30000,       /* how long a client may take nothing while rows are under way */
    CHECK_CLIENT_MS = 500,       /* the server gives up a query this long after its worker left */
    TCP_UNANSWERED_MS_MIN = 500, /* of tcp_user_timeout, where the limit is very short */
};

/* Type codes of PostgreSQL (pg_type.dat); libpq has no names for them. */
enum {
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_DATE = 1082,
    TYPE_TIMESTAMP = 1114,
};

static const char lock_not_available[] = "55P03";

struct db {
    const struct config *config;
    enum db_access access;
    const struct db_query *queries[QUERIES_MAX];
    size_t query_count;
    bool prepared[QUERIES_MAX];
    PGconn *connection; /* NULL or established */
    PGresult *result;   /* of the row handed out last, or fetched ahead */
    bool fetched;       /* result has not been handed out yet */
    bool running;       /* the query's end has not been read */
    struct row row;
    char identity[DB_VALIDATOR_SIZE / 2];
    char sqlstate[6]; /* of the last failure; empty when the server said nothing */
    char reason[REASON_SIZE];
    char logged[REASON_SIZE]; /* the reason of the last connection failure that was logged */
};

static const struct db_query validator_query = {"validator", sql_worker_validator, 0};

struct db *db_open(const struct config *config, enum db_access access) {
    struct db *db = calloc(1, sizeof *db);
    if (!db)
        return NULL;
    /* The one wait without a deadline is libpq's for a name server (resolv.conf(5)). */
    (void)setenv("RES_OPTIONS", "timeout:1 attempts:1", 0);
    db->config = config;
    db->access = access;
    db_add_query(db, &validator_query);
    return db;
}

void db_add_query(struct db *db, const struct db_query *query) {
    assert(db->query_count < QUERIES_MAX);
    db->queries[db->query_count++] = query;
}

static void disconnect(struct db *db) {
    PQclear(db->result);
    db->result = NULL;
    db->running = false;
    PQfinish(db->connection);
    db->connection = NULL;
    memset(db->prepared, 0, sizeof db->prepared);
}

void db_close(struct db *db) {
    if (db)
        disconnect(db);
    free(db);
}

const char *db_reason(const struct db *db) {
    return db->reason;
}

/* Notes why something failed. */
static enum status fail(struct db *db, enum status status, const char *sqlstate,
                        const char *reason) {
    (void)snprintf(db->sqlstate, sizeof db->sqlstate, "%s", sqlstate);
    (void)snprintf(db->reason, sizeof db->reason, "%s%s%s", sqlstate, *sqlstate ? " " : "", reason);
    return status;
}

static enum status fail_timeout(struct db *db) {
    disconnect(db); /* whatever comes on it later is no answer to anything any more */
    return fail(db, STATUS_TIMEOUT, "", "the database did not answer within the limit");
}

static enum status fail_broken(struct db *db) {
    disconnect(db);
    return fail(db, STATUS_UNAVAILABLE, "08006", "the connection to the database broke");
}

static enum status fail_result(struct db *db, const PGresult *result) {
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (!sqlstate || PQstatus(db->connection) != CONNECTION_OK)
        return fail_broken(db);
    const char *reason = status_sqlstate_reason(sqlstate);
    if (!reason)
        reason = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    return fail(db, status_from_sqlstate(sqlstate), sqlstate, reason ? reason : "");
}

static bool wait_for(const PGconn *connection, short events, int64_t deadline) {
    struct pollfd ready = {.fd = PQsocket(connection), .events = events};
    int count;
    do
        count = poll(&ready, 1, deadline_left(deadline));
    while (count < 0 && deadline_left(deadline) > 0);
    return count == 1;
}

/* The next result of what was sent, or NULL after the last. */
static enum status await_result(struct db *db, int64_t deadline, PGresult **result) {
    PGconn *connection = db->connection;
    *result = NULL;
    for (;;) {
        int unsent = PQflush(connection);
        if (unsent < 0)
            return fail_broken(db);
        if (unsent == 0 && !PQisBusy(connection))
            break;
        if (!wait_for(connection, unsent ? POLLIN | POLLOUT : POLLIN, deadline))
            return fail_timeout(db);
        if (!PQconsumeInput(connection))
            return fail_broken(db);
    }
    *result = PQgetResult(connection);
    return STATUS_OK;
}

/* Reads to the end of what was sent. Keeps the first error. */
static enum status await_end(struct db *db, int64_t deadline) {
    enum status outcome = STATUS_OK;
    PGresult *result;
    for (;;) {
        enum status status = await_result(db, deadline, &result);
        if (status != STATUS_OK)
            return outcome != STATUS_OK ? outcome : status;
        if (!result)
            return outcome;
        ExecStatusType kind = PQresultStatus(result);
        if (outcome == STATUS_OK && kind != PGRES_COMMAND_OK && kind != PGRES_TUPLES_OK)
            outcome = fail_result(db, result);
        PQclear(result);
        if (!db->connection)
            return outcome;
    }
}

/* What libpq says of a connection that failed, without the names it quotes (hosts, roles, files)
 * and without an SQLSTATE's severity. With several hosts there is a line for each, and hints below
 * some; the last line that is no hint speaks. */
static void describe_failure(const char *message, char text[REASON_SIZE]) {
    const char *line = "";
    for (const char *next = message; *next; next += strspn(next, "\n")) {
        if (*next != '\t')
            line = next;
        next += strcspn(next, "\n");
    }
    const char *end = line + strcspn(line, "\n");
    const char *server = strstr(line, "failed: "); /* 'connection to server at "…" failed: ' */
    if (server && server < end)
        line = server + strlen("failed: ");
    const char *severity = strstr(line, ":  ");
    if (severity && severity < end)
        line = severity + strlen(":  ");
    size_t length = 0;
    bool quoted = false;
    for (; line < end && length < REASON_SIZE - 1; line++) {
        if (*line == '"')
            quoted = !quoted;
        if (!quoted || *line == '"')
            text[length++] = *line;
    }
    text[length] = '\0';
}

/* The message ends with an SQLSTATE where the server itself refused (PQERRORS_SQLSTATE). */
static enum status fail_connection(struct db *db) {
    char text[REASON_SIZE];
    describe_failure(PQerrorMessage(db->connection), text);
    PQfinish(db->connection);
    db->connection = NULL;
    bool is_sqlstate =
        strlen(text) == 5 && strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5;
    if (!is_sqlstate)
        return fail(db, STATUS_UNAVAILABLE, "", text);
    const char *reason = status_sqlstate_reason(text);
    return fail(db, STATUS_UNAVAILABLE, text,
                reason ? reason : "the database refused the connection");
}

static PGconn *start_connection(const struct config *config) {
    char unanswered[NUMBER_SIZE];
    long limit = config->statement_timeout_ms / 2;
    if (limit < TCP_UNANSWERED_MS_MIN)
        limit = TCP_UNANSWERED_MS_MIN;
    (void)snprintf(unanswered, sizeof unanswered, "%ld", limit);
    /* libpq passes over a NULL value. */
    const char *const pairs[][2] = {
        {"host", config->database_host},
        {"port", config->database_port},
        {"dbname", config->database_name},
        {"user", config->database_user},
        {"password", config->database_password},
        {"fallback_application_name", "coworking-analytics"},
        {"keepalives_idle", "30"},
        {"keepalives_interval", "5"},
        {"keepalives_count", "3"},
        {"tcp_user_timeout", unanswered},
        {"gssencmode",
         getenv("PGGSSENCMODE") ? NULL : "disable"}, /* saves memory and a round trip */
    };
    enum { PAIRS = sizeof pairs / sizeof pairs[0] };
    const char *keywords[PAIRS + 1] = {NULL}, *values[PAIRS + 1] = {NULL};
    for (size_t i = 0; i < PAIRS; i++) {
        keywords[i] = pairs[i][0];
        values[i] = pairs[i][1];
    }
    return PQconnectStartParams(keywords, values, 0);
}

static enum status establish(struct db *db, int64_t deadline) {
    PGconn *connection = db->connection = start_connection(db->config);
    if (!connection || PQstatus(connection) == CONNECTION_BAD)
        return fail_connection(db);
    (void)PQsetErrorVerbosity(connection, PQERRORS_SQLSTATE);
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (state != PGRES_POLLING_OK) {
        if (!wait_for(connection, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline))
            return fail_timeout(db);
        state = PQconnectPoll(connection);
        if (state == PGRES_POLLING_FAILED)
            return fail_connection(db);
    }
    return PQsetnonblocking(connection, 1) == 0 ? STATUS_OK : fail_broken(db);
}

/* How long a query waits for a lock before it lets go of those it has and begins anew. A wait that
 * is over before anyone looks for a deadlock (deadlock_timeout, 1 s) cannot make a transaction of
 * the coworking service fail in our stead. Whole waits add up to the limit. */
static long lock_wait(long limit_ms) {
    long waits = (limit_ms + LOCK_WAIT_MS_MAX - 1) / LOCK_WAIT_MS_MAX;
    return limit_ms / waits;
}

static enum status set_up_session(struct db *db, int64_t deadline) {
    char lock_limit[NUMBER_SIZE], limit[NUMBER_SIZE], check[NUMBER_SIZE];
    long limit_ms = db->config->statement_timeout_ms;
    (void)snprintf(lock_limit, sizeof lock_limit, "%ld", lock_wait(limit_ms));
    (void)snprintf(limit, sizeof limit, "%ld", limit_ms + SEND_STALL_MS);
    (void)snprintf(check, sizeof check, "%d", CHECK_CLIENT_MS);
    const char *const values[] = {lock_limit, limit, check,
                                  db->access == DB_READ_ONLY ? "on" : "off"};
    const int count = sizeof values / sizeof values[0];
    if (!PQsendQueryParams(db->connection, sql_worker_session, count, NULL, values, NULL, NULL, 0))
        return fail_broken(db);
    PGresult *result;
    enum status status = await_result(db, deadline, &result);
    if (status != STATUS_OK)
        return status;
    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        (void)snprintf(db->identity, sizeof db->identity, "%s", PQgetvalue(result, 0, 0));
    else
        status = fail_result(db, result);
    PQclear(result);
    if (status == STATUS_OK)
        return await_end(db, deadline);
    if (db->connection)
        disconnect(db);
    return status;
}

static enum status prepare(struct db *db, size_t index, int64_t deadline) {
    const struct db_query *query = db->queries[index];
    if (!PQsendPrepare(db->connection, query->name, query->sql, 0, NULL))
        return fail_broken(db);
    enum status status = await_end(db, deadline);
    db->prepared[index] = status == STATUS_OK;
    return status;
}

static void log_failure(enum log_level level, const char *event, const struct db *db,
                        const char *query) {
    struct json_object *line = log_start(level, event);
    if (query)
        json_add_string(line, "query", query);
    json_add_string(line, "reason", db->reason);
    log_finish(line);
}

/* A statement that cannot be prepared is told of here, before a user meets it; its report then
 * tries again. */
static enum status prepare_all(struct db *db, int64_t deadline) {
    for (size_t i = 0; i < db->query_count; i++) {
        enum status status = prepare(db, i, deadline);
        if (status == STATUS_OK)
            continue;
        if (!db->connection)
            return status;
        log_failure(LOG_ERROR, "query_not_prepared", db, db->queries[i]->name);
    }
    return STATUS_OK;
}

enum status db_connect(struct db *db, int64_t deadline) {
    if (db->connection)
        return STATUS_OK;
    enum status status = establish(db, deadline);
    if (status == STATUS_OK)
        status = set_up_session(db, deadline);
    if (status == STATUS_OK) {
        log_text(LOG_INFO, "database_connected", "statements are being prepared");
        *db->logged = '\0';
        return prepare_all(db, deadline);
    }
    if (strcmp(db->logged, db->reason) != 0) /* once, not at every request */
        log_failure(LOG_ERROR, "database_unreachable", db, NULL);
    memcpy(db->logged, db->reason, sizeof db->logged);
    return status;
}

static enum status start_once(struct db *db, size_t index, const char *const *values,
                              int64_t deadline) {
    const struct db_query *query = db->queries[index];
    enum status status = db->prepared[index] ? STATUS_OK : prepare(db, index, deadline);
    if (status != STATUS_OK)
        return status;
    if (!PQsendQueryPrepared(db->connection, query->name, (int)query->parameter_count, values, NULL,
                             NULL, 0) ||
        !PQsetSingleRowMode(db->connection))
        return fail_broken(db);
    db->running = true;
    status = await_result(db, deadline, &db->result);
    if (status != STATUS_OK)
        return status;
    ExecStatusType kind = PQresultStatus(db->result);
    if (kind == PGRES_SINGLE_TUPLE || kind == PGRES_TUPLES_OK) {
        db->fetched = true;
        return STATUS_OK;
    }
    status = fail_result(db, db->result);
    if (db->connection) {
        PQclear(db->result);
        db->result = NULL;
        (void)await_end(db, deadline);
        db->running = false;
    }
    return status;
}

enum status db_start(struct db *db, const struct db_query *query, const char *const *values,
                     int64_t deadline) {
    size_t index = 0;
    while (index < db->query_count && db->queries[index] != query)
        index++;
    if (index == db->query_count)
        return fail(db, STATUS_INTERNAL_ERROR, "", "the query is not one of this worker's");
    bool kept = db->connection != NULL;
    for (;;) {
        enum status status = db_connect(db, deadline);
        if (status == STATUS_OK)
            status = start_once(db, index, values, deadline);
        if (status == STATUS_OK)
            return status;
        if (strcmp(db->sqlstate, lock_not_available) == 0 && deadline_left(deadline) > DB_GRACE_MS)
            continue;
        if (!kept || !status_sqlstate_is_stale(db->sqlstate))
            return status;
        kept = false;
        disconnect(db);
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
        enum status status = await_result(db, deadline, &db->result);
        if (status != STATUS_OK)
            return status;
    }
    db->fetched = false;
    ExecStatusType kind = PQresultStatus(db->result);
    if (kind == PGRES_SINGLE_TUPLE) {
        *row = read_row(db);
        return STATUS_OK;
    }
    if (kind != PGRES_TUPLES_OK)
        return fail_result(db, db->result);
    enum status status = await_end(db, deadline);
    db->running = status != STATUS_OK;
    return status;
}

void db_end(struct db *db) {
    if (db->running)
        disconnect(db);
    PQclear(db->result);
    db->result = NULL;
    db->fetched = false;
}

enum status db_read_validator(struct db *db, int64_t deadline, char validator[DB_VALIDATOR_SIZE]) {
    const struct row *row = NULL;
    enum status status = db_start(db, &validator_query, NULL, deadline);
    if (status != STATUS_OK)
        return status;
    status = db_next_row(db, deadline, &row);
    if (status == STATUS_OK && (!row || !row->cells[0].text))
        status = fail(db, STATUS_INTERNAL_ERROR, "", "the database gave no validator");
    if (status == STATUS_OK) {
        int length =
            snprintf(validator, DB_VALIDATOR_SIZE, "%s %s", db->identity, row->cells[0].text);
        if (length >= DB_VALIDATOR_SIZE) /* what is cut off may be what changes */
            *validator = '\0';
        status = db_next_row(db, deadline, &row); /* there is no second one */
    }
    db_end(db);
    return status;
}

bool db_validator_holds(const struct db *db, const char *validator) {
    size_t length = strlen(db->identity);
    return strncmp(validator, db->identity, length) == 0 && validator[length] == ' ';
}
