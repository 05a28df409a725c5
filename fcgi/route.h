/* Paths and methods: who answers a request, 404, 405 and OPTIONS. */
#ifndef ROUTE_H
#define ROUTE_H

#include <stdbool.h>

struct db;
struct request;

/* A path that is not a report. */
struct route {
    const char *path;
    const char *name;
    const char *description;
    const char *content_type;
    const char *schema;  /* of the body, as JSON Schema */
    const char *failure; /* the body of a 503, where it is no problem document */
    bool is_probe;       /* comes often, and ignores its query string */
    void (*answer)(struct request *request, struct db *db);
};

/* Ends with a NULL path. */
extern const struct route routes[];

/* Answers a request, whatever it is, and logs it. limit_ms bounds a report. */
void route_answer(struct request *request, struct db *db, long limit_ms);

#endif
