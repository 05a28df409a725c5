/* The service as an OpenAPI 3.1 document. */
#ifndef OPENAPI_H
#define OPENAPI_H

struct json_object;

/* Makes the document from the rows that requests are answered by: reports[], their parameters and
 * columns, and routes[]. The caller releases it. */
struct json_object *openapi_make(void);

#endif
