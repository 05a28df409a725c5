/* One call of maintain() is one step, in a transaction of its own. */
#include "upkeep.h"

#include "db.h"
#include "deadline.h"
#include "sql.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHORT_STEP_LIMIT_MS = 10000,
    PAUSE_MS = 1000, /* while another session rebuilds: many loggers may wait for it */
};

static const struct db_query is_migrated_query = {.name = "is_migrated",
                                                  .sql = sql_logger_is_migrated};
static const struct db_query maintain_query = {.name = "maintain", .sql = sql_logger_maintain};

void upkeep_open(struct db *db) {
    db_add_query(db, &is_migrated_query);
}

static int64_t read_number(const struct cell *cell) {
    return cell->text ? strtoll(cell->text, NULL, 10) : -1;
}

static void read_text(char text[UPKEEP_TEXT_SIZE], const struct cell *cell) {
    (void)snprintf(text, UPKEEP_TEXT_SIZE, "%s", cell->text ? cell->text : "");
}

static void read_answer(const struct row *row, struct upkeep *upkeep) {
    read_text(upkeep->rollups, &row->cells[0]);
    upkeep->folded += read_number(&row->cells[1]);
    upkeep->behind = read_number(&row->cells[2]);
    upkeep->rebuilt = read_number(&row->cells[3]);
    upkeep->drift = read_number(&row->cells[4]);
    read_text(upkeep->next, &row->cells[5]);
}

static enum status do_step(struct db *db, const char *is_patient, int64_t deadline,
                           struct upkeep *upkeep) {
    const struct row *row = NULL;
    const char *const values[] = {is_patient};
    enum status status = db_start(db, &maintain_query, values, deadline);
    while (status == STATUS_OK && (status = db_next_row(db, deadline, &row)) == STATUS_OK && row)
        read_answer(row, upkeep);
    db_end(db);
    return status;
}

/* Registers maintain() if it exists. Before the first migration it does not, and there is nothing
 * to do. */
static enum status find_maintain(struct db *db, bool *is_migrated) {
    const struct row *row = NULL;
    int64_t deadline = deadline_in(SHORT_STEP_LIMIT_MS);
    *is_migrated = false;
    enum status status = db_start(db, &is_migrated_query, NULL, deadline);
    while (status == STATUS_OK && (status = db_next_row(db, deadline, &row)) == STATUS_OK && row)
        *is_migrated = true;
    db_end(db);
    if (status == STATUS_OK && *is_migrated)
        db_add_query(db, &maintain_query);
    return status;
}

enum status upkeep_do_short(struct db *db, int64_t until, struct upkeep *upkeep) {
    bool is_migrated;
    *upkeep = (struct upkeep){"off", "nothing", 0, -1, -1, -1};
    enum status status = find_maintain(db, &is_migrated);
    if (status != STATUS_OK || !is_migrated)
        return status;
    do
        status = do_step(db, "false", deadline_in(SHORT_STEP_LIMIT_MS), upkeep);
    while (status == STATUS_OK && strcmp(upkeep->next, "more") == 0 && deadline_left(until) > 0);
    return status;
}

enum status upkeep_do_long(struct db *db, int64_t until, struct upkeep *upkeep) {
    enum status status = STATUS_OK;
    while (status == STATUS_OK && strcmp(upkeep->next, "nothing") != 0 &&
           deadline_left(until) > 0) {
        int64_t rebuilt = upkeep->rebuilt;
        status = do_step(db, "true", deadline_in(UPKEEP_STATEMENT_MS), upkeep);
        if (upkeep->rebuilt >= 0 && upkeep->rebuilt == rebuilt)
            (void)poll(NULL, 0, PAUSE_MS);
    }
    return status;
}
