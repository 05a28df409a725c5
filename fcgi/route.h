/* From a request's path and method to what answers it. */
#ifndef ROUTE_H
#define ROUTE_H

#include <stdbool.h>

struct db;
struct request;

/* A path that is no report. */
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

/* Answers the request, whatever it is, and logs that. */
void route_answer(struct request *request, struct db *db, long limit_ms);

#endif
