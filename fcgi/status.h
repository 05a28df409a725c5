/* The outcomes of a request, and what each means in HTTP and in SQLSTATE terms. */
#ifndef STATUS_H
#define STATUS_H

#include <stdbool.h>

enum status {
    STATUS_OK,                 /* 200 */
    STATUS_NO_CONTENT,         /* 204: the answer to OPTIONS */
    STATUS_NOT_MODIFIED,       /* 304: the client's copy is the current answer */
    STATUS_BAD_REQUEST,        /* 400: a query parameter is wrong */
    STATUS_NOT_FOUND,          /* 404: no such path */
    STATUS_METHOD_NOT_ALLOWED, /* 405: not GET, HEAD or OPTIONS */
    STATUS_TOO_MANY_REQUESTS,  /* 429: this client has long answers from enough workers */
    STATUS_INTERNAL_ERROR,     /* 500: a fault of ours */
    STATUS_UNAVAILABLE,        /* 503: database, tables or rights missing, or no worker in time */
    STATUS_LAGGING,            /* 503: every standby is too far behind its primary */
    STATUS_TIMEOUT,            /* 504: the database did not answer within the limit */
    STATUS_CLIENT_GONE,        /* 499: nobody takes the answer any more */
};

/* The HTTP status code (RFC 9110); 499 is nginx's own for a client that left. */
int status_code(enum status status);

/* The reason phrase, which is also a problem document's title (RFC 9457). */
const char *status_title(enum status status);

/* Whether a client should try again later: such answers carry Retry-After. */
bool status_is_temporary(enum status status);

/* The same for any status code of the service, nginx's too; NULL for one that it never sends. */
const char *status_code_title(int code);
bool status_code_is_temporary(int code);

/* The outcome behind an SQLSTATE of five characters (PostgreSQL manual, appendix A). */
enum status status_from_sqlstate(const char *sqlstate);

/* Whether this SQLSTATE only says that a kept connection or its statements went stale. */
bool status_sqlstate_is_stale(const char *sqlstate);

/* What an SQLSTATE means in words fit for a log; NULL where the server's own message says more. */
const char *status_sqlstate_reason(const char *sqlstate);

#endif
