/* What the service says of itself: its reports, and all of it as OpenAPI. */
#ifndef DESCRIBE_H
#define DESCRIBE_H

struct db;
struct request;

/* The reports, as an array of flat objects. */
void describe_reports(struct request *request, struct db *db);

/* An OpenAPI 3.1 document, made of the rows that requests are answered by. */
void describe_service(struct request *request, struct db *db);

#endif
