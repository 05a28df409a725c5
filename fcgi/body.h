/* An answer's body on its way out: kept in a buffer while it fits, then streamed or counted. A body
 * that was cut short never looks whole to an HTTP client. */
#ifndef BODY_H
#define BODY_H

#include <stdbool.h>
#include <stddef.h>

struct body;
struct entity;
struct request;

/* One body serves one request after the other. NULL when memory is short. */
struct body *body_create(void);
void body_release(struct body *body);

/* Makes it ready for the next request. */
void body_reset(struct body *body);

/* Begins an answer with status 200. The entity is read when the header leaves: at the end, or when
 * the body outgrows the buffer. It must stay valid until body_end, or until a problem is sent. */
void body_start(struct request *request, const struct entity *entity);

/* Adds to the body. Returns false when nobody takes it any more: stop and report
 * STATUS_CLIENT_GONE. */
__attribute__((warn_unused_result)) bool body_write(struct request *request, const char *data,
                                                    size_t length);

/* Ends the body. Returns true when it has to be written once more, from body_start on: an HTTP/1.0
 * client can tell that a body was cut only by its length, which is known only now. */
__attribute__((warn_unused_result)) bool body_end(struct request *request);

/* Sends an answer of the request's status whose body is there as a whole. */
void body_send(struct request *request, const struct entity *entity, const char *data,
               size_t length);

/* The body so far while all of it is in the buffer, else NULL. Valid until body_end. */
const char *body_buffered(const struct body *body, size_t *length);

/* Whether part of the answer has been sent, so that it cannot become another answer. */
bool body_has_left(const struct body *body);

/* Gives the answer up: the connection closes without an end of the request. */
void body_cut(struct body *body);

/* Whether the whole answer was sent. */
bool body_is_sent(const struct body *body);

#endif
