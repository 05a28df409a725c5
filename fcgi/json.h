/* JSON values, written out without white space (RFC 8259). */
#ifndef JSON_H
#define JSON_H

#include <stddef.h>
#include <stdint.h>

/* A JSON object or array under construction. When memory runs out the process ends: the supervisor
 * starts another, and no incomplete answer is sent. */
struct json_object;

struct json_object *json_create(void);
struct json_object *json_create_array(void);

/* Each adds a member. Keys must be new to the object, and are NULL in an array. Adding to a NULL
 * object does nothing, so that a line below the log's level costs nothing. */
void json_add_string(struct json_object *object, const char *key, const char *value);
void json_add_string_of(struct json_object *object, const char *key, const char *value,
                        size_t length);
void json_add_integer(struct json_object *object, const char *key, int64_t value);
void json_add_milliseconds(struct json_object *object, const char *key, double value);
void json_add_text(struct json_object *object, const char *key, const char *json);
void json_add_object(struct json_object *object, const char *key, struct json_object *member);

/* The object's text, owned by the object and valid until it changes or is released. */
const char *json_text(struct json_object *object, size_t *length);

/* Releases the object and all it holds; NULL is fine. */
void json_release(struct json_object *object);

#endif
