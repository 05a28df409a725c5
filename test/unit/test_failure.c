/* The cause in what libpq says of a connection that failed. */
#include "failure.h"

#include "cases.h"

#include <string.h>

#define TCP         "connection to server at \"127.0.0.1\", port 5432 failed: "
#define LOCAL       "connection to server on socket \"/run/.s.PGSQL.5432\" failed: "
#define CERTIFICATE "could not open certificate file \"/root/x\": Permission denied"

struct message {
    const char *name, *text, *cause, *before;
};

static const struct message messages[] = {
    {"none", "", "", ""},
    {"without a line end", "no", "no", ""},
    {"a refused connection",
     TCP
     "Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?\n",
     "Connection refused", ""},
    {"a socket", LOCAL "No such file or directory\n\tIs the server running locally?\n",
     "No such file or directory", ""},
    {"an SQLSTATE", TCP "FATAL:  28P01\n", "28P01", ""},
    {"a cause with a hint behind it",
     TCP
     "root certificate file \"/x\" does not exist\nEither provide the file or change sslmode.\n",
     "root certificate file \"...\" does not exist", ""},
    {"a cause without a server, with a hint",
     "root certificate file \"/x\" does not exist\nEither provide the file or change sslmode.\n",
     "root certificate file \"...\" does not exist", ""},
    {"two attempts", TCP CERTIFICATE "\n" TCP "FATAL:  28000\n", "28000",
     "could not open certificate file \"...\": Permission denied"},
    {"two attempts with hints", TCP CERTIFICATE "\nHint\n" TCP "server closed it\n\tHint\n",
     "server closed it", "could not open certificate file \"...\": Permission denied"},
    {"a name with a line end", "could not translate host name \"db\n\" to address: Unknown\n",
     "could not translate host name \"...\" to address: Unknown", ""},
    {"a name that does not end", "invalid port number: \"54\nsecond\n",
     "invalid port number: \"...\"", ""},
    {"a name at the end", "invalid sslmode value: \"x\"\n", "invalid sslmode value: \"...\"", ""},
    {"two names", "server certificate for \"a\" does not match host name \"b\"",
     "server certificate for \"...\" does not match host name \"...\"", ""},
};

static void check_message(void **state) {
    const struct message *line = *state;
    struct failure failure;
    failure_read(line->text, &failure);
    assert_string_equal(failure.cause, line->cause);
    assert_string_equal(failure.before, line->before);
}

static void check_long_message(void **state) {
    (void)state;
    char text[4 * FAILURE_SIZE];
    struct failure failure;
    for (size_t quotes = 0; quotes < 2; quotes++) {
        memset(text, 'x', sizeof text);
        for (size_t i = 0; quotes && i < sizeof text; i += 2)
            text[i] = '"';
        text[sizeof text - 1] = '\0';
        failure_read(text, &failure);
        assert_in_range(strlen(failure.cause), FAILURE_SIZE / 2, FAILURE_SIZE - 1);
    }
}

struct cause {
    const char *name;
    bool is_sqlstate, is_of_tls;
};

static const struct cause causes[] = {
    {"28000", true, false},
    {"XX000", true, false},
    {"2800", false, false},
    {"28000x", false, false},
    {"Error", false, false},
    {"", false, false},
    {"SSL error: certificate verify failed", false, true},
    {"could not open certificate file", false, true},
    {"server does not support SSL, but SSL was required", false, true},
    {"could not load private key file", false, true},
    {"Connection refused", false, false},
};

static void check_cause(void **state) {
    const struct cause *line = *state;
    assert_int_equal(failure_is_sqlstate(line->name), line->is_sqlstate);
    assert_int_equal(failure_is_of_tls(line->name), line->is_of_tls);
}

int main(void) {
    ADD_CASES(messages, check_message);
    add_case("a message that is too long", check_long_message, NULL);
    ADD_CASES(causes, check_cause);
    return run_cases("failure");
}
