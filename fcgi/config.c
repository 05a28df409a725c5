/* The environment as one table: name, default, bounds, and where the value goes. */
#include "config.h"

#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PASSWORD_WAIT_MS = 500 };

struct variable {
    const char *name;
    const char *other_name; /* read when the first is not set */
    const char *const
        *libpq_names;          /* libpq's own: where one is set and ours is not, libpq decides */
    const char *default_value; /* NULL: required */
    bool (*parse)(const struct variable *variable, const char *text, struct config *config);
    size_t offset;     /* of the member that takes the value */
    long low, high;    /* bounds of a number */
    const char *wants; /* ends the sentence "NAME must be …" */
};

static const char *read_variable(const char *name) {
    const char *value = name ? getenv(name) : NULL;
    return value && *value ? value : NULL; /* set but empty counts as not set */
}

static bool parse_text(const struct variable *variable, const char *text, struct config *config) {
    memcpy((char *)config + variable->offset, &text, sizeof text);
    return true;
}

static bool parse_whole(const char *text, size_t length, long low, long high, long *value) {
    if (length == 0 || length > 9 || strspn(text, "0123456789") < length)
        return false;
    *value = strtol(text, NULL, 10);
    return *value >= low && *value <= high;
}

static bool parse_number(const struct variable *variable, const char *text, struct config *config) {
    long value;
    if (!parse_whole(text, strlen(text), variable->low, variable->high, &value))
        return false;
    memcpy((char *)config + variable->offset, &value, sizeof value);
    return true;
}

/* One port, or several with commas where DB_HOST is a list (libpq, "Specifying Multiple Hosts"). */
static bool parse_ports(const struct variable *variable, const char *text, struct config *config) {
    for (const char *port = text;; port += strcspn(port, ",") + 1) {
        long value;
        size_t length = strcspn(port, ",");
        if (!parse_whole(port, length, variable->low, variable->high, &value))
            return false;
        if (port[length] == '\0')
            return parse_text(variable, text, config);
    }
}

/* The choice's place in the list, which ends with NULL. */
static bool parse_choice(const char *const *choices, size_t offset, const char *text,
                         struct config *config) {
    for (long place = 0; choices[place]; place++) {
        if (strcmp(text, choices[place]) == 0) {
            memcpy((char *)config + offset, &place, sizeof place);
            return true;
        }
    }
    return false;
}

static bool parse_level(const struct variable *variable, const char *text, struct config *config) {
    static const char *const levels[] = {"debug", "info", "warning", "error", NULL};
    return parse_choice(levels, variable->offset, text, config);
}

static bool parse_switch(const struct variable *variable, const char *text, struct config *config) {
    static const char *const positions[] = {"off", "on", NULL};
    return parse_choice(positions, variable->offset, text, config);
}

static bool parse_password_file(const struct variable *variable, const char *path,
                                struct config *config) {
    char *password = config->password_from_file;
    size_t length = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct pollfd ready = {.fd = file, .events = POLLIN};
    ssize_t count = file < 0 ? -1 : 1;
    /* It may be a pipe, even one that nobody writes to. */
    while (count > 0 && length < sizeof config->password_from_file) {
        count = poll(&ready, 1, PASSWORD_WAIT_MS) == 1
                    ? read(file, password + length, sizeof config->password_from_file - length)
                    : -1;
        length += count > 0 ? (size_t)count : 0;
    }
    if (file >= 0)
        (void)close(file);
    size_t line = 0;
    while (line < length && !strchr("\r\n", password[line]))
        line++;
    if (count < 0 || line == 0 || line == sizeof config->password_from_file)
        return false;
    password[line] = '\0';
    return parse_text(variable, password, config);
}

#define TEXT(member)                parse_text, offsetof(struct config, member), 0, 0
#define PASSWORD_FILE(member)       parse_password_file, offsetof(struct config, member), 0, 0
#define PORTS(member)               parse_ports, offsetof(struct config, member), 1, 65535
#define NUMBER(member, lowest, top) parse_number, offsetof(struct config, member), lowest, top
#define LEVEL(member)               parse_level, offsetof(struct config, member), 0, 0
#define SWITCH(member)              parse_switch, offsetof(struct config, member), 0, 0

static const char *const libpq_host[] = {"PGHOST", "PGHOSTADDR", "PGSERVICE", NULL};
static const char *const libpq_port[] = {"PGPORT", "PGSERVICE", NULL};
static const char *const libpq_name[] = {"PGDATABASE", "PGSERVICE", NULL};
static const char *const none[] = {NULL};

static const struct variable variables[] = {
    {"DB_USERNAME", "DB_USER", none, NULL, TEXT(database_user),
     "set: the role that reads the reports (DB_USER will do too)"},
    {"DB_PASSWORD_FILE", NULL, none, "", PASSWORD_FILE(database_password),
     "a readable file whose first line is the password, 1 to 1022 bytes"},
    {"DB_PASSWORD", NULL, none, NULL, TEXT(database_password),
     "set: the role's password (or DB_PASSWORD_FILE, a file that holds it)"},
    {"DB_HOST", NULL, libpq_host, "127.0.0.1", TEXT(database_host),
     "a host name, an address or a socket's folder, or a list of them"},
    {"DB_PORT", NULL, libpq_port, "5432", PORTS(database_port),
     "a port from 1 to 65535, or a list of them with commas"},
    {"DB_NAME", NULL, libpq_name, "postgres", TEXT(database_name), "the name of a database"},
    {"MIGRATE_USERNAME", NULL, none, "", TEXT(migrate_user), "the role that prepares the database"},
    {"MIGRATE_PASSWORD", NULL, none, "", TEXT(migrate_password), "that role's password"},
    {"LOGGER_USERNAME", NULL, none, "", TEXT(logger_user),
     "the role that the logger logs in as, where that is not DB_USERNAME"},
    {"LOGGER_PASSWORD", NULL, none, "", TEXT(logger_password), "that role's password"},
    {"ROLLUPS", NULL, none, "on", SWITCH(rollups), "on or off"},
    {"APP_PORT", NULL, none, "5153", NUMBER(app_port, 1, 65535), "a port from 1 to 65535"},
    {"FCGI_WORKERS", NULL, none, "4", NUMBER(workers, 1, 256),
     "a number of report workers from 1 to 256"},
    {"STATEMENT_TIMEOUT_MS", NULL, none, "5000", NUMBER(statement_timeout_ms, 100, 60000),
     "a number of milliseconds from 100 to 60000"},
    {"MAX_REPLICA_LAG_MS", NULL, none, "10000", NUMBER(max_replica_lag_ms, 0, 86400000),
     "a number of milliseconds from 0, for no bound, to 86400000"},
    {"LOG_LEVEL", NULL, none, "info", LEVEL(log_level), "debug, info, warning or error"},
};

static bool is_left_to_libpq(const struct variable *variable) {
    const char *const *name = variable->libpq_names;
    while (*name && !read_variable(*name))
        name++;
    return *name != NULL;
}

static bool load(const struct variable *variable, struct config *config) {
    const char *text = read_variable(variable->name);
    if (!text)
        text = read_variable(variable->other_name);
    if (!text && is_left_to_libpq(variable))
        return true;
    if (!text && variable->offset == offsetof(struct config, database_password) &&
        config->database_password)
        return true;
    if (!text)
        text = variable->default_value;
    if (!text)
        return false;
    return *text == '\0' || variable->parse(variable, text, config);
}

static size_t count_items(const char *list) {
    size_t count = 1;
    for (; *list; list++)
        count += *list == ',';
    return count;
}

bool config_load(struct config *config, char *error, size_t error_size) {
    *config = (struct config){0};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        if (!load(&variables[i], config)) {
            (void)snprintf(error, error_size, "%s must be %s", variables[i].name,
                           variables[i].wants);
            return false;
        }
    }
    /* Where libpq knows the hosts it also counts the ports (libpq, "Specifying Multiple Hosts"). */
    if (config->database_host && config->database_port) {
        size_t ports = count_items(config->database_port);
        if (ports > 1 && ports != count_items(config->database_host)) {
            (void)snprintf(error, error_size,
                           "DB_PORT must be one port, or one for each of DB_HOST");
            return false;
        }
    }
    /* libpq would connect to PGHOSTADDR whatever host we name. */
    if (read_variable("DB_HOST"))
        (void)unsetenv("PGHOSTADDR");
    return true;
}
