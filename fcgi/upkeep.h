/* Maintains the rollups by calling coworking_analytics_keeper.maintain(), which does the work. */
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

/* The state of the rollups, as maintain() reports it. Numbers that it does not report are -1. */
struct upkeep {
    char rollups[UPKEEP_TEXT_SIZE]; /* on, off, rebuilding or set aside */
    char next[UPKEEP_TEXT_SIZE];    /* what a caller can still do */
    int64_t folded;                 /* by all these calls together */
    int64_t behind;                 /* tokens and changes that wait to be folded */
    int64_t rebuilt;                /* percentage of a running rebuild */
    int64_t drift;                  /* rows that differed at the last comparison */
};

/* Registers the queries. */
void upkeep_open(struct db *db);

/* Does the work that takes short steps, until that time. */
__attribute__((warn_unused_result)) enum status upkeep_do_short(struct db *db, int64_t until,
                                                                struct upkeep *upkeep);

/* Does the work that takes long, if there is any. Starts no step after that time. */
__attribute__((warn_unused_result)) enum status upkeep_do_long(struct db *db, int64_t until,
                                                               struct upkeep *upkeep);

#endif
