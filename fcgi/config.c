/* The environment as one table: name, default, bounds, and where the value goes. */
#include "config.h"

#include "environment.h"
#include "hosts.h"
#include "keys.h"
#include "libpq_variables.h"
#include "problems.h"
#include "server_names.h"
#include "values.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PASSWORD_WAIT_MS = 500 };

/* What happens to white space at a value's ends or around a list's items. */
enum space { TRIMMED, TRIMMED_LIST, KEPT };

struct variable {
    const char *name;
    const char *other_name;       /* read when the first is not set */
    const char *const *stand_ins; /* if one of these is set, ours may be unset and has no default */
    const char *default_value;    /* NULL: required */
    bool (*parse)(const struct variable *variable, const char *text, struct config *config);
    size_t offset;     /* of the member that takes the value */
    long low, high;    /* bounds of a number; for a file, low is its index in password_files */
    enum space space;  /* a password may end with a space */
    const char *wants; /* ends the sentence "NAME must be …" */
};

static bool parse_text(const struct variable *variable, const char *text, struct config *config) {
    memcpy((char *)config + variable->offset, &text, sizeof text);
    return true;
}

static bool parse_number(const struct variable *variable, const char *text, struct config *config) {
    long value;
    if (!values_number(text, variable->low, variable->high, &value))
        return false;
    memcpy((char *)config + variable->offset, &value, sizeof value);
    return true;
}

static bool parse_hosts(const struct variable *variable, const char *text, struct config *config) {
    return values_are_hosts(text) && values_count(text) <= HOSTS_MAX &&
           parse_text(variable, text, config);
}

static bool parse_ports(const struct variable *variable, const char *text, struct config *config) {
    return values_are_ports(text, false) && parse_text(variable, text, config);
}

/* Takes the choice's place in the list. */
static bool parse_choice(const char *const *choices, const struct variable *variable,
                         const char *text, struct config *config) {
    long place = values_choice(choices, text);
    if (place >= 0)
        memcpy((char *)config + variable->offset, &place, sizeof place);
    return place >= 0;
}

static bool parse_level(const struct variable *variable, const char *text, struct config *config) {
    static const char *const levels[] = {"debug", "info", "warning", "error", NULL};
    return parse_choice(levels, variable, text, config);
}

static bool parse_switch(const struct variable *variable, const char *text, struct config *config) {
    static const char *const positions[] = {"off", "on", NULL};
    return parse_choice(positions, variable, text, config);
}

static bool parse_server_names(const struct variable *variable, const char *text,
                               struct config *config) {
    return server_names_are_valid(text) && parse_text(variable, text, config);
}

static bool parse_app_host(const struct variable *variable, const char *text,
                           struct config *config) {
    return values_is_address(text) && !strchr(text, '%') && parse_text(variable, text, config);
}

static bool parse_endpoint(const struct variable *variable, const char *text,
                           struct config *config) {
    return values_is_endpoint(text) && parse_text(variable, text, config);
}

static bool parse_keys(const struct variable *variable, const char *path, struct config *config) {
    return keys_are_valid(path) && parse_text(variable, path, config);
}

static bool parse_password_file(const struct variable *variable, const char *path,
                                struct config *config) {
    char *password = config->password_files[variable->low];
    size_t length = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct pollfd ready = {.fd = file, .events = POLLIN};
    ssize_t count = file < 0 ? -1 : 1;
    /* The file may be a pipe that nobody writes to. */
    while (count > 0 && length < CONFIG_PASSWORD_SIZE) {
        count = poll(&ready, 1, PASSWORD_WAIT_MS) == 1
                    ? read(file, password + length, CONFIG_PASSWORD_SIZE - length)
                    : -1;
        length += count > 0 ? (size_t)count : 0;
    }
    if (file >= 0)
        (void)close(file);
    size_t line = 0;
    while (line < length && !strchr("\r\n", password[line]))
        line++;
    if (count < 0 || line == 0 || line == CONFIG_PASSWORD_SIZE)
        return false;
    password[line] = '\0';
    return parse_text(variable, password, config);
}

#define TEXT(member)     parse_text, offsetof(struct config, member), 0, 0, TRIMMED
#define PASSWORD(member) parse_text, offsetof(struct config, member), 0, 0, KEPT
#define PASSWORD_FILE(member, file)                                                                \
    parse_password_file, offsetof(struct config, member), file, 0, TRIMMED
#define HOSTS(member) parse_hosts, offsetof(struct config, member), 0, 0, TRIMMED_LIST
#define PORTS(member) parse_ports, offsetof(struct config, member), 0, 0, TRIMMED_LIST
#define NUMBER(member, lowest, top)                                                                \
    parse_number, offsetof(struct config, member), lowest, top, TRIMMED
#define LEVEL(member)    parse_level, offsetof(struct config, member), 0, 0, TRIMMED
#define NAMES(member)    parse_server_names, offsetof(struct config, member), 0, 0, TRIMMED
#define ADDRESS(member)  parse_app_host, offsetof(struct config, member), 0, 0, TRIMMED
#define KEYS(member)     parse_keys, offsetof(struct config, member), 0, 0, TRIMMED
#define ENDPOINT(member) parse_endpoint, offsetof(struct config, member), 0, 0, TRIMMED
#define SWITCH(member)   parse_switch, offsetof(struct config, member), 0, 0, TRIMMED

static const char *const libpq_host[] = {"PGHOST", "PGHOSTADDR", "PGSERVICE", NULL};
static const char *const libpq_port[] = {"PGPORT", "PGSERVICE", NULL};
static const char *const libpq_name[] = {"PGDATABASE", "PGSERVICE", NULL};
static const char *const file[] = {"DB_PASSWORD_FILE", NULL};
static const char *const none[] = {NULL};

#define FILE_WANTED                                                                                \
    "a file that the service's user can read, whose first line is the password, 1 to 1022 bytes"

/* A password overrides its file, so its row comes after the file's. */
static const struct variable variables[] = {
    {"DB_USERNAME", "DB_USER", none, NULL, TEXT(database_user),
     "set: the role that reads the reports (DB_USER will do too)"},
    {"DB_PASSWORD_FILE", NULL, none, "", PASSWORD_FILE(database_password, 0), FILE_WANTED},
    {"DB_PASSWORD", NULL, file, NULL, PASSWORD(database_password),
     "set: the role's password (or DB_PASSWORD_FILE, a file that holds it)"},
    {"DB_HOST", NULL, libpq_host, "127.0.0.1", HOSTS(database_host),
     "a host name, an IP address or a socket's folder, or a list of up to 16 of them with commas; "
     "a port goes into DB_PORT"},
    {"DB_PORT", NULL, libpq_port, "5432", PORTS(database_port),
     "a port from 1 to 65535, or a list of them with commas"},
    {"DB_NAME", NULL, libpq_name, "postgres", TEXT(database_name), "the name of a database"},
    {"MIGRATE_USERNAME", NULL, none, "", TEXT(migrate_user), "the role that prepares the database"},
    {"MIGRATE_PASSWORD_FILE", NULL, none, "", PASSWORD_FILE(migrate_password, 1), FILE_WANTED},
    {"MIGRATE_PASSWORD", NULL, none, "", PASSWORD(migrate_password), "that role's password"},
    {"WORKER_USERNAME", NULL, none, "", TEXT(worker_user),
     "the role that workers log in as, where that is not DB_USERNAME"},
    {"WORKER_PASSWORD_FILE", NULL, none, "", PASSWORD_FILE(worker_password, 3), FILE_WANTED},
    {"WORKER_PASSWORD", NULL, none, "", PASSWORD(worker_password), "that role's password"},
    {"LOGGER_USERNAME", NULL, none, "", TEXT(logger_user),
     "the role that the logger logs in as, where that is not the workers'"},
    {"LOGGER_PASSWORD_FILE", NULL, none, "", PASSWORD_FILE(logger_password, 2), FILE_WANTED},
    {"LOGGER_PASSWORD", NULL, none, "", PASSWORD(logger_password), "that role's password"},
    {"ROLLUPS", NULL, none, "on", SWITCH(rollups), "on or off"},
    {"APP_PORT", NULL, none, "5153", NUMBER(app_port, 1, 65535), "a port from 1 to 65535"},
    {"APP_HOST", NULL, none, "", ADDRESS(app_host),
     "an IP address of this machine, such as 192.0.2.1, 0.0.0.0 or ::"},
    {"KEYS_FILE", NULL, none, "", KEYS(keys_file),
     "a file that the service's user can read, with at least one key and only lines that `make key "
     "NAME=...` writes"},
    {"SIGN_IN", NULL, none, "", ENDPOINT(sign_in),
     "the host and port of an oauth2-proxy, such as 127.0.0.1:4180"},
    {"SERVER_NAMES", NULL, none, "", NAMES(server_names),
     "a list of host names, as in \"reports.example.org *.example.com [2001:db8::1]\""},
    {"FCGI_WORKERS", NULL, none, "4", NUMBER(workers, 1, 256),
     "a number of report workers from 1 to 256"},
    {"STATEMENT_TIMEOUT_MS", NULL, none, "5000", NUMBER(statement_timeout_ms, 100, 60000),
     "a number of milliseconds from 100 to 60000"},
    {"MAX_REPLICA_LAG_MS", NULL, none, "10000", NUMBER(max_replica_lag_ms, 0, 86400000),
     "a number of milliseconds from 0, for no bound, to 86400000"},
    {"LOG_LEVEL", NULL, none, "info", LEVEL(log_level), "debug, info, warning or error"},
};

static void trim(const struct variable *variable, struct problems *problems) {
    if (variable->space != KEPT) {
        environment_trim(variable->name, variable->space == TRIMMED_LIST, problems);
        environment_trim(variable->other_name, variable->space == TRIMMED_LIST, problems);
        return;
    }
    const char *text = environment_read(variable->name);
    if (text && values_has_outer_space(text))
        problems_add_warning(problems, variable->name,
                             "begins or ends with white space, which is taken as part of it");
}

static bool has_stand_in(const struct variable *variable) {
    const char *const *name = variable->stand_ins;
    while (*name && !environment_read(*name))
        name++;
    return *name != NULL;
}

static bool load(const struct variable *variable, struct config *config) {
    const char *text = environment_read(variable->name);
    if (!text)
        text = environment_read(variable->other_name);
    if (!text && has_stand_in(variable))
        return true;
    if (!text)
        text = variable->default_value;
    if (!text)
        return false;
    return *text == '\0' || variable->parse(variable, text, config);
}

/* Where libpq knows the hosts it also counts the ports (libpq, "Specifying Multiple Hosts"). */
static void check_count_of_ports(const struct config *config, struct problems *problems) {
    if (!config->database_host || !config->database_port)
        return;
    size_t ports = values_count(config->database_port);
    if (ports > 1 && ports != values_count(config->database_host))
        problems_add_error(problems, "DB_PORT", "one port, or one for each host in DB_HOST");
}

/* Who can reach the service from elsewhere needs a key. */
static void check_access(const struct config *config, struct problems *problems) {
    const char *host = config->app_host;
    bool is_loopback =
        !host || strncmp(host, "127.", strlen("127.")) == 0 || strcmp(host, "::1") == 0;
    if (config->keys_file || environment_read("KEYS_FILE"))
        return;
    if (config->sign_in)
        problems_add_error(problems, "KEYS_FILE",
                           "set to a file of keys, since SIGN_IN closes the service to others: "
                           "`make -s key NAME=analyst >>FILE` adds one");
    else if (!is_loopback)
        problems_add_error(problems, "KEYS_FILE",
                           "set to a file of keys, since APP_HOST opens the service to other "
                           "machines: `make -s key NAME=analyst >>FILE` adds one");
}

bool config_load(struct config *config, struct problems *problems) {
    *config = (struct config){0};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        const struct variable *variable = &variables[i];
        trim(variable, problems);
        if (!load(variable, config))
            problems_add_error(problems, variable->name, variable->wants);
    }
    check_count_of_ports(config, problems);
    check_access(config, problems);
    /* libpq would connect to PGHOSTADDR whatever host we name. */
    if (environment_read("DB_HOST"))
        (void)unsetenv("PGHOSTADDR");
    libpq_variables_trim(problems);
    libpq_variables_check(problems);
    return problems->error_count == 0;
}
