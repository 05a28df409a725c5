/* The database: one connection a process, prepared statements, time limits, rows one by one. */
#ifndef DB_H
#define DB_H

#include "row.h"
#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DB_VALIDATOR_SIZE = 512,
    DB_VERIFIER_SIZE = 256,
    DB_GRACE_MS = 200, /* the server's own limits answer first and spare the connection: give a
                          deadline this much more than the limit */
};

struct config;
struct db;

/* Whether a handle's transactions may write. The role's rights apply as well. */
enum db_access { DB_READ_ONLY, DB_READ_WRITE };

/* A statement, prepared under its name on every connection. Its parameters are $1, $2 and so on, of
 * the types that PostgreSQL infers. */
struct db_query {
    const char *name;
    const char *sql;
};

/* A handle without a connection yet; the configuration must outlive it. One that writes looks for a
 * primary, and takes a standby where there is none. NULL when out of memory. */
struct db *db_open(const struct config *config, enum db_access access);
void db_close(struct db *db);

/* Prepares a query on every connection made from now on. The query must outlive the handle. */
void db_add_query(struct db *db, const struct db_query *query);

/* Connects if there is no connection, and prepares the queries. Deadlines are those of deadline.h;
 * every function here returns by then. */
enum status db_connect(struct db *db, int64_t deadline);

/* Starts a query and waits for its first row. values has a text for each of the query's parameters,
 * NULL for SQL's NULL; it may be NULL itself when there are none, and must stay valid until the
 * call returns. A connection that went stale while idle is made again, once. After STATUS_OK, read
 * the rows with db_next_row and call db_end, whatever happens. */
__attribute__((warn_unused_result)) enum status
db_start(struct db *db, const struct db_query *query, const char *const *values, int64_t deadline);

/* The columns of a started query, without texts. Valid until the first row is read.
 */
const struct row *db_columns(struct db *db);

/* STATUS_OK with *row set, or with *row NULL after the last. */
__attribute__((warn_unused_result)) enum status db_next_row(struct db *db, int64_t deadline,
                                                            const struct row **row);

/* Ends the query. If it was not read to its end, the connection is closed. */
void db_end(struct db *db);

/* What a server says of its data. */
struct db_state {
    /* Changes whenever anything changes that a later query could see: server, crash recovery or
     * snapshot. Empty when dozens of transactions are under way: it would have to list them. */
    char validator[DB_VALIDATOR_SIZE];
    int64_t as_of_ms; /* since 1970: the server holds all changes up to then */
    bool is_standby;
};

/* Asks for the state. A server that does not answer, or a standby that is too far behind, is
 * replaced by the next one; an old connection is replaced if a preferred server is available. */
__attribute__((warn_unused_result)) enum status db_read_state(struct db *db, int64_t deadline);

/* The state read last. Once a query has started, it is the state that the same server reported just
 * before the query. */
const struct db_state *db_state(const struct db *db);

/* Whether the last failure was a conflict with another transaction or with a standby's replay: the
 * query may succeed when it is started again. */
bool db_met_conflict(const struct db *db);

/* Whether the last failure was only that no server could be reached, which may pass. */
bool db_is_away(const struct db *db);

/* Whether the last failure was that the server refused the role or its password. */
bool db_is_refused(const struct db *db);

/* Writes what PostgreSQL keeps of a password: a SCRAM verifier of letters, digits and "$:+/=-".
 * It differs each time. False when libpq cannot make one. */
__attribute__((warn_unused_result)) bool db_make_verifier(const char *password,
                                                          char verifier[DB_VERIFIER_SIZE]);

/* Why the last call failed, fit for a log: no SQL, host or password in it. */
const char *db_reason(const struct db *db);

#endif
