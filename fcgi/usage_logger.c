/* The logger: one job, one line on standard output, exit. */
#include "config.h"
#include "db.h"
#include "deadline.h"
#include "http_client.h"
#include "json.h"
#include "log.h"
#include "options.h"
#include "sql.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    CHECK_LIMIT_MS = 5000,
    DATABASE_LIMIT_MS = 10000,    /* all three checks are over well before the next run is due */
    FOLD_LIMIT_MS = 5000,         /* what is left after that waits for the next run */
    FOLD_MOST = 50000,            /* of sql/logger/fold.sql */
    FOLD_STEPS = 3,               /* look how far it may go; learn who does not know yet; follow */
    INSPECTION_LIMIT_MS = 300000, /* rare: the runs that are due meanwhile are left out */
    DAYS_SHOWN = 31,
    DATE_SIZE = 16,
    STATE_SIZE = 16,
};

static const char help[] =
    "usage: usage-logger [--help | --version]\n"
    "Checks /health_check and /readiness_check on 127.0.0.1:APP_PORT, asks the database for the\n"
    "daily usage, keeps the rollups, prints one JSON line, and exits: 0 when all went well, else\n"
    "1.\n";

static const struct db_query usage_query = {"daily_usage", sql_reports_daily_usage, 3};
static const char *const usage_values[] = {NULL, NULL, "day"}; /* all days, one by one */
static const struct db_query has_rollups_query = {"has_rollups", sql_logger_has_rollups, 0};
static const struct db_query fold_query = {"fold", sql_logger_fold, 0};
static const struct db_query start_query = {"start_inspection", sql_logger_start_inspection, 0};
static const struct db_query inspect_query = {"inspect", sql_logger_inspect, 0};
static const struct db_query state_query = {"state", sql_logger_state, 0};

/* The last days of usage, as a ring. */
struct usage {
    size_t days;
    int64_t visits;
    struct {
        char date[DATE_SIZE];
        int64_t visits;
    } last[DAYS_SHOWN];
};

/* What keeping the rollups came to. */
struct upkeep {
    int64_t folded;
    int64_t drift; /* rows that differed; -1 where nothing was compared */
    char state[STATE_SIZE];
};

/* What one check found. */
struct outcome {
    double milliseconds;
    const char *error; /* NULL when it went well */
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

/* The one row of a query: its first cells as texts, empty where there is no row or value. */
static enum status ask(struct db *db, const struct db_query *query, int64_t deadline,
                       char first[STATE_SIZE], char second[STATE_SIZE]) {
    const struct row *row = NULL;
    *first = *second = '\0';
    enum status status = db_start(db, query, NULL, deadline);
    while (status == STATUS_OK && (status = db_next_row(db, deadline, &row)) == STATUS_OK && row) {
        char *const texts[] = {first, second};
        for (size_t i = 0; i < row->count && i < 2; i++)
            (void)snprintf(texts[i], STATE_SIZE, "%s",
                           row->cells[i].text ? row->cells[i].text : "");
    }
    db_end(db);
    return status;
}

/* A part at a time, so that no transaction is long, and each step of coworking_analytics.fold() by
 * itself. */
static enum status fold(struct db *db, int64_t *folded) {
    char count[STATE_SIZE], none[STATE_SIZE];
    int64_t deadline = deadline_in(FOLD_LIMIT_MS);
    enum status status = STATUS_OK;
    int steps_left = FOLD_STEPS;
    while (status == STATUS_OK && steps_left > 0 && deadline_left(deadline) > 0) {
        status = ask(db, &fold_query, deadline_in(DATABASE_LIMIT_MS), count, none);
        int64_t part = strtoll(count, NULL, 10);
        *folded += part;
        if (part < FOLD_MOST)
            steps_left--;
    }
    return status;
}

/* Compares the rollups with the tokens where that is due, and has what differs made anew. */
static enum status inspect(struct db *db, struct upkeep *upkeep) {
    char first[STATE_SIZE], second[STATE_SIZE];
    int64_t deadline = deadline_in(DATABASE_LIMIT_MS);
    enum status status = ask(db, &start_query, deadline, first, second);
    if (status != STATUS_OK || *first == '\0')
        return status == STATUS_OK ? ask(db, &state_query, deadline, upkeep->state, second)
                                   : status;
    status = ask(db, &inspect_query, deadline_in(INSPECTION_LIMIT_MS), first, upkeep->state);
    if (status == STATUS_OK)
        upkeep->drift = strtoll(first, NULL, 10);
    return status;
}

static struct outcome keep_rollups(struct db *db, struct upkeep *upkeep) {
    if (db_state(db)->is_standby)
        return (struct outcome){0, "no server of DB_HOST can be written to"};
    char first[STATE_SIZE], second[STATE_SIZE];
    double started = milliseconds_now();
    enum status status = ask(db, &has_rollups_query, deadline_in(DATABASE_LIMIT_MS), first, second);
    if (status == STATUS_OK && *first == 't') {
        db_add_query(db, &fold_query);
        db_add_query(db, &start_query);
        db_add_query(db, &inspect_query);
        db_add_query(db, &state_query);
        status = fold(db, &upkeep->folded);
        if (status == STATUS_OK)
            status = inspect(db, upkeep);
    }
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

static void add_upkeep(struct json_object *line, struct outcome outcome,
                       const struct upkeep *upkeep) {
    json_add_string(line, "rollups", outcome.error ? "failed" : upkeep->state);
    json_add_milliseconds(line, "rollups_ms", outcome.milliseconds);
    if (outcome.error)
        json_add_string(line, "rollups_error", outcome.error);
    json_add_integer(line, "folded", upkeep->folded);
    if (upkeep->drift >= 0)
        json_add_integer(line, "drift", upkeep->drift);
}

int main(int argc, char **argv) {
    struct config config;
    struct usage usage = {0};
    struct upkeep upkeep = {.drift = -1, .state = "off"};
    (void)options_read(argc, argv, help, (const char *[]){NULL});
    options_load_config(&config);
    log_open(STDOUT_FILENO, LOG_SILENT); /* one line: this run's own */
    config.statement_timeout_ms =
        INSPECTION_LIMIT_MS; /* every query here has a deadline of its own */
    struct db *db = db_open(&config, DB_READ_WRITE);
    if (!db)
        return EXIT_FAILURE;
    db_add_query(db, &usage_query);
    db_add_query(db, &has_rollups_query);

    struct outcome health = check_page(config.app_port, "/health_check");
    struct outcome readiness = check_page(config.app_port, "/readiness_check");
    struct outcome database = read_usage(db, &usage);
    struct outcome rollups = {0};
    if (!database.error)
        rollups = keep_rollups(db, &upkeep);
    bool failed = health.error || readiness.error || database.error || rollups.error;

    log_open(STDOUT_FILENO, LOG_INFO);
    struct json_object *line = log_start(failed ? LOG_ERROR : LOG_INFO, "usage");
    add_outcome(line, "health", health);
    add_outcome(line, "readiness", readiness);
    add_outcome(line, "database", database);
    if (!database.error) {
        add_usage(line, &usage);
        add_upkeep(line, rollups, &upkeep);
    }
    log_finish(line);
    db_close(db);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
