/* What the db_ files share. The only file that includes libpq. */
#ifndef DB_PRIVATE_H
#define DB_PRIVATE_H

#include "db.h"
#include "hosts.h"
#include "lag.h"
#include "settings.h"

#include <libpq-fe.h>

enum {
    REASON_SIZE = 384,
    QUERIES_MAX = 32,
    STEPS_MAX = 16,
    OPTIONS_SIZE = 2 * SETTINGS_SIZE,
};

/* The module's own queries; they come before the registered ones. */
enum {
    BEGIN_READING,
    BEGIN_WRITING,
    COMMIT,
    LOOK,
    VALIDATOR,
    SERVER,
    STANDBY,
    NAMES,
    FORGET_NAMES,
    OWN_QUERIES
};
extern const struct db_query db_own_queries[OWN_QUERIES];

/* Which servers a handle accepts. */
enum preference { ANY, PRIMARY_ONLY, STANDBY_ONLY, PRIMARY_FIRST, STANDBY_FIRST };

/* A connection and what is known of it. */
struct session {
    PGconn *connection; /* NULL or established */
    struct candidate candidate;
    int64_t renew_at;
    bool is_pooled;      /* each transaction may have another server process, shared with others */
    bool sends_settings; /* with each query, for its transaction only */
    bool has_names;      /* prepared statements can have names */
    bool prepared[QUERIES_MAX];
    char server[LAG_SERVER_SIZE];
};

/* A step that was sent. Results come in the order of the steps. */
struct step {
    size_t query;
    bool is_parse;
};

struct db {
    const struct config *config;
    enum db_access access;
    enum preference preference;
    const char *target; /* what libpq itself is to look for (target_session_attrs) */
    char settings[SETTINGS_SIZE];
    char options[OPTIONS_SIZE]; /* the settings as startup options */
    struct hosts hosts;
    const struct db_query *queries[QUERIES_MAX];
    size_t parameter_counts[QUERIES_MAX];
    size_t query_count;
    struct session session;
    struct step steps[STEPS_MAX];
    size_t step, step_count;
    bool adapted;     /* the session has adapted: try again */
    PGresult *result; /* of the row handed out last, or fetched ahead */
    bool fetched;     /* result has not been handed out yet */
    bool running;     /* the query's end has not been read */
    struct row row;
    struct db_state state;
    bool has_sighting; /* the members that follow came with the state */
    struct lag_sighting sighting;
    struct lag_memory memory;
    int64_t believed_until; /* until then, a standby's lag is not checked again */
    int process;            /* the server process that answered the last look */
    bool settings_hold;     /* at the last look */
    bool passes_names;      /* the server knew a statement by the name we gave it */
    int64_t asked_ms;       /* when the state was asked for, since 1970 */
    bool is_away;           /* no server was reached when it was last tried to connect */
    char sqlstate[6];       /* of the last failure; empty when the server said nothing */
    char reason[REASON_SIZE];
    char logged[REASON_SIZE]; /* the reason of the last connection failure that was logged */
};

/* db_exchange.c: statements and results, as pipelines that end with a Sync. */

/* Each notes why something failed, and returns the status. */
enum status db_fail(struct db *db, enum status status, const char *sqlstate, const char *reason);
enum status db_fail_timeout(struct db *db);
enum status db_fail_broken(struct db *db);
enum status db_fail_result(struct db *db, const PGresult *result);
void db_disconnect(struct db *db);

bool db_wait_for(const PGconn *connection, short events, int64_t deadline);

/* Each adds to what is sent next. Returns false when the connection broke. */
bool db_add_parse(struct db *db, size_t query);
bool db_add(struct db *db, size_t query, const char *const *values);
bool db_add_state(struct db *db);

/* Adds what a query needs before and after it when the session is shared: settings, and a look at
 * the server. */
bool db_add_before(struct db *db);
bool db_add_behind(struct db *db);

/* Sends what was added. Returns false when the connection broke. */
bool db_send(struct db *db);

/* The next result of the step under way, or NULL at its end. */
enum status db_await_result(struct db *db, int64_t deadline, PGresult **result);

/* Reads the step under way to its end. */
enum status db_await_step(struct db *db, int64_t deadline);

/* Reads all steps to their end, and leaves the transaction if they left it open. The first error
 * counts. */
enum status db_await_all(struct db *db, int64_t deadline);

/* db_state.c: what a server says of itself. */

/* Takes in a row of one of our own queries. */
enum status db_take_row(struct db *db, size_t query, const PGresult *result);

/* Whether a standby is further behind than MAX_REPLICA_LAG_MS. */
bool db_is_behind(const struct db *db);

/* Asks for the state. When a standby seems to be behind, asks again for a while. */
enum status db_ask_state(struct db *db, int64_t deadline);
enum status db_judge_state(struct db *db, int64_t deadline);

/* db_session.c: how a new connection is to be used. */
enum status db_open_session(struct db *db, int64_t deadline);
enum status db_prepare_all(struct db *db, int64_t deadline);
bool db_adapt(struct db *db);

/* db_connect.c: one connection. options may be NULL. */
void db_read_servers(struct db *db);
enum status db_establish(struct db *db, const struct candidate *candidate, const char *options,
                         int64_t deadline);

bool db_uses_tls(const struct db *db);

/* db_find.c: finds a suitable server. db_renew looks for a preferred one when that is due. */
enum status db_find_server(struct db *db, int64_t deadline);
void db_renew(struct db *db, int64_t deadline);

#endif
