/* Outcomes: their HTTP codes and titles, and what each SQLSTATE comes to. */
#include "status.h"

#include "cases.h"

#include <string.h>

struct outcome {
    const char *name; /* code and title */
    enum status status;
    bool temporary;
};

static const struct outcome outcomes[] = {
    {"200 OK", STATUS_OK, false},
    {"204 No Content", STATUS_NO_CONTENT, false},
    {"304 Not Modified", STATUS_NOT_MODIFIED, false},
    {"400 Bad Request", STATUS_BAD_REQUEST, false},
    {"404 Not Found", STATUS_NOT_FOUND, false},
    {"405 Method Not Allowed", STATUS_METHOD_NOT_ALLOWED, false},
    {"499 Client Closed Request", STATUS_CLIENT_GONE, false},
    {"500 Internal Server Error", STATUS_INTERNAL_ERROR, false},
    {"503 Service Unavailable", STATUS_UNAVAILABLE, true},
    {"503 Service Unavailable, a standby that is behind", STATUS_LAGGING, true},
    {"504 Gateway Timeout", STATUS_TIMEOUT, true},
};

static void check_outcome(void **state) {
    const struct outcome *line = *state;
    char shown[64];
    (void)snprintf(shown, sizeof shown, "%d %s", status_code(line->status),
                   status_title(line->status));
    assert_memory_equal(shown, line->name, strlen(shown));
    assert_int_equal(status_is_temporary(line->status), line->temporary);
}

struct sqlstate {
    const char *name; /* the SQLSTATE and, after it, its name in the PostgreSQL manual */
    enum status status;
    bool stale;
    const char *reason; /* a word of it, or NULL where the server's own message is used */
};

static const struct sqlstate sqlstates[] = {
    {"57014 query_canceled", STATUS_TIMEOUT, false, NULL},
    {"55P03 lock_not_available", STATUS_TIMEOUT, false, "locked"},
    {"57P01 admin_shutdown", STATUS_UNAVAILABLE, true, "shutting down"},
    {"57P02 crash_shutdown", STATUS_UNAVAILABLE, true, "crashed"},
    {"57P03 cannot_connect_now", STATUS_UNAVAILABLE, false, "starting up"},
    {"57P04 database_dropped", STATUS_UNAVAILABLE, true, NULL},
    {"57P05 idle_session_timeout", STATUS_UNAVAILABLE, true, NULL},
    {"08000 connection_exception", STATUS_UNAVAILABLE, true, "broke"},
    {"08006 connection_failure", STATUS_UNAVAILABLE, true, "broke"},
    {"08P01 protocol_violation", STATUS_UNAVAILABLE, true, "broke"},
    {"0A000 feature_not_supported", STATUS_UNAVAILABLE, true, NULL},
    {"26000 invalid_sql_statement_name", STATUS_UNAVAILABLE, true, NULL},
    {"28000 invalid_authorization_specification", STATUS_UNAVAILABLE, false, "refused"},
    {"28P01 invalid_password", STATUS_UNAVAILABLE, false, "refused"},
    {"3D000 invalid_catalog_name", STATUS_UNAVAILABLE, false, "DB_NAME"},
    {"3F000 invalid_schema_name", STATUS_UNAVAILABLE, false, NULL},
    {"42501 insufficient_privilege", STATUS_UNAVAILABLE, false, NULL},
    {"42703 undefined_column", STATUS_UNAVAILABLE, false, NULL},
    {"42804 datatype_mismatch", STATUS_UNAVAILABLE, false, NULL},
    {"42883 undefined_function", STATUS_UNAVAILABLE, false, NULL},
    {"42P01 undefined_table", STATUS_UNAVAILABLE, false, NULL},
    {"58P01 undefined_file", STATUS_UNAVAILABLE, false, "file"},
    {"53100 disk_full", STATUS_UNAVAILABLE, false, NULL},
    {"53200 out_of_memory", STATUS_UNAVAILABLE, false, NULL},
    {"53300 too_many_connections", STATUS_UNAVAILABLE, false, NULL},
    {"22003 numeric_value_out_of_range", STATUS_INTERNAL_ERROR, false, NULL},
    {"55000 object_not_in_prerequisite_state", STATUS_INTERNAL_ERROR, false, NULL},
    {"57000 operator_intervention", STATUS_INTERNAL_ERROR, false, NULL},
    {"XX000 internal_error", STATUS_INTERNAL_ERROR, false, NULL},
    {"00000 successful_completion", STATUS_INTERNAL_ERROR, false, NULL},
    {"", STATUS_INTERNAL_ERROR, false, NULL},
};

static void check_sqlstate(void **state) {
    const struct sqlstate *line = *state;
    char sqlstate[6];
    (void)snprintf(sqlstate, sizeof sqlstate, "%.5s", line->name);
    assert_int_equal(status_from_sqlstate(sqlstate), line->status);
    assert_int_equal(status_sqlstate_is_stale(sqlstate), line->stale);
    const char *reason = status_sqlstate_reason(sqlstate);
    assert_int_equal(reason != NULL, line->reason != NULL);
    if (reason && line->reason)
        assert_non_null(strstr(reason, line->reason));
}

int main(void) {
    ADD_CASES(outcomes, check_outcome);
    ADD_CASES(sqlstates, check_sqlstate);
    return run_cases("status");
}
