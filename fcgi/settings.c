/* One table of the settings that every session has to have. */
#include "settings.h"

#include "config.h"

#include <stdio.h>
#include <string.h>

enum {
    LOCK_WAIT_MS_MAX = 500, /* well below deadlock_timeout, see lock_wait */
    SEND_STALL_MS = 30000,  /* how long a client may take nothing while rows are under way */
    CHECK_CLIENT_MS = 500,  /* how often the server checks that its worker is still there */
    DURATION_SIZE = 24,
    ROOM = sizeof " -c ", /* of the longest that is added at a time */
};

/* How long a query waits for a lock before it releases the locks it has and starts again. A wait
 * that ends before PostgreSQL looks for a deadlock (deadlock_timeout, 1 s) cannot make it cancel a
 * transaction of the coworking service instead of ours. The waits add up to the limit. */
static long lock_wait(const struct config *config) {
    long limit_ms = config->statement_timeout_ms;
    long waits = (limit_ms + LOCK_WAIT_MS_MAX - 1) / LOCK_WAIT_MS_MAX;
    return limit_ms / waits;
}

static long statement_limit(const struct config *config) {
    return config->statement_timeout_ms + SEND_STALL_MS;
}

static long check_interval(const struct config *config) {
    (void)config;
    return CHECK_CLIENT_MS;
}

static const struct {
    const char *name;
    const char *value;       /* of a session that reads */
    const char *when_writes; /* NULL: the same */
    long (*milliseconds)(const struct config *config);
} settings[] = {
    {"DateStyle", "ISO, YMD", NULL, NULL},
    {"TimeZone", "UTC", NULL, NULL},
    {"IntervalStyle", "postgres", NULL, NULL},
    {"search_path", "pg_catalog", NULL, NULL},
    {"default_transaction_isolation", "read committed", NULL, NULL},
    {"default_transaction_read_only", "on", "off", NULL},
    {"row_security", "off", NULL, NULL}, /* hidden rows are an error, never a shorter report */
    {"plan_cache_mode", "force_generic_plan", NULL, NULL}, /* planning outlasts most reports */
    {"jit", "off", NULL, NULL}, /* compiling would take longer than any report does */
    {"lock_timeout", NULL, NULL, lock_wait},
    {"statement_timeout", NULL, NULL, statement_limit},
    {"client_connection_check_interval", NULL, NULL, check_interval},
};

/* As SHOW prints it: in the largest unit that leaves no fraction. */
static void print_duration(long milliseconds, char text[DURATION_SIZE]) {
    static const struct {
        const char *name;
        long milliseconds;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}};
    size_t i = 0;
    while (milliseconds % units[i].milliseconds != 0)
        i++;
    (void)snprintf(text, DURATION_SIZE, "%ld%s", milliseconds / units[i].milliseconds,
                   units[i].name);
}

void settings_list(const struct config *config, enum db_access access, char list[SETTINGS_SIZE]) {
    size_t length = 0;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        char duration[DURATION_SIZE];
        const char *value = settings[i].value;
        if (access == DB_READ_WRITE && settings[i].when_writes)
            value = settings[i].when_writes;
        if (settings[i].milliseconds) {
            print_duration(settings[i].milliseconds(config), duration);
            value = duration;
        }
        length += (size_t)snprintf(list + length, SETTINGS_SIZE - length, "%s%s=%s",
                                   i > 0 ? "\n" : "", settings[i].name, value);
    }
}

void settings_leave_out(char *list, const char *name) {
    size_t length = strlen(name);
    for (char *line = list; *line;) {
        char *next = line + strcspn(line, "\n");
        next += *next == '\n';
        if (strncmp(line, name, length) == 0 && line[length] == '=')
            memmove(line, next, strlen(next) + 1);
        else
            line = next;
    }
}

/* Blanks and backslashes are escaped (libpq, "options"). */
bool settings_options(const char *list, const char *given, char *options, size_t size) {
    size_t length = (size_t)snprintf(options, size, "%s%s-c ", given, *given ? " " : "");
    for (const char *next = list; *next && length + ROOM <= size; next++) {
        if (*next == '\n') {
            length += (size_t)snprintf(options + length, size - length, " -c ");
            continue;
        }
        if (*next == ' ' || *next == '\\')
            options[length++] = '\\';
        options[length++] = *next;
        options[length] = '\0';
    }
    return length + ROOM <= size;
}
