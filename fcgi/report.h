/* The reports: which there are, and how one is answered. */
#ifndef REPORT_H
#define REPORT_H

struct db;
struct report;
struct request;

/* Registers every report's query. */
void report_open(struct db *db);

/* The report at a path, or NULL. */
const struct report *report_find(const char *path);

/* Answers GET and HEAD within limit_ms of the request's arrival. */
void report_answer(const struct report *report, struct request *request, struct db *db,
                   long limit_ms);

#endif
