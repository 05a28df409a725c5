/* A connection to one address, with what the environment says of it, and why it failed. */
#include "db_private.h"

#include "config.h"

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

/* What we cannot tell apart ourselves, since default_transaction_read_only is a setting of ours,
 * is left to libpq, and that setting to the server. */
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

/* What libpq says of a connection that failed, without the names it quotes (hosts, roles, files)
 * and without an SQLSTATE's severity. There may be several lines, and hints below some; the last
 * line that is no hint speaks. */
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
    describe_failure(PQerrorMessage(db->session.connection), text);
    db_disconnect(db);
    bool is_sqlstate =
        strlen(text) == 5 && strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5;
    if (!is_sqlstate)
        return db_fail(db, STATUS_UNAVAILABLE, "", text);
    const char *reason = status_sqlstate_reason(text);
    return db_fail(db, STATUS_UNAVAILABLE, text,
                   reason ? reason : "the database refused the connection");
}

/* How long TCP waits for the other side to take what was sent: no longer than a server's share. */
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
    /* libpq passes over a value that is NULL or empty. */
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

/* What a function says on the way (RAISE NOTICE) is nobody's answer; libpq would print it. */
static void ignore_notice(void *argument, const PGresult *notice) {
    (void)argument;
    (void)notice;
}

enum status db_establish(struct db *db, const struct candidate *candidate, const char *options,
                         int64_t deadline) {
    PGconn *connection = db->session.connection = start_connection(db, candidate, options);
    if (!connection || PQstatus(connection) == CONNECTION_BAD)
        return fail_connection(db);
    (void)PQsetErrorVerbosity(connection, PQERRORS_SQLSTATE);
    (void)PQsetNoticeReceiver(connection, ignore_notice, NULL);
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (state != PGRES_POLLING_OK) {
        if (!db_wait_for(connection, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline))
            return db_fail_timeout(db);
        state = PQconnectPoll(connection);
        if (state == PGRES_POLLING_FAILED)
            return fail_connection(db);
    }
    return STATUS_OK;
}
