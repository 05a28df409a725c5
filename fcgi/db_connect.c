/* Finds a server: each one on the list gets its share of the time, and the first that suits is
 * taken. libpq would spend all of it on one that says nothing. */
#include "db_private.h"

#include "config.h"
#include "deadline.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SHARE_MS_MIN = 100,
    RENEW_MS = 500, /* of a request's time, for the look at servers that are preferred */
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

static enum status establish(struct db *db, const struct candidate *candidate, const char *options,
                             int64_t deadline) {
    PGconn *connection = db->session.connection = start_connection(db, candidate, options);
    if (!connection || PQstatus(connection) == CONNECTION_BAD)
        return fail_connection(db);
    (void)PQsetErrorVerbosity(connection, PQERRORS_SQLSTATE);
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

/* A pooler takes no startup options: 08P01 from most, 0A000 from some. */
static bool refused_options(const struct db *db) {
    return strcmp(db->sqlstate, "08P01") == 0 || strcmp(db->sqlstate, "0A000") == 0;
}

static enum status open_with(struct db *db, const struct candidate *candidate, const char *options,
                             int64_t deadline) {
    enum status status = establish(db, candidate, options, deadline);
    return status == STATUS_OK ? db_open_session(db, deadline) : status;
}

/* One that silently drops the options, or some of them, would set the others on its servers again
 * and again. */
static bool swallowed_options(const struct db *db) {
    return db->session.connection && db->session.is_pooled;
}

static enum status try(struct db *db, const struct candidate *candidate, int64_t deadline) {
    enum status status = open_with(db, candidate, db->options, deadline);
    if (swallowed_options(db) || (status == STATUS_UNAVAILABLE && refused_options(db))) {
        db_disconnect(db);
        status = open_with(db, candidate, NULL, deadline);
    }
    if (status == STATUS_TIMEOUT || status == STATUS_LAGGING)
        hosts_leave_out(&db->hosts, candidate);
    if (status != STATUS_OK) {
        db_disconnect(db);
        return status;
    }
    int64_t now = clock_milliseconds(CLOCK_MONOTONIC);
    db->session.candidate = *candidate;
    db->session.renew_at = hosts_renew_at(now, (unsigned)getpid());
    return STATUS_OK;
}

static bool suits(const struct db *db, bool is_standby) {
    switch (db->preference) {
    case PRIMARY_ONLY:
    case PRIMARY_FIRST:
        return !is_standby;
    case STANDBY_ONLY:
    case STANDBY_FIRST:
        return is_standby;
    default:
        return true;
    }
}

/* A connection that is not preferred, kept for the case that there is none that is. */
struct spare {
    struct session session;
    struct db_state state;
};

static bool put_aside(struct db *db, struct spare *spare) {
    bool is_wanted = db->preference == PRIMARY_FIRST || db->preference == STANDBY_FIRST;
    if (!is_wanted || spare->session.connection)
        return false;
    *spare = (struct spare){db->session, db->state};
    db->session = (struct session){0};
    return true;
}

static void take_back(struct db *db, const struct spare *spare) {
    db->session = spare->session;
    db->state = spare->state;
}

/* With a connection in hand it is half of the time: the others are just looked at. */
static int64_t share_of(const struct db *db, bool has_other, int64_t deadline) {
    size_t others = has_other ? 1 : hosts_still_to_try(&db->hosts);
    int share = deadline_left(deadline) / (int)(others + 1);
    return deadline_in(share > SHARE_MS_MIN ? share : SHARE_MS_MIN);
}

static enum status fail_no_address(struct db *db) {
    char reason[REASON_SIZE];
    (void)snprintf(reason, sizeof reason, "no server's name could be resolved: %s",
                   db->hosts.trouble ? db->hosts.trouble : "no address");
    return db_fail(db, STATUS_UNAVAILABLE, "", reason);
}

/* One that does not suit is put aside or given up. */
static enum status consider(struct db *db, struct spare *spare) {
    if (suits(db, db->state.is_standby))
        return STATUS_OK;
    if (!put_aside(db, spare))
        db_disconnect(db);
    return db_fail(db, STATUS_UNAVAILABLE, "",
                   db->state.is_standby
                       ? "only standbys can be reached, and a primary is asked for"
                       : "only a primary can be reached, and a standby is asked for");
}

/* Walks over the servers until one suits. Reaching the one that is in use, and suits, ends the
 * walk: none that is preferred can be had. */
static enum status walk(struct db *db, int64_t deadline, const struct spare *in_use,
                        struct spare *spare) {
    struct candidate candidate;
    enum status status = STATUS_UNAVAILABLE;
    hosts_start(&db->hosts);
    while (deadline_left(deadline) > 0 && hosts_next(&db->hosts, &candidate)) {
        bool is_in_use = in_use && hosts_are_same(&candidate, &in_use->session.candidate);
        if (is_in_use && suits(db, in_use->state.is_standby))
            break;
        if (is_in_use)
            continue;
        status = try(db, &candidate, share_of(db, in_use || spare->session.connection, deadline));
        if (status == STATUS_OK)
            status = consider(db, spare);
        if (status == STATUS_OK)
            break;
    }
    return status;
}

enum status db_find_server(struct db *db, int64_t deadline) {
    struct spare spare = {0};
    *db->reason = '\0';
    enum status status = walk(db, deadline, NULL, &spare);
    if (status == STATUS_OK) {
        PQfinish(spare.session.connection);
        return STATUS_OK;
    }
    if (spare.session.connection) {
        take_back(db, &spare);
        return STATUS_OK;
    }
    return *db->reason ? status : fail_no_address(db);
}

void db_renew(struct db *db, int64_t deadline) {
    struct spare spare = {0}, in_use = {db->session, db->state};
    int64_t now = clock_milliseconds(CLOCK_MONOTONIC);
    if (!in_use.session.connection || hosts_size(&db->hosts) < 2 || now < in_use.session.renew_at)
        return;
    int half = deadline_left(deadline) / 2;
    db->session = (struct session){0};
    (void)walk(db, deadline_in(half < RENEW_MS ? half : RENEW_MS), &in_use, &spare);
    PQfinish(spare.session.connection);
    if (db->session.connection) {
        PQfinish(in_use.session.connection);
        return;
    }
    take_back(db, &in_use);
    db->session.renew_at = hosts_renew_at(now, (unsigned)getpid());
}
