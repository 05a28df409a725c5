/* The reports: which there are, and how one is answered. */
#ifndef REPORT_H
#define REPORT_H

#include "db.h"
#include "params.h"
#include "render.h"

enum { REPORT_ORDERS_MAX = 2, REPORT_KEY_MAX = 2 };

#define REPORT_FOLDER "/api/reports/"

struct request;

/* The formats of an answer: their names, which end with NULL, and their media types. */
enum format { FORMAT_JSON, FORMAT_RECORDS, FORMAT_CSV, FORMAT_COUNT };
extern const char *const format_names[FORMAT_COUNT + 1];
extern const char *const format_types[FORMAT_COUNT];

/* A column of the answer. Every result is checked against the names and types; the rest is for the
 * description. */
struct column {
    const char *name;
    enum cell_type type;
    const char *example;
    const char *description;
};

/* One order of a report's rows. */
struct report_order {
    struct db_query query; /* $1, $2, … are the report's parameters before "order" and "format" */
    const char *key[REPORT_KEY_MAX]; /* the columns that "after" gives; none: no pages */
};

struct report {
    const char *name; /* the path's last part */
    const char *description;
    enum render_shape shape;                       /* of format=json */
    const struct param_rule *parameters;           /* ends with a NULL name */
    const struct column *columns;                  /* in the query's order; ends with a NULL name */
    struct report_order orders[REPORT_ORDERS_MAX]; /* one for each choice of "order" */
};

/* A report is a row here, in reports.c; the list ends with a NULL name. */
extern const struct report reports[];

/* Registers every report's queries. */
void report_open(struct db *db, long workers);

/* The report at a path, or NULL. */
const struct report *report_find(const char *path);

/* Answers GET and HEAD within limit_ms of the request's arrival. */
void report_answer(const struct report *report, struct request *request, struct db *db,
                   long limit_ms);

#endif
