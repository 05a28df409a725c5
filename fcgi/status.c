/* The one table of HTTP statuses, and one for SQLSTATE: what an outcome is called on either side.
 */
#include "status.h"

#include <stddef.h>
#include <string.h>

struct http_status {
    int code;
    bool is_temporary;
    const char *title;
};

/* All that the service answers with, those of nginx too: /openapi.json is made from it, and
 * nginx.conf is checked against it (test/unit/test_nginx_statuses.py). */
static const struct http_status http_statuses[] = {
    {200, false, "OK"},
    {204, false, "No Content"},
    {304, false, "Not Modified"},
    {400, false, "Bad Request"},
    {401, false, "Unauthorized"},
    {403, false, "Forbidden"},
    {404, false, "Not Found"},
    {405, false, "Method Not Allowed"},
    {408, false, "Request Timeout"},
    {411, false, "Length Required"},
    {412, false, "Precondition Failed"},
    {413, false, "Content Too Large"},
    {414, false, "URI Too Long"},
    {415, false, "Unsupported Media Type"},
    {416, false, "Range Not Satisfiable"},
    {421, false, "Misdirected Request"},
    {429, true, "Too Many Requests"},
    {431, false, "Request Header Fields Too Large"},
    {499, false, "Client Closed Request"},
    {500, false, "Internal Server Error"},
    {501, false, "Not Implemented"},
    {502, true, "Bad Gateway"},
    {503, true, "Service Unavailable"},
    {504, true, "Gateway Timeout"},
    {505, false, "HTTP Version Not Supported"},
};

static const int codes[] = {
    [STATUS_OK] = 200,
    [STATUS_NO_CONTENT] = 204,
    [STATUS_NOT_MODIFIED] = 304,
    [STATUS_BAD_REQUEST] = 400,
    [STATUS_NOT_FOUND] = 404,
    [STATUS_METHOD_NOT_ALLOWED] = 405,
    [STATUS_TOO_MANY_REQUESTS] = 429,
    [STATUS_INTERNAL_ERROR] = 500,
    [STATUS_UNAVAILABLE] = 503,
    [STATUS_LAGGING] = 503,
    [STATUS_TIMEOUT] = 504,
    [STATUS_CLIENT_GONE] = 499,
};

struct sqlstate_row {
    const char *prefix; /* a class of two characters, or one whole SQLSTATE */
    enum status status;
    bool stale;
    const char *reason;
};

/* PostgreSQL's classes (manual, appendix A) one by one. What is not here says that our statement is
 * wrong, which is a fault of ours: 500. The first row whose prefix fits decides, so single states
 * stand before their class. */
static const struct sqlstate_row sqlstates[] = {
    /* A limit of time. */
    {"25P04", STATUS_TIMEOUT, true, "the server's transaction_timeout ran out"},
    {"55P03", STATUS_TIMEOUT, false, "a table stayed locked for the whole time limit"},
    {"57014", STATUS_TIMEOUT, false, NULL},
    /* The connection went, or what was prepared on it. */
    {"08", STATUS_UNAVAILABLE, true, "the connection to the database broke"},
    {"0A000", STATUS_UNAVAILABLE, true, NULL}, /* "cached plan must not change result type" */
    {"25P03", STATUS_UNAVAILABLE, true, NULL}, /* idle in a transaction for too long */
    {"26000", STATUS_UNAVAILABLE, true, NULL}, /* our prepared statement is gone */
    {"57P01", STATUS_UNAVAILABLE, true, "the database is shutting down"},
    {"57P02", STATUS_UNAVAILABLE, true, "the database crashed and restarts"},
    {"57P03", STATUS_UNAVAILABLE, false, "the database is starting up or shutting down"},
    {"57P", STATUS_UNAVAILABLE, true, NULL},
    /* It does not let us in, or is not the one we know. */
    {"28000", STATUS_UNAVAILABLE, false,
     "the database refused: pg_hba.conf has no line for this role, database, address and use of "
     "TLS, or the role may not log in"},
    {"28", STATUS_UNAVAILABLE, false, "the database refused the user name or the password"},
    {"3D000", STATUS_UNAVAILABLE, false, "the database named by DB_NAME does not exist"},
    {"3F", STATUS_UNAVAILABLE, false, NULL}, /* a schema is missing */
    {"42", STATUS_UNAVAILABLE, false, NULL}, /* a table, a column or a right is missing */
    /* Another transaction was in the way. */
    {"40", STATUS_UNAVAILABLE, false, NULL}, /* on a standby: what we read was vacuumed away */
    {"55", STATUS_UNAVAILABLE, false, NULL}, /* an object is in no state to be used */
    {"72", STATUS_UNAVAILABLE, false, NULL}, /* snapshot too old */
    /* The server is unwell. */
    {"53000", STATUS_UNAVAILABLE, false, "the database has run out of a resource"},
    {"53100", STATUS_UNAVAILABLE, false, "the database's disk is full"},
    {"53200", STATUS_UNAVAILABLE, false, "the database is out of memory"},
    {"53300", STATUS_UNAVAILABLE, false,
     "all connections of the database, or of the role, are taken"},
    {"53", STATUS_UNAVAILABLE, false, NULL},
    {"57", STATUS_UNAVAILABLE, false, NULL},
    {"58", STATUS_UNAVAILABLE, false, "a file of the database is missing or cannot be read"},
    {"F0", STATUS_UNAVAILABLE, false, "a configuration file of the database is wrong"},
    {"HV", STATUS_UNAVAILABLE, false, "a foreign table's source does not answer as it should"},
    {"XX001", STATUS_UNAVAILABLE, false, "data of the database is corrupted"},
    {"XX002", STATUS_UNAVAILABLE, false, "an index of the database is corrupted"},
    {"XX", STATUS_UNAVAILABLE, false, NULL}, /* an internal error, which its message names */
};

static const struct http_status *find_http_status(int code) {
    for (size_t i = 0; i < sizeof http_statuses / sizeof http_statuses[0]; i++) {
        if (http_statuses[i].code == code)
            return &http_statuses[i];
    }
    return NULL;
}

const char *status_code_title(int code) {
    const struct http_status *row = find_http_status(code);
    return row ? row->title : NULL;
}

bool status_code_is_temporary(int code) {
    const struct http_status *row = find_http_status(code);
    return row && row->is_temporary;
}

int status_code(enum status status) {
    return codes[status];
}

const char *status_title(enum status status) {
    return status_code_title(codes[status]);
}

bool status_is_temporary(enum status status) {
    return status_code_is_temporary(codes[status]);
}

static const struct sqlstate_row *find_sqlstate(const char *sqlstate) {
    for (size_t i = 0; i < sizeof sqlstates / sizeof sqlstates[0]; i++) {
        if (strncmp(sqlstate, sqlstates[i].prefix, strlen(sqlstates[i].prefix)) == 0)
            return &sqlstates[i];
    }
    return NULL;
}

enum status status_from_sqlstate(const char *sqlstate) {
    const struct sqlstate_row *row = find_sqlstate(sqlstate);
    return row ? row->status : STATUS_INTERNAL_ERROR;
}

bool status_sqlstate_is_stale(const char *sqlstate) {
    const struct sqlstate_row *row = find_sqlstate(sqlstate);
    return row && row->stale;
}

const char *status_sqlstate_reason(const char *sqlstate) {
    const struct sqlstate_row *row = find_sqlstate(sqlstate);
    return row ? row->reason : NULL;
}
