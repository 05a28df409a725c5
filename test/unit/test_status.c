/* Outcomes: their HTTP codes and titles, and the outcome of each SQLSTATE. */
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
    {"429 Too Many Requests", STATUS_TOO_MANY_REQUESTS, true},
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
    const char *reason; /* part of it, or NULL if the server's message is used */
};

/* Every class of PostgreSQL's appendix A that an error can have. */
static const struct sqlstate sqlstates[] = {
    {"03000 sql_statement_not_yet_complete", STATUS_INTERNAL_ERROR, false, NULL},
    {"08000 connection_exception", STATUS_UNAVAILABLE, true, "broke"},
    {"08006 connection_failure", STATUS_UNAVAILABLE, true, "broke"},
    {"08P01 protocol_violation", STATUS_UNAVAILABLE, true, "broke"},
    {"09000 triggered_action_exception", STATUS_INTERNAL_ERROR, false, NULL},
    {"0A000 feature_not_supported", STATUS_UNAVAILABLE, true, NULL},
    {"0B000 invalid_transaction_initiation", STATUS_INTERNAL_ERROR, false, NULL},
    {"0F001 invalid_locator_specification", STATUS_INTERNAL_ERROR, false, NULL},
    {"0L000 invalid_grantor", STATUS_INTERNAL_ERROR, false, NULL},
    {"0P000 invalid_role_specification", STATUS_INTERNAL_ERROR, false, NULL},
    {"0Z000 diagnostics_exception", STATUS_INTERNAL_ERROR, false, NULL},
    {"20000 case_not_found", STATUS_INTERNAL_ERROR, false, NULL},
    {"21000 cardinality_violation", STATUS_INTERNAL_ERROR, false, NULL},
    {"22003 numeric_value_out_of_range", STATUS_INTERNAL_ERROR, false, NULL},
    {"23505 unique_violation", STATUS_INTERNAL_ERROR, false, NULL},
    {"24000 invalid_cursor_state", STATUS_INTERNAL_ERROR, false, NULL},
    {"25006 read_only_sql_transaction", STATUS_INTERNAL_ERROR, false, NULL},
    {"25P03 idle_in_transaction_session_timeout", STATUS_UNAVAILABLE, true, NULL},
    {"25P04 transaction_timeout", STATUS_TIMEOUT, true, "transaction_timeout"},
    {"26000 invalid_sql_statement_name", STATUS_UNAVAILABLE, true, NULL},
    {"27000 triggered_data_change_violation", STATUS_INTERNAL_ERROR, false, NULL},
    {"28000 invalid_authorization_specification", STATUS_UNAVAILABLE, false, "refused"},
    {"28P01 invalid_password", STATUS_UNAVAILABLE, false, "refused"},
    {"2B000 dependent_privilege_descriptors_still_exist", STATUS_INTERNAL_ERROR, false, NULL},
    {"2D000 invalid_transaction_termination", STATUS_INTERNAL_ERROR, false, NULL},
    {"2F000 sql_routine_exception", STATUS_INTERNAL_ERROR, false, NULL},
    {"34000 invalid_cursor_name", STATUS_INTERNAL_ERROR, false, NULL},
    {"38000 external_routine_exception", STATUS_INTERNAL_ERROR, false, NULL},
    {"39000 external_routine_invocation_exception", STATUS_INTERNAL_ERROR, false, NULL},
    {"3B000 savepoint_exception", STATUS_INTERNAL_ERROR, false, NULL},
    {"3D000 invalid_catalog_name", STATUS_UNAVAILABLE, false, "DB_NAME"},
    {"3F000 invalid_schema_name", STATUS_UNAVAILABLE, false, NULL},
    {"40001 serialization_failure", STATUS_UNAVAILABLE, false, NULL},
    {"40P01 deadlock_detected", STATUS_UNAVAILABLE, false, NULL},
    {"42501 insufficient_privilege", STATUS_UNAVAILABLE, false, NULL},
    {"42703 undefined_column", STATUS_UNAVAILABLE, false, NULL},
    {"42804 datatype_mismatch", STATUS_UNAVAILABLE, false, NULL},
    {"42883 undefined_function", STATUS_UNAVAILABLE, false, NULL},
    {"42P01 undefined_table", STATUS_UNAVAILABLE, false, NULL},
    {"44000 with_check_option_violation", STATUS_INTERNAL_ERROR, false, NULL},
    {"53000 insufficient_resources", STATUS_UNAVAILABLE, false, "run out"},
    {"53100 disk_full", STATUS_UNAVAILABLE, false, "disk"},
    {"53200 out_of_memory", STATUS_UNAVAILABLE, false, "memory"},
    {"53300 too_many_connections", STATUS_UNAVAILABLE, false, "connections"},
    {"53400 configuration_limit_exceeded", STATUS_UNAVAILABLE, false, NULL},
    {"54001 statement_too_complex", STATUS_INTERNAL_ERROR, false, NULL},
    {"55000 object_not_in_prerequisite_state", STATUS_UNAVAILABLE, false, NULL},
    {"55006 object_in_use", STATUS_UNAVAILABLE, false, NULL},
    {"55P03 lock_not_available", STATUS_TIMEOUT, false, "locked"},
    {"57000 operator_intervention", STATUS_UNAVAILABLE, false, NULL},
    {"57014 query_canceled", STATUS_TIMEOUT, false, NULL},
    {"57P01 admin_shutdown", STATUS_UNAVAILABLE, true, "shutting down"},
    {"57P02 crash_shutdown", STATUS_UNAVAILABLE, true, "crashed"},
    {"57P03 cannot_connect_now", STATUS_UNAVAILABLE, false, "starting up"},
    {"57P04 database_dropped", STATUS_UNAVAILABLE, true, NULL},
    {"57P05 idle_session_timeout", STATUS_UNAVAILABLE, true, NULL},
    {"58000 system_error", STATUS_UNAVAILABLE, false, "file"},
    {"58030 io_error", STATUS_UNAVAILABLE, false, "file"},
    {"58P01 undefined_file", STATUS_UNAVAILABLE, false, "file"},
    {"58P02 duplicate_file", STATUS_UNAVAILABLE, false, "file"},
    {"72000 snapshot_too_old", STATUS_UNAVAILABLE, false, NULL},
    {"F0000 config_file_error", STATUS_UNAVAILABLE, false, "configuration"},
    {"HV00N fdw_unable_to_establish_connection", STATUS_UNAVAILABLE, false, "foreign"},
    {"P0001 raise_exception", STATUS_INTERNAL_ERROR, false, NULL},
    {"XX000 internal_error", STATUS_UNAVAILABLE, false, NULL},
    {"XX001 data_corrupted", STATUS_UNAVAILABLE, false, "corrupted"},
    {"XX002 index_corrupted", STATUS_UNAVAILABLE, false, "index"},
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
