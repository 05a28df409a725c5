/* Upkeep of the rollups: calls of coworking_analytics_keeper.maintain(), which does the work. */
#ifndef UPKEEP_H
#define UPKEEP_H

#include "status.h"

#include <stdbool.h>
#include <stdint.h>

struct config;
struct db;

enum {
    UPKEEP_TEXT_SIZE = 16,
    UPKEEP_STATEMENT_MS = 86400000, /* limit of one statement: a very large table takes hours */
};

/* How the rollups are, as maintain() says it. Numbers are -1 where it says nothing. */
struct upkeep {
    char rollups[UPKEEP_TEXT_SIZE]; /* on, off, rebuilding or set aside */
    char next[UPKEEP_TEXT_SIZE];    /* what a caller can still do */
    int64_t folded;                 /* by these calls, all together */
    int64_t behind;                 /* tokens and changes that wait to be folded */
    int64_t rebuilt;                /* percent of a rebuild that is under way */
    int64_t drift;                  /* rows that the last comparison found to differ */
};

/* Registers the queries. */
void upkeep_open(struct db *db);

/* Does what can be done in short steps until then. */
__attribute__((warn_unused_result)) enum status upkeep_do_short(struct db *db, int64_t until,
                                                                struct upkeep *upkeep);

/* Does what takes long, if anything is left to do: begins no step after that moment. */
__attribute__((warn_unused_result)) enum status upkeep_do_long(struct db *db, int64_t until,
                                                               struct upkeep *upkeep);

#endif
