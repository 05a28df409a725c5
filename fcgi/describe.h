/* Documents that describe the service: the list of reports, and OpenAPI. */
#ifndef DESCRIBE_H
#define DESCRIBE_H

struct db;
struct request;

/* The reports, as an array of flat objects. */
void describe_reports(struct request *request, struct db *db);

/* The service as an OpenAPI 3.1 document. */
void describe_service(struct request *request, struct db *db);

#endif
