/* The environment: defaults, bounds, second names, white space, the password file, and errors
 * without values. */
#include "config.h"

#include "cases.h"
#include "problems.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SETTINGS_SIZE = 256 };

static char message_output[64] = "CMOCKA_MESSAGE_OUTPUT="; /* cmocka reads it at every result */

/* Settings are separated by |; a name without = is unset. Required variables are set before. */
static bool load(const char *settings, struct config *config, struct problems *problems) {
    static char copy[SETTINGS_SIZE]; /* the environment points into it */
    (void)snprintf(copy, sizeof copy, "DB_USERNAME=reader|DB_PASSWORD=swordfish|%s", settings);
    assert_int_equal(clearenv(), 0);
    assert_int_equal(putenv(message_output), 0);
    *problems = (struct problems){0};
    for (char *rest = copy, *setting; (setting = strsep(&rest, "|"));) {
        if (strchr(setting, '='))
            assert_int_equal(putenv(setting), 0);
        else if (*setting)
            assert_int_equal(unsetenv(setting), 0);
    }
    return config_load(config, problems);
}

#define TEXT(member)   offsetof(struct config, member), false
#define NUMBER(member) offsetof(struct config, member), true
#define USER           TEXT(database_user)
#define PASSWORD       TEXT(database_password)
#define HOST           TEXT(database_host)
#define PORT           TEXT(database_port)
#define NAME           TEXT(database_name)
#define APP_PORT       NUMBER(app_port)
#define WORKERS        NUMBER(workers)
#define LIMIT          NUMBER(statement_timeout_ms)
#define LEVEL          NUMBER(log_level)
#define ROLLUPS        NUMBER(rollups)
#define LAG            NUMBER(max_replica_lag_ms)
#define LEFT_TO_LIBPQ  "left to libpq"

struct accepted {
    const char *name, *settings;
    size_t offset; /* of the member to check */
    bool is_number;
    const char *value;
};

static const struct accepted accepted[] = {
    {"DB_USERNAME", "", USER, "reader"},
    {"DB_USERNAME beats DB_USER", "DB_USER=other", USER, "reader"},
    {"DB_USERNAME beats PGUSER", "PGUSER=other", USER, "reader"},
    {"DB_USER alone", "DB_USERNAME|DB_USER=other", USER, "other"},
    {"DB_USER for an empty DB_USERNAME", "DB_USERNAME=|DB_USER=other", USER, "other"},
    {"DB_PASSWORD", "", PASSWORD, "swordfish"},
    {"DB_PASSWORD beats PGPASSWORD", "PGPASSWORD=other", PASSWORD, "swordfish"},
    {"DB_PASSWORD of any bytes", "DB_PASSWORD= '=\\\n\xff", PASSWORD, " '=\\\n\xff"},
    {"DB_PASSWORD with an empty DB_PASSWORD_FILE", "DB_PASSWORD_FILE=", PASSWORD, "swordfish"},
    {"DB_HOST by default", "", HOST, "127.0.0.1"},
    {"DB_HOST", "DB_HOST=db.example", HOST, "db.example"},
    {"DB_HOST, a list", "DB_HOST=a,b,/run", HOST, "a,b,/run"},
    {"DB_HOST, empty", "DB_HOST=", HOST, "127.0.0.1"},
    {"DB_HOST beats PGHOST", "DB_HOST=a|PGHOST=b", HOST, "a"},
    {"PGHOST stands in", "PGHOST=b", HOST, LEFT_TO_LIBPQ},
    {"PGHOST for an empty DB_HOST", "DB_HOST=|PGHOST=b", HOST, LEFT_TO_LIBPQ},
    {"PGHOST, empty, does not", "PGHOST=", HOST, "127.0.0.1"},
    {"DB_PORT by default", "", PORT, "5432"},
    {"DB_PORT, lowest", "DB_PORT=1", PORT, "1"},
    {"DB_PORT, highest", "DB_PORT=65535", PORT, "65535"},
    {"DB_PORT, empty", "DB_PORT=", PORT, "5432"},
    {"DB_PORT, a list", "DB_HOST=a,b,c|DB_PORT=1,65535,5432", PORT, "1,65535,5432"},
    {"DB_PORT, a list for PGHOST", "PGHOST=a,b|DB_PORT=1,2", PORT, "1,2"},
    {"DB_PORT, one for several hosts", "DB_HOST=a,b,c|DB_PORT=5433", PORT, "5433"},
    {"DB_USERNAME with white space", "DB_USERNAME=\t reader\r\n", USER, "reader"},
    {"DB_USER with white space", "DB_USERNAME|DB_USER= reader", USER, "reader"},
    {"DB_USERNAME of white space", "DB_USERNAME= |DB_USER=other", USER, "other"},
    {"DB_PASSWORD with a line end", "DB_PASSWORD=swordfish\n", PASSWORD, "swordfish\n"},
    {"DB_HOST with white space", "DB_HOST= a , b,/c d \n", HOST, "a,b,/c d"},
    {"DB_HOST of white space", "DB_HOST= \n", HOST, "127.0.0.1"},
    {"DB_PORT with white space", "DB_HOST=a,b|DB_PORT= 1 , 2\n", PORT, "1,2"},
    {"FCGI_WORKERS with white space", "FCGI_WORKERS=\t3 ", WORKERS, "3"},
    {"LOG_LEVEL with white space", "LOG_LEVEL=error\n", LEVEL, "3"},
    {"DB_PORT beats PGPORT", "DB_PORT=1|PGPORT=2", PORT, "1"},
    {"PGPORT stands in", "PGPORT=5433", PORT, LEFT_TO_LIBPQ},
    {"DB_NAME by default", "", NAME, "postgres"},
    {"DB_NAME", "DB_NAME=a b=c", NAME, "a b=c"},
    {"DB_NAME beats PGDATABASE", "DB_NAME=a|PGDATABASE=b", NAME, "a"},
    {"PGDATABASE stands in", "PGDATABASE=b", NAME, LEFT_TO_LIBPQ},
    {"APP_PORT by default", "", APP_PORT, "5153"},
    {"APP_PORT, empty", "APP_PORT=", APP_PORT, "5153"},
    {"APP_PORT, lowest", "APP_PORT=1", APP_PORT, "1"},
    {"APP_PORT, highest", "APP_PORT=65535", APP_PORT, "65535"},
    {"APP_PORT with leading zeros is decimal", "APP_PORT=0080", APP_PORT, "80"},
    {"FCGI_WORKERS by default", "", WORKERS, "4"},
    {"FCGI_WORKERS, empty", "FCGI_WORKERS=", WORKERS, "4"},
    {"FCGI_WORKERS, lowest", "FCGI_WORKERS=1", WORKERS, "1"},
    {"FCGI_WORKERS, highest", "FCGI_WORKERS=256", WORKERS, "256"},
    {"STATEMENT_TIMEOUT_MS by default", "", LIMIT, "5000"},
    {"STATEMENT_TIMEOUT_MS, empty", "STATEMENT_TIMEOUT_MS=", LIMIT, "5000"},
    {"STATEMENT_TIMEOUT_MS, lowest", "STATEMENT_TIMEOUT_MS=100", LIMIT, "100"},
    {"STATEMENT_TIMEOUT_MS, highest", "STATEMENT_TIMEOUT_MS=60000", LIMIT, "60000"},
    {"LOG_LEVEL by default", "", LEVEL, "1"},
    {"LOG_LEVEL, empty", "LOG_LEVEL=", LEVEL, "1"},
    {"LOG_LEVEL debug", "LOG_LEVEL=debug", LEVEL, "0"},
    {"LOG_LEVEL info", "LOG_LEVEL=info", LEVEL, "1"},
    {"LOG_LEVEL warning", "LOG_LEVEL=warning", LEVEL, "2"},
    {"LOG_LEVEL error", "LOG_LEVEL=error", LEVEL, "3"},
    {"MAX_REPLICA_LAG_MS by default", "", LAG, "10000"},
    {"MAX_REPLICA_LAG_MS, empty", "MAX_REPLICA_LAG_MS=", LAG, "10000"},
    {"MAX_REPLICA_LAG_MS, no bound", "MAX_REPLICA_LAG_MS=0", LAG, "0"},
    {"MAX_REPLICA_LAG_MS, highest", "MAX_REPLICA_LAG_MS=86400000", LAG, "86400000"},
    {"ROLLUPS by default", "", ROLLUPS, "1"},
    {"ROLLUPS, empty", "ROLLUPS=", ROLLUPS, "1"},
    {"ROLLUPS on", "ROLLUPS=on", ROLLUPS, "1"},
    {"ROLLUPS off", "ROLLUPS=off", ROLLUPS, "0"},
};

static void check_accepted(void **state) {
    const struct accepted *line = *state;
    struct config config;
    struct problems problems;
    char value[64];
    assert_true(load(line->settings, &config, &problems));
    const void *member = (const char *)&config + line->offset;
    if (line->is_number) {
        (void)snprintf(value, sizeof value, "%ld", *(const long *)member);
    } else {
        const char *text = *(const char *const *)member;
        (void)snprintf(value, sizeof value, "%s", text ? text : LEFT_TO_LIBPQ);
    }
    assert_string_equal(value, line->value);
}

struct refused {
    const char *name, *settings;
    const char *variable; /* that the error names */
};

static const struct refused refused[] = {
    {"no DB_USERNAME", "DB_USERNAME", "DB_USERNAME"},
    {"DB_USERNAME, empty", "DB_USERNAME=", "DB_USERNAME"},
    {"DB_USERNAME and DB_USER, both empty", "DB_USERNAME=|DB_USER=", "DB_USERNAME"},
    {"PGUSER does not stand in", "DB_USERNAME|PGUSER=other", "DB_USERNAME"},
    {"no DB_PASSWORD", "DB_PASSWORD", "DB_PASSWORD"},
    {"DB_PASSWORD, empty", "DB_PASSWORD=", "DB_PASSWORD"},
    {"DB_PASSWORD and DB_PASSWORD_FILE, both empty",
     "DB_PASSWORD=|DB_PASSWORD_FILE=", "DB_PASSWORD"},
    {"PGPASSWORD does not stand in", "DB_PASSWORD|PGPASSWORD=other", "DB_PASSWORD"},
    {"DB_PASSWORD_FILE, missing", "DB_PASSWORD|DB_PASSWORD_FILE=/nowhere", "DB_PASSWORD_FILE"},
    {"DB_PASSWORD_FILE, missing, with DB_PASSWORD", "DB_PASSWORD_FILE=/nowhere",
     "DB_PASSWORD_FILE"},
    {"DB_PASSWORD_FILE, a folder", "DB_PASSWORD|DB_PASSWORD_FILE=/", "DB_PASSWORD_FILE"},
    {"DB_PORT of letters", "DB_PORT=abc", "DB_PORT"},
    {"DB_PORT below the lowest", "DB_PORT=0", "DB_PORT"},
    {"DB_PORT above the highest", "DB_PORT=65536", "DB_PORT"},
    {"DB_PORT beyond a long", "DB_PORT=99999999999999999999", "DB_PORT"},
    {"DB_PORT with a sign", "DB_PORT=+5432", "DB_PORT"},
    {"DB_PORT below zero", "DB_PORT=-5432", "DB_PORT"},
    {"DB_PORT with a space inside", "DB_PORT=54 32", "DB_PORT"},
    {"DB_PORT, hexadecimal", "DB_PORT=0x1538", "DB_PORT"},
    {"DB_PORT, a list with a bad start", "DB_HOST=a,b|DB_PORT=abc,5432", "DB_PORT"},
    {"DB_PORT, a list with a bad end", "DB_HOST=a,b|DB_PORT=5432,65536", "DB_PORT"},
    {"DB_HOST with a space inside", "DB_HOST=db example", "DB_HOST"},
    {"DB_HOST with a port", "DB_HOST=db.example:5432", "DB_HOST"},
    {"DB_HOST with an empty item", "DB_HOST=a,,b", "DB_HOST"},
    {"DB_HOST with an item of a space", "DB_HOST=a, ,b", "DB_HOST"},
    {"DB_HOST, 17 hosts", "DB_HOST=a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", "DB_HOST"},
    {"MIGRATE_PASSWORD_FILE, missing", "MIGRATE_PASSWORD_FILE=/nowhere", "MIGRATE_PASSWORD_FILE"},
    {"LOGGER_PASSWORD_FILE, missing", "LOGGER_PASSWORD_FILE=/nowhere", "LOGGER_PASSWORD_FILE"},
    {"PGSSLMODE, unknown", "PGSSLMODE=always", "PGSSLMODE"},
    {"PGHOST with an empty item", "PGHOST=a,", "PGHOST"},
    {"DB_PORT, a list with an empty start", "DB_HOST=a,b|DB_PORT=,5432", "DB_PORT"},
    {"DB_PORT, a list with an empty end", "DB_HOST=a,b|DB_PORT=5432,", "DB_PORT"},
    {"DB_PORT, more than hosts", "DB_HOST=primary|DB_PORT=5432,5433", "DB_PORT"},
    {"DB_PORT, fewer than hosts", "DB_HOST=h1,h2,h3|DB_PORT=5432,5433", "DB_PORT"},
    {"APP_PORT below the lowest", "APP_PORT=0", "APP_PORT"},
    {"APP_PORT above the highest", "APP_PORT=65536", "APP_PORT"},
    {"APP_PORT, a list", "APP_PORT=5153,5154", "APP_PORT"},
    {"APP_PORT, a fraction", "APP_PORT=5153.5", "APP_PORT"},
    {"APP_HOST, a name", "APP_HOST=localhost", "APP_HOST"},
    {"APP_HOST with a port", "APP_HOST=127.0.0.1:80", "APP_HOST"},
    {"APP_HOST with a zone", "APP_HOST=fe80::1%lo", "APP_HOST"},
    {"APP_HOST for other machines without keys", "APP_HOST=192.0.2.1", "KEYS_FILE"},
    {"APP_HOST for all machines without keys", "APP_HOST=::", "KEYS_FILE"},
    {"KEYS_FILE that is not there", "KEYS_FILE=/no/such/file", "KEYS_FILE"},
    {"FCGI_WORKERS below the lowest", "FCGI_WORKERS=0", "FCGI_WORKERS"},
    {"FCGI_WORKERS above the highest", "FCGI_WORKERS=257", "FCGI_WORKERS"},
    {"FCGI_WORKERS below zero", "FCGI_WORKERS=-1", "FCGI_WORKERS"},
    {"FCGI_WORKERS of letters", "FCGI_WORKERS=four", "FCGI_WORKERS"},
    {"STATEMENT_TIMEOUT_MS below the lowest", "STATEMENT_TIMEOUT_MS=99", "STATEMENT_TIMEOUT_MS"},
    {"STATEMENT_TIMEOUT_MS above the highest", "STATEMENT_TIMEOUT_MS=60001",
     "STATEMENT_TIMEOUT_MS"},
    {"STATEMENT_TIMEOUT_MS with a unit", "STATEMENT_TIMEOUT_MS=5s", "STATEMENT_TIMEOUT_MS"},
    {"LOG_LEVEL in capitals", "LOG_LEVEL=INFO", "LOG_LEVEL"},
    {"LOG_LEVEL cut short", "LOG_LEVEL=debu", "LOG_LEVEL"},
    {"LOG_LEVEL, unknown", "LOG_LEVEL=verbose", "LOG_LEVEL"},
    {"LOG_LEVEL, a number", "LOG_LEVEL=2", "LOG_LEVEL"},
    {"MAX_REPLICA_LAG_MS above the highest", "MAX_REPLICA_LAG_MS=86400001", "MAX_REPLICA_LAG_MS"},
    {"MAX_REPLICA_LAG_MS, negative", "MAX_REPLICA_LAG_MS=-1", "MAX_REPLICA_LAG_MS"},
    {"MAX_REPLICA_LAG_MS with a unit", "MAX_REPLICA_LAG_MS=10s", "MAX_REPLICA_LAG_MS"},
    {"ROLLUPS in capitals", "ROLLUPS=OFF", "ROLLUPS"},
    {"ROLLUPS, a number", "ROLLUPS=1", "ROLLUPS"},
    {"first of several wrong ones", "FCGI_WORKERS=0|DB_PORT=abc|LOG_LEVEL=verbose", "DB_PORT"},
};

static const char *find_error(const struct problems *problems) {
    size_t place = 0;
    while (place < problems->count && !problems->list[place].is_error)
        place++;
    assert_true(place < problems->count);
    return problems->list[place].text;
}

static void check_refused(void **state) {
    const struct refused *line = *state;
    struct config config;
    struct problems problems;
    char start[64], settings[SETTINGS_SIZE];
    assert_false(load(line->settings, &config, &problems));
    const char *error = find_error(&problems);
    (void)snprintf(start, sizeof start, "%s must be ", line->variable);
    assert_memory_equal(error, start, strlen(start));
    assert_in_range(strlen(error), strlen(start) + 1, PROBLEM_SIZE - 1);
    assert_null(strchr(error, '\n'));
    assert_null(strstr(error, "swordfish"));
    assert_null(strstr(error, "reader"));
    (void)snprintf(settings, sizeof settings, "%s", line->settings);
    for (char *rest = settings, *setting; (setting = strsep(&rest, "|"));) {
        const char *value = strchr(setting, '=');
        /* Shorter values could be words of the error message. */
        if (value && strlen(value + 1) > 4)
            assert_null(strstr(error, value + 1));
    }
}

struct password_file {
    const char *name;
    size_t letters;   /* that the file starts with */
    const char *tail; /* that follows */
    size_t filler;    /* bytes after that */
    size_t kept;      /* bytes that are kept; 0 if the file is refused */
};

enum { LONGEST = 1022 };

static const struct password_file password_files[] = {
    {"file of one line", 9, "\n", 0, 9},
    {"file without a line end", 9, "", 0, 9},
    {"file with CRLF", 9, "\r\n", 0, 9},
    {"file of two lines", 9, "\nsecond\n", 0, 9},
    {"file of two lines with CRLF", 9, "\r\nsecond\r\n", 0, 9},
    {"file with a space at the line's end", 9, " \n", 0, 10},
    {"file of one byte", 1, "", 0, 1},
    {"file with the longest password", LONGEST, "", 0, LONGEST},
    {"file with the longest password and a line end", LONGEST, "\n", 0, LONGEST},
    {"file with the longest password and CRLF", LONGEST, "\r\n", 0, LONGEST},
    {"file with a long second line", 9, "\n", 2000, 9},
    {"file with a password one byte too long", LONGEST + 1, "", 0, 0},
    {"file with a password one byte too long and a line end", LONGEST + 1, "\n", 0, 0},
    {"file with a very long password", LONGEST + 1000, "\n", 0, 0},
    {"file, empty", 0, "", 0, 0},
    {"file of a line end", 0, "\n", 0, 0},
    {"file of CRLF", 0, "\r\n", 0, 0},
    {"file with an empty first line", 0, "\nsecond\n", 0, 0},
};

/* An unnamed file, reached through its descriptor. */
static int make_file(const struct password_file *line, char content[4096]) {
    int length = snprintf(content, 4096, "%*s%s%*s", (int)line->letters, "", line->tail,
                          (int)line->filler, "");
    memset(content, 'p', line->letters);
    int fd = memfd_create("password", MFD_CLOEXEC);
    assert_true(fd >= 0 && write(fd, content, (size_t)length) == length);
    return fd;
}

static void check_password_file(void **state) {
    const struct password_file *line = *state;
    struct config config;
    struct problems problems;
    char content[4096], settings[64];
    int fd = make_file(line, content);
    (void)snprintf(settings, sizeof settings, "DB_PASSWORD|DB_PASSWORD_FILE=/proc/self/fd/%d", fd);
    bool loaded = load(settings, &config, &problems);
    (void)close(fd);
    assert_int_equal(loaded, line->kept > 0);
    content[line->kept] = '\0';
    if (loaded)
        assert_string_equal(config.database_password, content);
    else
        assert_memory_equal(find_error(&problems), "DB_PASSWORD_FILE must be ", 25);
}

static void check_both_passwords(void **state) {
    struct config config;
    struct problems problems;
    char content[4096], settings[64];
    int fd = make_file(*state, content);
    (void)snprintf(settings, sizeof settings, "DB_PASSWORD_FILE=/proc/self/fd/%d", fd);
    bool loaded = load(settings, &config, &problems);
    (void)close(fd);
    assert_true(loaded);
    assert_string_equal(config.database_password, "swordfish");
}

struct address {
    const char *name, *settings;
    bool kept;
};

static const struct address addresses[] = {
    {"PGHOSTADDR alone", "PGHOSTADDR=192.0.2.1", true},
    {"PGHOSTADDR with PGHOST", "PGHOSTADDR=192.0.2.1|PGHOST=a", true},
    {"PGHOSTADDR with an empty DB_HOST", "PGHOSTADDR=192.0.2.1|DB_HOST=", true},
    {"PGHOSTADDR gives way to DB_HOST", "PGHOSTADDR=192.0.2.1|DB_HOST=a", false},
};

static void check_address(void **state) {
    const struct address *line = *state;
    struct config config;
    struct problems problems;
    assert_true(load(line->settings, &config, &problems));
    assert_int_equal(getenv("PGHOSTADDR") != NULL, line->kept);
}

static void check_all_problems(void **state) {
    (void)state;
    struct config config;
    struct problems problems;
    assert_false(load("DB_USERNAME|DB_PORT=abc|FCGI_WORKERS= 0|PGSSLMODE=on", &config, &problems));
    assert_int_equal(problems.error_count, 4);
    assert_int_equal(problems.count, 5);
    assert_memory_equal(problems.list[0].text, "DB_USERNAME must be ", 20);
    assert_memory_equal(problems.list[1].text, "DB_PORT must be ", 16);
    assert_memory_equal(problems.list[2].text, "FCGI_WORKERS has white space", 28);
    assert_memory_equal(problems.list[3].text, "FCGI_WORKERS must be ", 21);
    assert_memory_equal(problems.list[4].text, "PGSSLMODE must be ", 18);
}

static void check_full_list(void **state) {
    (void)state;
    struct problems problems = {0};
    for (size_t i = 0; i < 2 * (size_t)PROBLEMS_MAX; i++)
        problems_add_error(&problems, "NAME", "something");
    assert_int_equal(problems.count, PROBLEMS_MAX);
    assert_int_equal(problems.error_count, 2 * (size_t)PROBLEMS_MAX);
}

int main(void) {
    const char *output = getenv("CMOCKA_MESSAGE_OUTPUT");
    (void)strncat(message_output, output ? output : "STDOUT", 16);
    ADD_CASES(accepted, check_accepted);
    ADD_CASES(refused, check_refused);
    ADD_CASES(password_files, check_password_file);
    add_case("DB_PASSWORD beats DB_PASSWORD_FILE", check_both_passwords, &password_files[0]);
    ADD_CASES(addresses, check_address);
    add_case("all problems at once", check_all_problems, NULL);
    add_case("a list of problems that is full", check_full_list, NULL);
    return run_cases("config");
}
