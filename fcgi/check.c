/* --check: the part that needs the database. */
#include "check.h"

#include "config.h"
#include "db.h"
#include "deadline.h"
#include "json.h"
#include "log.h"
#include "sql.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    CONNECT_MS = 1000,
    LIMIT_S = 2, /* for name servers that do not answer, which no deadline covers */
};

static const struct db_query role_query = {.name = "role", .sql = sql_worker_role};

static void end(int signal) {
    (void)signal;
    _exit(EXIT_SUCCESS);
}

static void warn(const char *member, const char *text) {
    struct json_object *line = log_start(LOG_WARNING, "database_check");
    json_add_string(line, member, text);
    log_finish(line);
}

static void look(struct db *db, int64_t deadline) {
    const struct row *row = NULL;
    log_open(STDERR_FILENO, LOG_SILENT); /* a failure to connect is reported below, if at all */
    enum status status = db_start(db, &role_query, NULL, deadline);
    log_open(STDERR_FILENO, LOG_WARNING);
    while (status == STATUS_OK && (status = db_next_row(db, deadline, &row)) == STATUS_OK && row)
        warn("detail", row->cells[0].text);
    if (status != STATUS_OK && !db_is_away(db))
        warn("reason", db_reason(db));
    db_end(db);
}

int check(const struct config *config) {
    if (config->log_level > LOG_WARNING)
        return EXIT_SUCCESS;
    struct db *db = db_open(config, DB_READ_ONLY);
    if (!db)
        return EXIT_FAILURE;
    (void)signal(SIGALRM, end);
    (void)alarm(LIMIT_S);
    db_add_query(db, &role_query);
    look(db, deadline_in(CONNECT_MS));
    db_close(db);
    return EXIT_SUCCESS;
}
