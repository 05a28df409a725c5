/* From a request's path and method to what answers it. */
#ifndef ROUTE_H
#define ROUTE_H

struct db;
struct request;

/* Answers the request, whatever it is, and logs that. */
void route_answer(struct request *request, struct db *db, long limit_ms);

#endif
