/* Answers that are known as a whole: problems, short texts, and those without a body. */
#ifndef REPLY_H
#define REPLY_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>

struct entity;
struct request;

/* 200 with a body. */
void reply_body(struct request *request, const struct entity *entity, const char *body,
                size_t length);

/* A short text/plain body. */
void reply_text(struct request *request, enum status status, const char *text);

/* 204 with Allow: the answer to OPTIONS. */
void reply_options(struct request *request);

/* 304 when If-None-Match names the entity's tag. Returns false, and sends nothing, when it does
 * not. */
__attribute__((warn_unused_result)) bool reply_if_not_modified(struct request *request,
                                                               const struct entity *entity);

/* A problem document (RFC 9457); detail may be NULL. When part of a body has been sent already, it
 * closes the connection instead, so that the part cannot be taken for the whole. */
void reply_problem(struct request *request, enum status status, const char *detail);

#endif
