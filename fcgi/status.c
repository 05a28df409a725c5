/* One table for HTTP and one for SQLSTATE: what an outcome is called on either side. */
#include "status.h"

#include <stddef.h>
#include <string.h>

struct status_row {
    int code;
    const char *title;
};

static const struct status_row rows[] = {
    [STATUS_OK] = {200, "OK"},
    [STATUS_NO_CONTENT] = {204, "No Content"},
    [STATUS_NOT_MODIFIED] = {304, "Not Modified"},
    [STATUS_BAD_REQUEST] = {400, "Bad Request"},
    [STATUS_NOT_FOUND] = {404, "Not Found"},
    [STATUS_METHOD_NOT_ALLOWED] = {405, "Method Not Allowed"},
    [STATUS_INTERNAL_ERROR] = {500, "Internal Server Error"},
    [STATUS_UNAVAILABLE] = {503, "Service Unavailable"},
    [STATUS_LAGGING] = {503, "Service Unavailable"},
    [STATUS_TIMEOUT] = {504, "Gateway Timeout"},
    [STATUS_CLIENT_GONE] = {499, "Client Closed Request"},
};

struct sqlstate_row {
    const char *prefix; /* a class of two characters, or one whole SQLSTATE */
    enum status status;
    bool stale;
    const char *reason;
};

/* The first row whose prefix fits decides, so single states stand before their class. */
static const struct sqlstate_row sqlstates[] = {
    {"57014", STATUS_TIMEOUT, false, NULL},
    {"55P03", STATUS_TIMEOUT, false, "a table stayed locked for the whole time limit"},
    {"57P01", STATUS_UNAVAILABLE, true, "the database is shutting down"},
    {"57P02", STATUS_UNAVAILABLE, true, "the database crashed and restarts"},
    {"57P03", STATUS_UNAVAILABLE, false, "the database is starting up or shutting down"},
    {"57P", STATUS_UNAVAILABLE, true, NULL},
    {"08", STATUS_UNAVAILABLE, true, "the connection to the database broke"},
    {"0A000", STATUS_UNAVAILABLE, true, NULL}, /* "cached plan must not change result type" */
    {"26000", STATUS_UNAVAILABLE, true, NULL}, /* our prepared statement is gone */
    {"28", STATUS_UNAVAILABLE, false, "the database refused user name or password"},
    {"3D000", STATUS_UNAVAILABLE, false, "the database named by DB_NAME does not exist"},
    {"40", STATUS_UNAVAILABLE, false, NULL}, /* on a standby: what we read was vacuumed away */
    {"53", STATUS_UNAVAILABLE, false, NULL},
    {"58", STATUS_UNAVAILABLE, false, "a file of the database is missing or cannot be read"},
    {"42501", STATUS_UNAVAILABLE, false, NULL},
    {"3F", STATUS_UNAVAILABLE, false, NULL},
    {"42", STATUS_UNAVAILABLE, false, NULL},
};

int status_code(enum status status) {
    return rows[status].code;
}

const char *status_title(enum status status) {
    return rows[status].title;
}

bool status_is_temporary(enum status status) {
    return status == STATUS_UNAVAILABLE || status == STATUS_LAGGING || status == STATUS_TIMEOUT;
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
