/* The logger: one job, one line on standard output, exit. */
#include "config.h"
#include "db.h"
#include "deadline.h"
#include "http_client.h"
#include "json.h"
#include "log.h"
#include "options.h"
#include "sql.h"
#include "upkeep.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    CHECK_LIMIT_MS = 5000,
    DATABASE_LIMIT_MS = 10000, /* all checks end well before the next run is due */
    UPKEEP_LIMIT_MS = 5000,    /* what is left after that waits for the next run */
    RUN_LIMIT_MS = 25000,      /* after this, nothing new is started */
    DAYS_SHOWN = 31,
    DATE_SIZE = 16,
    SECONDS_A_DAY = 86400,
    SECONDS_A_RUN = 30,
    REASON_SIZE = 256,
};

static const char help[] =
    "usage: usage-logger [--help | --version]\n"
    "Checks /health_check and /readiness_check on 127.0.0.1:APP_PORT, asks the database for the\n"
    "daily usage, keeps the rollups, prints one JSON line, and exits: 0 when all went well, else\n"
    "1.\n";

static const struct db_query usage_query = {.name = "daily_usage", .sql = sql_reports_daily_usage};
static const struct db_query role_query = {.name = "role", .sql = sql_worker_role};
static const char *const usage_values[] = {NULL, NULL, "day"}; /* all days, one by one */
/* The last days of usage, in a ring buffer. */
struct usage {
    size_t days;
    int64_t visits;
    struct {
        char date[DATE_SIZE];
        int64_t visits;
    } last[DAYS_SHOWN];
};

/* The result of one check. */
struct outcome {
    double milliseconds;
    const char *error; /* NULL when it succeeded */
};

static double milliseconds_now(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static struct outcome check_page(long port, const char *path) {
    struct outcome outcome = {0};
    double started = milliseconds_now();
    int code = http_client_get(port, path, deadline_in(CHECK_LIMIT_MS), &outcome.error);
    outcome.milliseconds = milliseconds_now() - started;
    if (code == 200)
        outcome.error = NULL;
    else if (code != 0)
        outcome.error = code == 503 ? "answered 503" : "did not answer 200";
    return outcome;
}

static void add_day(struct usage *usage, const struct row *row) {
    size_t place = usage->days++ % DAYS_SHOWN;
    int64_t visits = strtoll(row->cells[1].text, NULL, 10);
    (void)snprintf(usage->last[place].date, DATE_SIZE, "%s", row->cells[0].text);
    usage->last[place].visits = visits;
    usage->visits += visits;
}

static struct outcome read_usage(struct db *db, struct usage *usage) {
    const struct row *row = NULL;
    double started = milliseconds_now();
    int64_t deadline = deadline_in(DATABASE_LIMIT_MS);
    enum status status = db_start(db, &usage_query, usage_values, deadline);
    while (status == STATUS_OK && (status = db_next_row(db, deadline, &row)) == STATUS_OK && row)
        add_day(usage, row);
    db_end(db);
    return (struct outcome){milliseconds_now() - started,
                            status == STATUS_OK ? NULL : db_reason(db)};
}

static struct outcome connect_database(struct db *db) {
    double started = milliseconds_now();
    enum status status = db_connect(db, deadline_in(DATABASE_LIMIT_MS));
    return (struct outcome){milliseconds_now() - started,
                            status == STATUS_OK ? NULL : db_reason(db)};
}

static struct outcome keep_rollups(struct db *db, struct upkeep *upkeep) {
    if (db_state(db)->is_standby)
        return (struct outcome){0, "no server of DB_HOST can be written to"};
    double started = milliseconds_now();
    enum status status = upkeep_do_short(db, deadline_in(UPKEEP_LIMIT_MS), upkeep);
    return (struct outcome){milliseconds_now() - started,
                            status == STATUS_OK ? NULL : db_reason(db)};
}

/* Adds NAME and NAME_ms, and NAME_error where the check failed. */
static void add_outcome(struct json_object *line, const char *name, struct outcome outcome) {
    char key[32];
    json_add_string(line, name, outcome.error ? "failed" : "ok");
    (void)snprintf(key, sizeof key, "%s_ms", name);
    json_add_milliseconds(line, key, outcome.milliseconds);
    (void)snprintf(key, sizeof key, "%s_error", name);
    if (outcome.error)
        json_add_string(line, key, outcome.error);
}

static void add_usage(struct json_object *line, const struct usage *usage) {
    size_t shown = usage->days < DAYS_SHOWN ? usage->days : DAYS_SHOWN;
    struct json_object *daily = json_create();
    for (size_t day = usage->days - shown; day < usage->days; day++) {
        size_t place = day % DAYS_SHOWN;
        json_add_integer(daily, usage->last[place].date, usage->last[place].visits);
    }
    json_add_integer(line, "total_visits", usage->visits);
    json_add_integer(line, "total_days", (int64_t)usage->days);
    json_add_object(line, "daily_usage", daily);
}

static void add_number(struct json_object *line, const char *name, int64_t number) {
    if (number >= 0)
        json_add_integer(line, name, number);
}

static void add_upkeep(struct json_object *line, struct outcome outcome,
                       const struct upkeep *upkeep) {
    json_add_string(line, "rollups", outcome.error ? "failed" : upkeep->rollups);
    json_add_milliseconds(line, "rollups_ms", outcome.milliseconds);
    if (outcome.error) {
        json_add_string(line, "rollups_error", outcome.error);
        return;
    }
    json_add_integer(line, "folded", upkeep->folded);
    add_number(line, "behind", upkeep->behind);
    add_number(line, "rebuilt_percent", upkeep->rebuilt);
    add_number(line, "drift", upkeep->drift);
}

/* The results of one run. */
struct findings {
    struct outcome health, readiness, database, rollups;
    bool is_connected;
    char rollups_error[REASON_SIZE]; /* a copy: the next query has a reason of its own */
    struct usage usage;
    struct upkeep upkeep;
    char advice[REASON_SIZE]; /* on the role; empty: none */
};

/* Once a day is often enough. */
static bool is_first_run_of_day(void) {
    return time(NULL) % SECONDS_A_DAY < SECONDS_A_RUN;
}

/* What the role has and does not need. */
static void judge_role(struct db *db, char advice[REASON_SIZE]) {
    const struct row *row = NULL;
    int64_t deadline = deadline_in(DATABASE_LIMIT_MS);
    if (db_start(db, &role_query, NULL, deadline) == STATUS_OK &&
        db_next_row(db, deadline, &row) == STATUS_OK && row)
        (void)snprintf(advice, REASON_SIZE, "%s", row->cells[0].text);
    db_end(db);
}

/* The rollups are maintained even when the usage query fails: it may fail because of them.
 */
static void check_all(const struct config *config, struct db *db, struct findings *found) {
    found->health = check_page(config->app_port, "/health_check");
    found->readiness = check_page(config->app_port, "/readiness_check");
    found->database = connect_database(db);
    found->is_connected = !found->database.error;
    if (!found->is_connected)
        return;
    found->rollups = keep_rollups(db, &found->upkeep);
    if (found->rollups.error) {
        (void)snprintf(found->rollups_error, REASON_SIZE, "%s", found->rollups.error);
        found->rollups.error = found->rollups_error;
    }
    if (is_first_run_of_day())
        judge_role(db, found->advice);
    found->database = read_usage(db, &found->usage);
}

static bool write_line(const struct findings *found) {
    bool failed = found->health.error || found->readiness.error || found->database.error ||
                  found->rollups.error;
    log_open(STDOUT_FILENO, LOG_INFO);
    enum log_level level = failed ? LOG_ERROR : *found->advice ? LOG_WARNING : LOG_INFO;
    struct json_object *line = log_start(level, "usage");
    add_outcome(line, "health", found->health);
    add_outcome(line, "readiness", found->readiness);
    add_outcome(line, "database", found->database);
    if (!found->database.error)
        add_usage(line, &found->usage);
    if (found->is_connected)
        add_upkeep(line, found->rollups, &found->upkeep);
    if (*found->advice)
        json_add_string(line, "role", found->advice);
    log_finish(line);
    return !failed;
}

/* Long work comes after the line, which is due now. */
int main(int argc, char **argv) {
    struct config config;
    struct findings found = {0};
    const int64_t next_run = deadline_in(RUN_LIMIT_MS);
    (void)options_read(argc, argv, help, (const char *[]){NULL});
    options_load_config(&config, false);
    log_open(STDOUT_FILENO, LOG_SILENT); /* one line: this run's own */
    config.statement_timeout_ms =
        UPKEEP_STATEMENT_MS; /* every query here has a deadline of its own */
    struct db *db = db_open(&config, DB_READ_WRITE);
    if (!db)
        return EXIT_FAILURE;
    db_add_query(db, &usage_query);
    db_add_query(db, &role_query);
    upkeep_open(db);
    check_all(&config, db, &found);
    bool passed = write_line(&found);
    log_open(STDOUT_FILENO, LOG_SILENT);
    if (found.is_connected && !found.rollups.error)
        (void)!upkeep_do_long(db, next_run, &found.upkeep);
    db_close(db);
    return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
