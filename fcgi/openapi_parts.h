/* What the files of the description share. Every object that is returned is the caller's. */
#ifndef OPENAPI_PARTS_H
#define OPENAPI_PARTS_H

struct column;
struct json_object;
struct report;

/* openapi_response.c */

/* An object with one member. */
struct json_object *openapi_wrap(const char *key, struct json_object *member);

/* A reference to a component, such as "headers" and "ETag". */
struct json_object *openapi_refer(const char *kind, const char *name);

/* A response with these header fields, up to a NULL name; content may be NULL. */
struct json_object *openapi_make_response(const char *description, const char *const *field_names,
                                          struct json_object *content);

/* Which errors a path can answer with: each scope has those of the scopes before it. */
enum openapi_scope { EVERYWHERE, WITH_PARAMETERS, WITH_DATABASE };
void openapi_add_errors(struct json_object *responses, enum openapi_scope widest);

struct json_object *openapi_make_operation(const char *name, const char *description);

/* The components "headers" and "responses". */
struct json_object *openapi_make_headers(void);
struct json_object *openapi_make_responses(void);

/* openapi_report.c */

struct json_object *openapi_make_report_path(const struct report *report);

/* The schema of an object with these columns, up to a NULL name. */
struct json_object *openapi_make_row_schema(const struct column *columns);

#endif
