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
    DB_GRACE_MS = 200, /* the server's own limits answer first and spare the connection: give a
                          deadline this much more than the limit */
};

struct config;
struct db;

/* What the database lets a handle's sessions do; rights come on top of that. */
enum db_access { DB_READ_ONLY, DB_READ_WRITE };

/* A statement: prepared under its name on every connection. Its parameters are $1 to
 * $parameter_count, of the types that PostgreSQL infers. */
struct db_query {
    const char *name;
    const char *sql;
    size_t parameter_count;
};

/* A handle without a connection yet; the configuration must outlive it. One that writes looks for a
 * primary, and takes a standby where there is none. NULL when out of memory. */
struct db *db_open(const struct config *config, enum db_access access);
void db_close(struct db *db);

/* Has a query prepared on every connection made from now on; it must outlive the handle. */
void db_add_query(struct db *db, const struct db_query *query);

/* Makes the connection if there is none, and prepares what is not prepared. Deadlines are those of
 * deadline.h; every function here returns by then. */
enum status db_connect(struct db *db, int64_t deadline);

/* Starts a query and waits for its first row. There is a value for each of the query's parameters,
 * in text, NULL for SQL's NULL; they are needed until the call returns, and may be NULL as a whole
 * when there are none. A connection that went stale while idle is made anew
 * once. After STATUS_OK read the rows with db_next_row and end with db_end, whatever happens. */
__attribute__((warn_unused_result)) enum status
db_start(struct db *db, const struct db_query *query, const char *const *values, int64_t deadline);

/* The columns of a query that has been started, without texts; valid until its first row is read.
 */
const struct row *db_columns(struct db *db);

/* STATUS_OK with *row set, or with *row NULL after the last. */
__attribute__((warn_unused_result)) enum status db_next_row(struct db *db, int64_t deadline,
                                                            const struct row **row);

/* Ends the query; one that was not read to its end costs the connection. */
void db_end(struct db *db);

/* What a server said of the data it holds. */
struct db_state {
    /* Changes whenever anything that a query started afterwards could see has changed: server,
     * crash recovery and snapshot. Empty when dozens of transactions are under way, whose list it
     * would have to hold. */
    char validator[DB_VALIDATOR_SIZE];
    int64_t as_of_ms; /* since 1970: it holds all changes up to then */
    bool is_standby;
};

/* Asks for the state. Here a server that says nothing, or a standby that is too far behind, gives
 * way to the next one, and a connection that has lasted for a while to one by preference. */
__attribute__((warn_unused_result)) enum status db_read_state(struct db *db, int64_t deadline);

/* The state read last; once a query has been started, one that was read before it from the server
 * that answers it. */
const struct db_state *db_state(const struct db *db);

/* Whether the last failure was a conflict with another transaction or with what a standby replays:
 * the query may go well when it is started once more. */
bool db_met_conflict(const struct db *db);

/* Why the last call failed, fit for a log: no SQL, host or password in it. */
const char *db_reason(const struct db *db);

#endif
