/* Query strings: what is accepted, and the errors for what is not. */
#include "params.h"

#include "cases.h"

#include <string.h>

static const char *const formats[] = {"json", "csv", NULL};

static const struct param_rule rules[] = {
    {.name = "from", .kind = PARAM_DATE},
    {.name = "to", .kind = PARAM_END_DATE},
    {.name = "limit", .kind = PARAM_INTEGER, .largest = 500},
    {.name = "after", .kind = PARAM_NUMBERS, .largest = 2},
    {.name = "format", .kind = PARAM_CHOICE, .choices = formats},
    {0},
};
static const struct param_rule nothing[] = {{0}};

#define TEN(text)     text text text text text text text text text text
#define FORTY_LETTERS TEN("abcd")

struct accepted {
    const char *name, *query;
    const char *items; /* name=value in the rules' order, separated by | */
};

static const struct accepted accepted[] = {
    {"no query", "", ""},
    {"one parameter", "from=2024-03-01", "from=2024-03-01"},
    {"order of the rules", "format=csv&to=2024-03-02&from=2024-03-01",
     "from=2024-03-01|to=2024-03-02|format=csv"},
    {"empty items", "&&limit=1&&&format=csv&", "limit=1|format=csv"},
    {"nothing but separators", "&&&", ""},
    {"percent-encoded", "format=%63%73%76", "format=csv"},
    {"percent-encoded name", "%66r%6fm=2024-03-01", "from=2024-03-01"},
    {"percent-encoded, either case", "after=3%2c4", "after=3,4"},
    {"percent-encoded, upper case", "after=3%2C4", "after=3,4"},
    {"a date alone", "to=2024-03-01", "to=2024-03-01"},
    {"the same day twice", "from=2024-03-01&to=2024-03-01", "from=2024-03-01|to=2024-03-01"},
    {"the first and the last day", "from=0001-01-01&to=9999-12-31",
     "from=0001-01-01|to=9999-12-31"},
    {"a leap day", "from=2024-02-29", "from=2024-02-29"},
    {"a leap day of a fourth century", "from=2000-02-29", "from=2000-02-29"},
    {"the last of a month of 31 days", "from=2024-01-31", "from=2024-01-31"},
    {"the last of a month of 30 days", "from=2024-04-30", "from=2024-04-30"},
    {"the last of February", "from=2023-02-28", "from=2023-02-28"},
    {"smallest integer", "limit=1", "limit=1"},
    {"largest integer", "limit=500", "limit=500"},
    {"integer with zeros in front", "limit=007", "limit=007"},
    {"one number", "after=0", "after=0"},
    {"two numbers", "after=12,34", "after=12,34"},
    {"numbers below zero", "after=-1,-2", "after=-1,-2"},
    {"longest numbers", "after=999999999999999999,-999999999999999999",
     "after=999999999999999999,-999999999999999999"},
    {"first choice", "format=json", "format=json"},
    {"last choice", "format=csv", "format=csv"},
};

static void list_values(const struct params *params, const struct param_rule *taken, char *out,
                        size_t size) {
    *out = '\0';
    for (size_t i = 0; taken[i].name; i++) {
        size_t length = strlen(out);
        if (params->values[i])
            (void)snprintf(out + length, size - length, "%s%s=%s", length ? "|" : "", taken[i].name,
                           params->values[i]);
    }
}

static void check_accepted(void **state) {
    const struct accepted *line = *state;
    struct params params;
    char items[256];
    memset(&params, 'x', sizeof params);
    assert_int_equal(params_parse(&params, line->query, rules), STATUS_OK);
    list_values(&params, rules, items, sizeof items);
    assert_string_equal(items, line->items);
    assert_string_equal(params.error, "");
}

struct refused {
    const char *name, *query;
    const char *error; /* between "query parameter " and "; allowed here: from, to, …" */
};

#define UNKNOWN   " is unknown"
#define TWICE     " is given twice"
#define BAD_NAME  " is not properly percent-encoded"
#define BAD_VALUE " has a value that is not properly percent-encoded"
#define TOO_LONG  " makes the query too long"

static const struct refused refused[] = {
    {"unknown", "until=1", "'until'" UNKNOWN},
    {"unknown, bare", "until", "'until'" UNKNOWN},
    {"unknown by its case", "From=1", "'From'" UNKNOWN},
    {"unknown, shorter than an allowed one", "fro=1", "'fro'" UNKNOWN},
    {"unknown, longer than an allowed one", "fromm=1", "'fromm'" UNKNOWN},
    {"unknown, with a bad value", "until=%", "'until'" UNKNOWN},
    {"empty name", "=1", "''" UNKNOWN},
    {"semicolon does not separate", "from;to=1", "'from;to'" UNKNOWN},
    {"unknown after good ones", "limit=1&after=2&x=3", "'x'" UNKNOWN},
    {"first wrong one is named", "x=1&from=1&from=2&to=%", "'x'" UNKNOWN},
    {"shown decoded", "%75ntil=1", "'until'" UNKNOWN},
    {"shown without line breaks", "a%0D%0Ab=1", "'a?\?b'" UNKNOWN},
    {"shown without terminal escapes", "%1b[31m=1", "'?[31m'" UNKNOWN},
    {"shown without spaces", "+a=1", "'?a'" UNKNOWN},
    {"shown without double quotes", "%22a\"=1", "'?a?'" UNKNOWN},
    {"shown without DEL", "%7f=1", "'?'" UNKNOWN},
    {"shown in ASCII, encoded", "%C3%A9=1", "'?\?'" UNKNOWN},
    {"shown in ASCII, raw", "\xc3\xa9=1", "'?\?'" UNKNOWN},
    {"shown whole up to 40 bytes", FORTY_LETTERS "=1", "'" FORTY_LETTERS "'" UNKNOWN},
    {"shown no further than 40 bytes", FORTY_LETTERS "e=1", "'" FORTY_LETTERS "'" UNKNOWN},
    {"longest message is whole", FORTY_LETTERS "%=1", "'" FORTY_LETTERS "'" BAD_NAME},
    {"doubled", "from=1&from=2", "'from'" TWICE},
    {"doubled with the same value", "from=1&from=1", "'from'" TWICE},
    {"doubled with another between", "from=1&to=1&from=1", "'from'" TWICE},
    {"doubled, bare", "from&from", "'from'" TWICE},
    {"doubled, once encoded", "from=1&%66rom=1", "'from'" TWICE},
    {"percent at the end of a value", "from=%", "'from'" BAD_VALUE},
    {"percent with one digit", "from=%4", "'from'" BAD_VALUE},
    {"percent with a wrong first digit", "from=%g1", "'from'" BAD_VALUE},
    {"percent with a wrong second digit", "from=%1g", "'from'" BAD_VALUE},
    {"percent with a sign", "from=%+1", "'from'" BAD_VALUE},
    {"percent with a space", "from=% 1", "'from'" BAD_VALUE},
    {"percent twice", "from=%%41", "'from'" BAD_VALUE},
    {"percent cut off by the next parameter", "from=%4&1", "'from'" BAD_VALUE},
    {"NUL in a value", "from=1%002", "'from'" BAD_VALUE},
    {"percent at the end of a name", "from%=1", "'from%'" BAD_NAME},
    {"percent in a name cut off by the value", "fro%6=d", "'fro%6'" BAD_NAME},
    {"NUL behind an allowed name", "from%00=1", "'from%00'" BAD_NAME},
    {"NUL for a name", "%00", "'%00'" BAD_NAME},
    {"malformed name is shown without escapes", "\x1b%=1", "'?%'" BAD_NAME},
};

static void check_refused(void **state) {
    const struct refused *line = *state;
    struct params params;
    char error[PARAMS_ERROR_SIZE];
    assert_int_equal(params_parse(&params, line->query, rules), STATUS_BAD_REQUEST);
    (void)snprintf(error, sizeof error,
                   "query parameter %s; allowed here: from, to, limit, after, format", line->error);
    assert_string_equal(params.error, error);
}

/* Values that are well-formed, but not allowed by the rule. */
struct wrong {
    const char *name, *query;
    const char *error; /* behind "query parameter " */
};

#define DATE     "; allowed: a day of the calendar as YYYY-MM-DD, 0001-01-01 to 9999-12-31"
#define INTEGER  "; allowed: a whole number from 1 to 500"
#define NUMBERS  "; allowed: at most 2 whole numbers of at most 18 digits, with a comma between them"
#define CHOICE   "; allowed: json, csv"
#define NO_LATER "; allowed: no day after 'to', which is "

static const struct wrong wrong[] = {
    {"bare date", "from", "'from' is ''" DATE},
    {"empty date", "from=", "'from' is ''" DATE},
    {"date of another form", "from=01.03.2024", "'from' is '01.03.2024'" DATE},
    {"date with slashes", "from=2024/03/01", "'from' is '2024/03/01'" DATE},
    {"date without zeros", "from=2024-3-1", "'from' is '2024-3-1'" DATE},
    {"date without dashes", "from=20240301", "'from' is '20240301'" DATE},
    {"date with a time", "from=2024-03-01T00:00:00", "'from' is '2024-03-01T00:00:00'" DATE},
    {"date with a space behind", "from=2024-03-01+", "'from' is '2024-03-01?'" DATE},
    {"date with a space before", "from=+2024-03-01", "'from' is '?2024-03-01'" DATE},
    {"date cut off", "from=2024-03-0", "'from' is '2024-03-0'" DATE},
    {"date with a digit too many", "from=12024-03-01", "'from' is '12024-03-01'" DATE},
    {"date with a sign", "from=-024-03-01", "'from' is '-024-03-01'" DATE},
    {"date in other digits", "from=%D9%A2024-03-01", "'from' is '?\?024-03-01'" DATE},
    {"date of PostgreSQL's", "from=infinity", "'from' is 'infinity'" DATE},
    {"today", "from=today", "'from' is 'today'" DATE},
    {"year 0", "from=0000-01-01", "'from' is '0000-01-01'" DATE},
    {"month 0", "from=2024-00-01", "'from' is '2024-00-01'" DATE},
    {"month 13", "from=2024-13-01", "'from' is '2024-13-01'" DATE},
    {"day 0", "from=2024-03-00", "'from' is '2024-03-00'" DATE},
    {"day 32", "from=2024-03-32", "'from' is '2024-03-32'" DATE},
    {"day 31 of a month of 30", "from=2024-04-31", "'from' is '2024-04-31'" DATE},
    {"February 29 of a common year", "from=2023-02-29", "'from' is '2023-02-29'" DATE},
    {"February 29 of a century", "from=1900-02-29", "'from' is '1900-02-29'" DATE},
    {"February 30", "to=2024-02-30", "'to' is '2024-02-30'" DATE},
    {"from after to", "from=2024-03-02&to=2024-03-01",
     "'from' is '2024-03-02'" NO_LATER "2024-03-01"},
    {"from after to, sent the other way round", "to=0999-12-31&from=1000-01-01",
     "'from' is '1000-01-01'" NO_LATER "0999-12-31"},
    {"empty integer", "limit=", "'limit' is ''" INTEGER},
    {"zero", "limit=0", "'limit' is '0'" INTEGER},
    {"one too many", "limit=501", "'limit' is '501'" INTEGER},
    {"integer below zero", "limit=-1", "'limit' is '-1'" INTEGER},
    {"integer with a plus", "limit=%2B1", "'limit' is '+1'" INTEGER},
    {"integer with a space", "limit=+1", "'limit' is '?1'" INTEGER},
    {"integer with a fraction", "limit=1.0", "'limit' is '1.0'" INTEGER},
    {"integer in hexadecimal", "limit=0x10", "'limit' is '0x10'" INTEGER},
    {"integer with an exponent", "limit=1e2", "'limit' is '1e2'" INTEGER},
    {"integer with a letter behind", "limit=10a", "'limit' is '10a'" INTEGER},
    {"integer that overflows to a good one", "limit=18446744073709551617",
     "'limit' is '18446744073709551617'" INTEGER},
    {"empty numbers", "after=", "'after' is ''" NUMBERS},
    {"comma alone", "after=,", "'after' is ','" NUMBERS},
    {"comma behind", "after=1,", "'after' is '1,'" NUMBERS},
    {"comma before", "after=,1", "'after' is ',1'" NUMBERS},
    {"three numbers", "after=1,2,3", "'after' is '1,2,3'" NUMBERS},
    {"sign alone", "after=-", "'after' is '-'" NUMBERS},
    {"two signs", "after=--1", "'after' is '--1'" NUMBERS},
    {"number too long", "after=1234567890123456789", "'after' is '1234567890123456789'" NUMBERS},
    {"second number too long", "after=1,1234567890123456789",
     "'after' is '1,1234567890123456789'" NUMBERS},
    {"numbers with a space", "after=1,+2", "'after' is '1,?2'" NUMBERS},
    {"empty choice", "format=", "'format' is ''" CHOICE},
    {"no choice", "format=xml", "'format' is 'xml'" CHOICE},
    {"choice by its case", "format=CSV", "'format' is 'CSV'" CHOICE},
    {"start of a choice", "format=cs", "'format' is 'cs'" CHOICE},
    {"two choices", "format=json,csv", "'format' is 'json,csv'" CHOICE},
    {"first wrong value in the rules' order", "format=xml&from=x", "'from' is 'x'" DATE},
    {"shown without what is not printable", "format=%0d%0aa%22b%7f",
     "'format' is '?\?a?b?'" CHOICE},
    {"shown in part", "format=" FORTY_LETTERS "x", "'format' is '" FORTY_LETTERS "'" CHOICE},
};

static void check_wrong(void **state) {
    const struct wrong *line = *state;
    struct params params;
    assert_int_equal(params_parse(&params, line->query, rules), STATUS_BAD_REQUEST);
    assert_memory_equal(params.error, "query parameter ", 16);
    assert_string_equal(params.error + 16, line->error);
}

struct sized {
    const char *name, *start;
    size_t letters;    /* that follow */
    const char *error; /* how it starts */
};

static const struct sized sized[] = {
    {"longest value", "from=", PARAMS_TEXT_SIZE - 7, "query parameter 'from' is 'xxx"},
    {"value one byte too long", "from=", PARAMS_TEXT_SIZE - 6, "query parameter 'from'" TOO_LONG},
    {"very long value", "from=", 4000, "query parameter 'from'" TOO_LONG},
    {"longest query in two", "limit=1&to=", PARAMS_TEXT_SIZE - 14, "query parameter 'to' is 'xxx"},
    {"query in two one byte too long", "limit=1&to=", PARAMS_TEXT_SIZE - 13,
     "query parameter 'to'" TOO_LONG},
    {"very long name", "", 4000, "query parameter 'xxx"},
};

static void check_sized(void **state) {
    const struct sized *line = *state;
    struct params params;
    char query[PARAMS_TEXT_SIZE * 4] = "";
    size_t start = strlen(line->start);
    memcpy(query, line->start, start);
    memset(query + start, 'x', line->letters);
    assert_int_equal(params_parse(&params, query, rules), STATUS_BAD_REQUEST);
    assert_memory_equal(params.error, line->error, strlen(line->error));
}

static void check_nothing_allowed(void **state) {
    (void)state;
    struct params params;
    assert_int_equal(params_parse(&params, "&", nothing), STATUS_OK);
    assert_int_equal(params_parse(&params, "a=1", nothing), STATUS_BAD_REQUEST);
    assert_string_equal(params.error,
                        "query parameter 'a' is unknown; allowed here: no parameters");
}

/* Errors fit into their buffer however long the lists are. */
static void check_long_lists(void **state) {
    (void)state;
    static const char *const choices[] = {
        FORTY_LETTERS "1", FORTY_LETTERS "2", FORTY_LETTERS "3", FORTY_LETTERS "4",
        FORTY_LETTERS "5", FORTY_LETTERS "6", FORTY_LETTERS "7", NULL};
    static const struct param_rule long_names[] = {
        {.name = FORTY_LETTERS "1", .kind = PARAM_CHOICE, .choices = choices},
        {.name = FORTY_LETTERS "2"},
        {.name = FORTY_LETTERS "3"},
        {.name = FORTY_LETTERS "4"},
        {.name = FORTY_LETTERS "5"},
        {0},
    };
    struct params params;
    assert_int_equal(params_parse(&params, FORTY_LETTERS "1=%", long_names), STATUS_BAD_REQUEST);
    assert_in_range(strnlen(params.error, sizeof params.error), 200, sizeof params.error - 1);
    assert_non_null(strstr(params.error, "; allowed here: " FORTY_LETTERS "1, "));
    assert_int_equal(params_parse(&params, FORTY_LETTERS "1=x", long_names), STATUS_BAD_REQUEST);
    assert_in_range(strnlen(params.error, sizeof params.error), 200, sizeof params.error - 1);
    assert_non_null(strstr(params.error, "; allowed: " FORTY_LETTERS "1, "));
}

static void check_second_parse(void **state) {
    (void)state;
    struct params params;
    char items[256];
    assert_int_equal(params_parse(&params, "limit=1&x", rules), STATUS_BAD_REQUEST);
    assert_int_equal(params_parse(&params, "after=2", rules), STATUS_OK);
    list_values(&params, rules, items, sizeof items);
    assert_string_equal(items, "after=2");
    assert_string_equal(params.error, "");
}

static void check_values(void **state) {
    (void)state;
    struct params params;
    assert_int_equal(params_parse(&params, "limit=5", rules), STATUS_OK);
    assert_string_equal(params_value(&params, rules, params_find(rules, "limit")), "5");
    assert_string_equal(params_value(&params, rules, params_find(rules, "format")), "json");
    assert_null(params_value(&params, rules, params_find(rules, "from")));
    assert_null(params_value(&params, rules, params_find(rules, "colour")));
    assert_int_equal(params_parse(&params, "format=csv", rules), STATUS_OK);
    assert_string_equal(params_value(&params, rules, params_find(rules, "format")), "csv");
}

int main(void) {
    ADD_CASES(accepted, check_accepted);
    ADD_CASES(refused, check_refused);
    ADD_CASES(wrong, check_wrong);
    ADD_CASES(sized, check_sized);
    add_case("nothing is allowed", check_nothing_allowed, NULL);
    add_case("errors with long lists", check_long_lists, NULL);
    add_case("nothing is left of an earlier query", check_second_parse, NULL);
    add_case("what was sent, the default, or nothing", check_values, NULL);
    return run_cases("params");
}
