/* Rows of reports that contradict themselves or their SQL: each is named, with what is wrong. */
#include "log.h"
#include "report.h"
#include "report_check.h"

#include "cases.h"

#include <json-c/json.h>
#include <string.h>
#include <unistd.h>

static const char *const choices[] = {"id", "visits", NULL};

#define RULE(label, sort, list)                                                                    \
    { .name = (label), .kind = (sort), .largest = 2, .choices = (list), .description = "a" }
#define FROM   RULE("from", PARAM_DATE, NULL)
#define TO     RULE("to", PARAM_END_DATE, NULL)
#define AFTER  RULE("after", PARAM_NUMBERS, NULL)
#define ORDER  RULE("order", PARAM_CHOICE, choices)
#define FORMAT RULE("format", PARAM_CHOICE, format_names)

#define COLUMN(label)                                                                              \
    { .name = (label), .type = CELL_INTEGER, .example = "1", .description = "a" }

static const struct param_rule period[] = {FROM, TO, FORMAT, {0}};
static const struct param_rule page[] = {AFTER, FORMAT, {0}};
static const struct param_rule ordered_page[] = {AFTER, ORDER, FORMAT, {0}};
static const struct param_rule ordered_period[] = {FROM, TO, ORDER, FORMAT, {0}};
static const struct param_rule no_format[] = {FROM, TO, {0}};
static const struct param_rule other_formats[] = {
    FROM, TO, RULE("format", PARAM_CHOICE, choices), {0}};
static const struct param_rule no_choices[] = {RULE("every", PARAM_CHOICE, NULL), FORMAT, {0}};
static const struct param_rule two_starts[] = {FROM, FROM, FORMAT, {0}};
static const struct param_rule end_first[] = {TO, FROM, FORMAT, {0}};

static const struct column a_b[] = {COLUMN("a"), COLUMN("b"), {0}};
static const struct column a_b_a[] = {COLUMN("a"), COLUMN("b"), COLUMN("a"), {0}};
static const struct column a_b_c[] = {COLUMN("a"), COLUMN("b"), COLUMN("c"), {0}};
static const struct column none[] = {{0}};
static const struct column no_example[] = {{.name = "a", .description = "a"}, {0}};

#define QUERY(label, text) .query = {.name = (label), .sql = (text)}
#define TWO(label)                                                                                 \
    { QUERY(label, "SELECT $1, $2") }
#define SHAPED(sort, label, rules, list, ...)                                                      \
    {                                                                                              \
        .name = (label), .description = "a", .shape = (sort), .parameters = (rules),               \
        .columns = (list), .orders = {                                                             \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define ROW(label, rules, list, ...) SHAPED(RENDER_RECORDS, label, rules, list, __VA_ARGS__)
#define RIGHT(label)                 ROW(label, period, a_b, TWO(label))

struct faulty {
    const char *name;
    struct report rows[3];
    const char *detail; /* NULL where nothing is wrong */
};

static const struct faulty table[] = {
    {.name = "nothing", .rows = {RIGHT("r")}},
    {.name = "two rows", .rows = {RIGHT("r"), RIGHT("s")}},
    {.name = "two orders with keys",
     .rows = {ROW("r", ordered_page, a_b, {QUERY("q", "$1"), .key = {"a"}},
                  {QUERY("p", "$1"), .key = {"b", "a"}})}},
    {.name = "too few parameters in SQL",
     .rows = {ROW("r", period, a_b, {QUERY("q", "SELECT $1")})},
     .detail = "query 'q' takes 1 parameters; the row has 2 before order and format"},
    {.name = "too many parameters in SQL",
     .rows = {ROW("r", period, a_b, {QUERY("q", "SELECT $1, $12, $2")})},
     .detail = "query 'q' takes 12 parameters; the row has 2 before order and format"},
    {.name = "a name twice",
     .rows = {RIGHT("r"), ROW("r", period, a_b, TWO("q"))},
     .detail = "another row has this name"},
    {.name = "a query's name twice",
     .rows = {RIGHT("s"), ROW("r", period, a_b, TWO("s"))},
     .detail = "query 's' belongs to report 's'"},
    {.name = "no format",
     .rows = {ROW("r", no_format, a_b, TWO("q"))},
     .detail = "no parameter 'format' with format_names as its choices"},
    {.name = "other formats",
     .rows = {ROW("r", other_formats, a_b, TWO("q"))},
     .detail = "no parameter 'format' with format_names as its choices"},
    {.name = "no choices",
     .rows = {ROW("r", no_choices, a_b, {QUERY("q", "$1")})},
     .detail = "parameter 'every' has no choices"},
    {.name = "a parameter twice",
     .rows = {ROW("r", two_starts, a_b, TWO("q"))},
     .detail = "parameter 'from' is listed twice"},
    {.name = "an end without a start",
     .rows = {ROW("r", end_first, a_b, TWO("q"))},
     .detail = "parameter 'to' must come directly after the date that it may not precede"},
    {.name = "fewer queries than choices",
     .rows = {ROW("r", ordered_period, a_b, TWO("q"))},
     .detail = "1 queries; parameter 'order' asks for 2"},
    {.name = "two queries and no order",
     .rows = {ROW("r", period, a_b, TWO("q"), TWO("p"))},
     .detail = "2 queries; parameter 'order' asks for 1"},
    {.name = "no query",
     .rows = {ROW("r", period, a_b, {.key = {NULL}})},
     .detail = "0 queries; parameter 'order' asks for 1"},
    {.name = "a key that is no column",
     .rows = {ROW("r", page, a_b, {QUERY("q", "$1"), .key = {"a", "c"}})},
     .detail = "query 'q' has the key 'c', which is not a column"},
    {.name = "after without a key",
     .rows = {ROW("r", page, a_b, {QUERY("q", "$1")})},
     .detail = "query 'q' has no key, which parameter 'after' needs"},
    {.name = "a key without after",
     .rows = {ROW("r", period, a_b, {QUERY("q", "$2"), .key = {"a"}})},
     .detail = "query 'q' has a key, but the row has no parameter 'after'"},
    {.name = "a column twice",
     .rows = {ROW("r", period, a_b_a, TWO("q"))},
     .detail = "column 'a' is listed twice"},
    {.name = "no columns", .rows = {ROW("r", period, none, TWO("q"))}, .detail = "no columns"},
    {.name = "a value of three columns",
     .rows = {SHAPED(RENDER_VALUES, "r", period, a_b_c, TWO("q"))},
     .detail = "3 columns; a key and its value are 2"},
    {.name = "a column without an example",
     .rows = {ROW("r", period, no_example, TWO("q"))},
     .detail = "column 'a' has no example or no description"},
};

/* The log's lines end here. */
static int log_end;

static int open_log(void) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    log_open(ends[1], LOG_INFO);
    return log_end = ends[1], ends[0];
}

static void read_fault(int fd, const char *detail) {
    char line[1024];
    (void)close(log_end);
    ssize_t length = read(fd, line, sizeof line - 1);
    (void)close(fd);
    assert_int_equal(length > 0, detail != NULL);
    if (!detail)
        return;
    line[length] = '\0';
    struct json_object *fields = json_tokener_parse(line);
    assert_string_equal(json_object_get_string(json_object_object_get(fields, "event")),
                        "report_row");
    assert_string_equal(json_object_get_string(json_object_object_get(fields, "report")), "r");
    assert_string_equal(json_object_get_string(json_object_object_get(fields, "detail")), detail);
    (void)json_object_put(fields);
}

static void check_rows(void **state) {
    const struct faulty *line = *state;
    int fd = open_log();
    assert_int_equal(report_check_rows(line->rows), line->detail == NULL);
    read_fault(fd, line->detail);
}

struct result {
    const char *name;
    struct row columns;
    const char *detail;
};

static const struct result results[] = {
    {.name = "the row's columns",
     .columns = {2, {{.name = "a", .type = CELL_INTEGER}, {.name = "b", .type = CELL_INTEGER}}}},
    {.name = "another name",
     .columns = {2, {{.name = "a", .type = CELL_INTEGER}, {.name = "c", .type = CELL_INTEGER}}},
     .detail = "column 2 is 'b' in the row and 'c' in the query's result"},
    {.name = "another type",
     .columns = {2, {{.name = "a", .type = CELL_DATE}, {.name = "b", .type = CELL_INTEGER}}},
     .detail = "column 'a' is of type integer in the row and date in the query's result"},
    {.name = "text for an integer",
     .columns = {2, {{.name = "a", .type = CELL_INTEGER}, {.name = "b", .type = CELL_TEXT}}},
     .detail = "column 'b' is of type integer in the row and text in the query's result"},
    {.name = "a column less",
     .columns = {1, {{.name = "a", .type = CELL_INTEGER}}},
     .detail = "the query's result lacks column 'b'"},
    {.name = "a column more",
     .columns = {3,
                 {{.name = "a", .type = CELL_INTEGER},
                  {.name = "b", .type = CELL_INTEGER},
                  {.name = "c", .type = CELL_INTEGER}}},
     .detail = "the row lacks column 'c' of the query's result"},
};

static void check_result(void **state) {
    static const struct report report = RIGHT("r");
    const struct result *line = *state;
    int fd = open_log();
    assert_int_equal(report_check_result(&report, &line->columns), line->detail == NULL);
    read_fault(fd, line->detail);
}

static void check_our_rows(void **state) {
    (void)state;
    int fd = open_log();
    assert_true(report_check_rows(reports));
    read_fault(fd, NULL);
}

int main(void) {
    ADD_CASES(table, check_rows);
    ADD_CASES(results, check_result);
    add_case("our own rows", check_our_rows, NULL);
    return run_cases("report_check");
}
