/* Connects to one address with the environment's options, and says why that failed. */
#include "db_private.h"

#include "config.h"
#include "failure.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TCP_UNANSWERED_MS_MIN = 500,
    TCP_UNANSWERED_MS_MAX = 5000,
    NUMBER_SIZE = 24, /* of any long, in text */
};

static const char *find_default(const PQconninfoOption *option, const char *keyword) {
    for (; option && option->keyword; option++) {
        if (strcmp(option->keyword, keyword) == 0)
            return option->val && *option->val ? option->val : NULL;
    }
    return NULL;
}

/* "read-only" and "read-write" depend on default_transaction_read_only, which is a setting of ours.
 * So libpq decides those, and we leave that setting to the server. */
static void read_preference(struct db *db, const char *target) {
    static const struct {
        const char *name;
        enum preference preference;
    } targets[] = {
        {"any", ANY},
        {"primary", PRIMARY_ONLY},
        {"standby", STANDBY_ONLY},
        {"prefer-standby", STANDBY_FIRST},
    };
    db->target = "any";
    db->preference = db->access == DB_READ_WRITE ? PRIMARY_FIRST : ANY;
    if (!target || db->access == DB_READ_WRITE)
        return;
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        if (strcmp(targets[i].name, target) == 0) {
            db->preference = targets[i].preference;
            return;
        }
    }
    db->target = NULL;
    settings_leave_out(db->settings, "default_transaction_read_only");
}

static bool is_balanced(const PQconninfoOption *defaults) {
    const char *how = find_default(defaults, "load_balance_hosts");
    if (!how)
        how = getenv("PGLOADBALANCEHOSTS"); /* libpq before 16 does not know it */
    return how && strcmp(how, "random") == 0;
}

void db_read_servers(struct db *db) {
    const struct config *config = db->config;
    PQconninfoOption *defaults = PQconndefaults();
    const char *options = find_default(defaults, "options");
    const char *host = config->database_host, *port = config->database_port;
    hosts_read(&db->hosts, host ? host : find_default(defaults, "host"),
               host ? NULL : find_default(defaults, "hostaddr"),
               port ? port : find_default(defaults, "port"));
    db->hosts.is_shuffled = is_balanced(defaults);
    settings_list(config, db->access, db->settings);
    read_preference(db, find_default(defaults, "target_session_attrs"));
    if (!settings_options(db->settings, options ? options : "", db->options, sizeof db->options))
        *db->options = '\0';
    PQconninfoFree(defaults);
}

static const char *describe(const char *cause) {
    if (!failure_is_sqlstate(cause))
        return cause;
    const char *reason = status_sqlstate_reason(cause);
    return reason ? reason : "the database refused the connection";
}

/* Where TLS failed and libpq went on without it, both causes count. Where the server itself
 * refused, a second refusal (28000), with TLS or without it, says nothing more. */
static enum status fail_connection(struct db *db) {
    struct failure failure;
    char reason[REASON_SIZE];
    failure_read(PQerrorMessage(db->session.connection), &failure);
    if (failure_is_sqlstate(failure.before) && strcmp(failure.cause, "28000") == 0)
        memcpy(failure.cause, failure.before, sizeof failure.cause);
    db_disconnect(db);
    bool is_of_tls = failure_is_of_tls(failure.cause);
    bool was_of_tls = !is_of_tls && failure_is_of_tls(failure.before);
    (void)snprintf(reason, sizeof reason, "%s%s%s%s", is_of_tls ? "TLS failed: " : "",
                   describe(failure.cause), was_of_tls ? "; before that, TLS failed: " : "",
                   was_of_tls ? failure.before : "");
    return db_fail(db, STATUS_UNAVAILABLE, failure_is_sqlstate(failure.cause) ? failure.cause : "",
                   reason);
}

bool db_uses_tls(const struct db *db) {
    return PQsslInUse(db->session.connection);
}

/* How long TCP waits for an acknowledgement of what was sent: no longer than a server's share of
 * the time. */
static long tcp_limit(const struct db *db) {
    size_t servers = hosts_size(&db->hosts);
    long limit = db->config->statement_timeout_ms / (servers > 2 ? (long)servers : 2);
    if (limit < TCP_UNANSWERED_MS_MIN)
        return TCP_UNANSWERED_MS_MIN;
    return limit > TCP_UNANSWERED_MS_MAX ? TCP_UNANSWERED_MS_MAX : limit;
}

static PGconn *start_connection(const struct db *db, const struct candidate *candidate,
                                const char *options) {
    const struct config *config = db->config;
    char unanswered[NUMBER_SIZE];
    (void)snprintf(unanswered, sizeof unanswered, "%ld", tcp_limit(db));
    /* libpq ignores a value that is NULL or empty. */
    const char *const pairs[][2] = {
        {"host", candidate->name},
        {"hostaddr", candidate->address},
        {"port", candidate->port},
        {"dbname", config->database_name},
        {"user", config->database_user},
        {"password", config->database_password},
        {"options", options},
        {"client_encoding", "UTF8"},
        {"target_session_attrs", db->target},
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

/* Without this, libpq would print notices (RAISE NOTICE) to standard error. */
static void ignore_notice(void *argument, const PGresult *notice) {
    (void)argument;
    (void)notice;
}

enum status db_establish(struct db *db, const struct candidate *candidate, const char *options,
                         int64_t deadline) {
    PGconn *connection = db->session.connection = start_connection(db, candidate, options);
    db->is_away = true;
    if (!connection || PQstatus(connection) == CONNECTION_BAD)
        return fail_connection(db);
    (void)PQsetErrorVerbosity(connection, PQERRORS_SQLSTATE);
    (void)PQsetNoticeReceiver(connection, ignore_notice, NULL);
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (state != PGRES_POLLING_OK) {
        /* READING: the server is there, and an answer is awaited. */
        db->is_away = db->is_away && state != PGRES_POLLING_READING;
        if (!db_wait_for(connection, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline))
            return db_fail_timeout(db);
        state = PQconnectPoll(connection);
        if (state == PGRES_POLLING_FAILED)
            return fail_connection(db);
    }
    return STATUS_OK;
}
