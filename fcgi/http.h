/* Requests and answers, over FastCGI (FastCGI Specification 1.0) or plain CGI (RFC 3875). */
#ifndef HTTP_H
#define HTTP_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HTTP_BUFFER_SIZE = 64 * 1024, /* a body up to this size goes out with its Content-Length */
    HTTP_ID_SIZE = 64 + 1,
    HTTP_TAG_SIZE = 64,
    HTTP_NEXT_SIZE = 256,
};

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_OPTIONS, HTTP_OTHER };

struct request {
    const char *method_name; /* "?" for what is no method's name */
    enum http_method method;
    char path[256];            /* cut off where longer: no route is that long */
    const char *query;         /* as sent, without "?" */
    const char *accept;        /* NULL when the client sent none */
    const char *if_none_match; /* NULL when the client sent none */
    char id[HTTP_ID_SIZE];
    int64_t waited_ms;  /* from its arrival at nginx until a worker took it */
    const char *reason; /* what went wrong, for the log alone; NULL when nothing did */
    enum status status; /* of the answer */
    uint64_t body_bytes;
};

/* Decides between FastCGI (standard input is a listening socket) and CGI, and where a signal may
 * interrupt. False when the process was started as neither. */
__attribute__((warn_unused_result)) bool http_open(void);
bool http_is_cgi(void);

/* Waits for the next request. NULL when it is time to end: after TERM, INT or USR1 once nothing
 * has come for a second, or, as CGI, after the one request. */
struct request *http_accept(void);

/* Whether this process was told to end, and only takes what is still coming. */
bool http_is_stopping(void);

/* Sends the rest of the answer and closes the connection. False when it did not go out whole. */
bool http_finish(void);

/* What the header says of a body; what is NULL or empty is left out. */
struct entity {
    const char *content_type;
    const char *tag;       /* the ETag's text without quotes */
    const char *file_name; /* to save it under */
    const char *next;      /* where the list goes on */
    const char *as_of;     /* when the last change was that it can hold (RFC 3339) */
};

/* An answer with a body begins here. The entity is looked at when the header leaves: at the end,
 * or when the body outgrows the buffer. It must stay until http_end_body or http_send_problem. */
void http_start_body(struct request *request, const struct entity *entity);

/* Adds to the body. False when nobody takes it any more: stop and report STATUS_CLIENT_GONE. */
__attribute__((warn_unused_result)) bool http_write(struct request *request, const char *data,
                                                    size_t length);

/* Ends the body. True when the answer has to be rendered once more from http_start_body on: its
 * length is known only now, and an HTTP/1.0 client cannot tell a cut body without one. */
__attribute__((warn_unused_result)) bool http_end_body(struct request *request);

/* The body so far while all of it is in the buffer, else NULL. Valid until http_end_body. */
const char *http_body(size_t *length);

/* An answer whose body is there already. */
void http_send_body(struct request *request, const struct entity *entity, const char *body,
                    size_t length);

/* Whether part of the answer has left already: it cannot be another one any more. */
bool http_has_left(void);

/* Answers without a body of their own: 204 with Allow, 304 with the tag; as_of may be NULL. */
void http_send_options(struct request *request);
void http_send_not_modified(struct request *request, const char *tag, const char *as_of);

/* A short text/plain body. */
void http_send_text(struct request *request, enum status status, const char *text);

/* A problem document (RFC 9457); detail may be NULL. Once part of a body has left, the connection
 * is cut instead, so that the part cannot be taken for the whole. */
void http_send_problem(struct request *request, enum status status, const char *detail);

/* A tag for what depends on these texts, in this order, and on nothing else. */
void http_make_tag(char tag[HTTP_TAG_SIZE], const char *const *texts, size_t count);

/* Whether If-None-Match names this tag, compared weakly (RFC 9110, 13.1.2): gzip weakens tags. */
bool http_tag_matches(const struct request *request, const char *tag);

#endif
