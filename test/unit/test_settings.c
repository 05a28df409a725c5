/* The settings of a session: as lines, and as startup options. */
#include "settings.h"

#include "cases.h"
#include "config.h"

#include <string.h>

struct asked {
    const char *name;
    long limit_ms;
    enum db_access access;
    const char *line;
};

static const struct asked lines[] = {
    {"the date style", 5000, DB_READ_ONLY, "DateStyle=ISO, YMD"},
    {"the search path", 5000, DB_READ_ONLY, "search_path=pg_catalog"},
    {"who reads", 5000, DB_READ_ONLY, "default_transaction_read_only=on"},
    {"who writes", 5000, DB_READ_WRITE, "default_transaction_read_only=off"},
    {"a limit in seconds", 5000, DB_READ_ONLY, "statement_timeout=35s"},
    {"a limit in minutes", 30000, DB_READ_ONLY, "statement_timeout=1min"},
    {"a limit in milliseconds", 100, DB_READ_ONLY, "statement_timeout=30100ms"},
    {"one wait for a lock", 100, DB_READ_ONLY, "lock_timeout=100ms"},
    {"several waits for a lock", 5000, DB_READ_ONLY, "lock_timeout=500ms"},
    {"waits that add up", 1600, DB_READ_ONLY, "lock_timeout=400ms"},
};

static bool has_line(const char *list, const char *line) {
    size_t length = strlen(line);
    for (const char *found = list; (found = strstr(found, line)); found += length) {
        bool is_start = found == list || found[-1] == '\n';
        if (is_start && (found[length] == '\n' || found[length] == '\0'))
            return true;
    }
    return false;
}

static void check_line(void **state) {
    const struct asked *asked = *state;
    const struct config config = {.statement_timeout_ms = asked->limit_ms};
    char list[SETTINGS_SIZE];
    settings_list(&config, asked->access, list);
    assert_true(has_line(list, asked->line));
}

/* The longest list is far below the bound. */
static void check_size(void **state) {
    (void)state;
    const struct config config = {.statement_timeout_ms = 59999};
    char list[SETTINGS_SIZE];
    settings_list(&config, DB_READ_WRITE, list);
    assert_true(strlen(list) < SETTINGS_SIZE / 2);
    assert_int_not_equal(list[strlen(list) - 1], '\n');
}

struct removal {
    const char *name, *list, *setting, *left;
};

static const struct removal removals[] = {
    {"the first setting", "a=1\nb=2\nc=3", "a", "b=2\nc=3"},
    {"one between", "a=1\nb=2\nc=3", "b", "a=1\nc=3"},
    {"no such setting", "a=1\nb=2", "c", "a=1\nb=2"},
    {"a name's start", "ab=1\nb=2", "a", "ab=1\nb=2"},
    {"a value", "b=a=1\nc=2", "a", "b=a=1\nc=2"},
};

static void check_removal(void **state) {
    const struct removal *removal = *state;
    char list[SETTINGS_SIZE];
    (void)snprintf(list, sizeof list, "%s", removal->list);
    settings_leave_out(list, removal->setting);
    assert_string_equal(list, removal->left);
}

struct rendered {
    const char *name, *list, *given, *options;
};

static const struct rendered rendered[] = {
    {"one setting", "jit=off", "", "-c jit=off"},
    {"two settings", "jit=off\nTimeZone=UTC", "", "-c jit=off -c TimeZone=UTC"},
    {"a blank", "DateStyle=ISO, YMD", "", "-c DateStyle=ISO,\\ YMD"},
    {"a backslash", "search_path=a\\b", "", "-c search_path=a\\\\b"},
    {"behind those given", "jit=off", "-c work_mem=64MB", "-c work_mem=64MB -c jit=off"},
};

static void check_options(void **state) {
    const struct rendered *line = *state;
    char options[256];
    assert_true(settings_options(line->list, line->given, options, sizeof options));
    assert_string_equal(options, line->options);
}

/* Options that were cut off would mean something else: every size gives all of them or an error. */
static void check_no_room(void **state) {
    (void)state;
    const char list[] = "DateStyle=ISO, YMD\njit=off",
               whole[] = "-x -c DateStyle=ISO,\\ YMD -c jit=off";
    bool fitted = false;
    for (size_t size = 1; size < 2 * sizeof whole; size++) {
        char options[2 * sizeof whole];
        fitted = settings_options(list, "-x", options, size);
        assert_true(size >= sizeof whole || !fitted);
        if (fitted)
            assert_string_equal(options, whole);
    }
    assert_true(fitted);
}

int main(void) {
    ADD_CASES(lines, check_line);
    add_case("the size of the list", check_size, NULL);
    ADD_CASES(removals, check_removal);
    ADD_CASES(rendered, check_options);
    add_case("no room for all options", check_no_room, NULL);
    return run_cases("settings");
}
