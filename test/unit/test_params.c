/* Query strings: what is accepted, what is refused, and in which words. */
#include "params.h"

#include "cases.h"

#include <string.h>

static const char *const allowed[] = {"from", "to", "format", NULL};
static const char *const nothing[] = {NULL};
static const char *const seventeen[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i",
                                        "j", "k", "l", "m", "n", "o", "p", "q", NULL};

#define TEN(text)     text text text text text text text text text text
#define FORTY_LETTERS TEN("abcd")

struct accepted {
    const char *name, *query;
    const char *items; /* name=value, with | between them */
};

static const struct accepted accepted[] = {
    {"no query", "", ""},
    {"one parameter", "from=2024-03-01", "from=2024-03-01"},
    {"order as sent", "to=2&format=records&from=1", "to=2|format=records|from=1"},
    {"bare name", "from", "from="},
    {"bare name before another", "from&to=1", "from=|to=1"},
    {"empty value", "from=&to=1", "from=|to=1"},
    {"empty items", "&&from=1&&&to=2&", "from=1|to=2"},
    {"nothing but separators", "&&&", ""},
    {"plus is a space", "from=a+b", "from=a b"},
    {"percent-encoded, either case", "from=%4a%4A%7e", "from=JJ~"},
    {"percent-encoded name", "%66r%6fm=1", "from=1"},
    {"encoded separators belong to the value", "from=a%26to%3D2", "from=a&to=2"},
    {"second equals sign belongs to the value", "from=a=b=", "from=a=b="},
    {"decoded once only", "from=%2541%2B", "from=%41+"},
    {"bytes beyond ASCII", "from=%ff%C3%A9", "from=\xff\xc3\xa9"},
    {"control characters in a value", "from=%01%0a", "from=\x01\n"},
    {"zero digit that is no NUL", "from=%30%10%01", "from=0\x10\x01"},
    {"a name that starts like another", "format=1&from=2", "format=1|from=2"},
};

static void check_accepted(void **state) {
    const struct accepted *line = *state;
    struct params params;
    char items[256] = "";
    assert_int_equal(params_parse(&params, line->query, allowed), STATUS_OK);
    for (size_t i = 0; i < params.count; i++) {
        size_t length = strlen(items);
        (void)snprintf(items + length, sizeof items - length, "%s%s=%s", i ? "|" : "",
                       params.items[i].name, params.items[i].value);
    }
    assert_string_equal(items, line->items);
    assert_string_equal(params.error, "");
}

struct refused {
    const char *name, *query;
    const char *error; /* between "query parameter " and "; allowed here: from, to, format" */
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
    {"unknown after good ones", "from=1&to=2&x=3", "'x'" UNKNOWN},
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
    assert_int_equal(params_parse(&params, line->query, allowed), STATUS_BAD_REQUEST);
    (void)snprintf(error, sizeof error, "query parameter %s; allowed here: from, to, format",
                   line->error);
    assert_string_equal(params.error, error);
}

struct sized {
    const char *name, *start;
    size_t letters; /* that follow */
    enum status status;
    const char *error; /* how it starts */
};

static const struct sized sized[] = {
    {"longest value", "from=", PARAMS_TEXT_SIZE - 7, STATUS_OK, ""},
    {"value one byte too long", "from=", PARAMS_TEXT_SIZE - 6, STATUS_BAD_REQUEST,
     "query parameter 'from'" TOO_LONG},
    {"very long value", "from=", 4000, STATUS_BAD_REQUEST, "query parameter 'from'" TOO_LONG},
    {"longest query in two", "from=1&to=", PARAMS_TEXT_SIZE - 13, STATUS_OK, ""},
    {"query in two one byte too long", "from=1&to=", PARAMS_TEXT_SIZE - 12, STATUS_BAD_REQUEST,
     "query parameter 'to'" TOO_LONG},
    {"very long name", "", 4000, STATUS_BAD_REQUEST, "query parameter 'xxx"},
};

static void check_sized(void **state) {
    const struct sized *line = *state;
    struct params params;
    char query[PARAMS_TEXT_SIZE * 4] = "";
    size_t start = strlen(line->start);
    memcpy(query, line->start, start);
    memset(query + start, 'x', line->letters);
    assert_int_equal(params_parse(&params, query, allowed), line->status);
    assert_memory_equal(params.error, line->error, strlen(line->error));
    if (line->status == STATUS_OK)
        assert_int_equal(strlen(params.items[params.count - 1].value), line->letters);
}

struct listed {
    const char *name, *query;
    const char *const *allowed;
    enum status status;
    const char *error;
};

static const struct listed listed[] = {
    {"nothing is allowed", "a=1", nothing, STATUS_BAD_REQUEST,
     "query parameter 'a' is unknown; allowed here: no parameters"},
    {"nothing is allowed and nothing sent", "&", nothing, STATUS_OK, ""},
    {"as many as there is room for", "a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p", seventeen, STATUS_OK, ""},
    {"one more than there is room for", "a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q", seventeen,
     STATUS_BAD_REQUEST,
     "query parameter 'q' makes the query too long; "
     "allowed here: a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q"},
};

static void check_listed(void **state) {
    const struct listed *line = *state;
    struct params params;
    assert_int_equal(params_parse(&params, line->query, line->allowed), line->status);
    assert_string_equal(params.error, line->error);
}

/* However long the list of names, the error ends within its room. */
static void check_long_list(void **state) {
    (void)state;
    static const char *const names[] = {FORTY_LETTERS "1", FORTY_LETTERS "2", FORTY_LETTERS "3",
                                        FORTY_LETTERS "4", FORTY_LETTERS "5", NULL};
    struct params params;
    assert_int_equal(params_parse(&params, FORTY_LETTERS "1=%", names), STATUS_BAD_REQUEST);
    assert_in_range(strnlen(params.error, sizeof params.error), 200, sizeof params.error - 1);
    assert_non_null(strstr(params.error, "; allowed here: " FORTY_LETTERS "1, "));
}

static void check_second_parse(void **state) {
    (void)state;
    struct params params;
    assert_int_equal(params_parse(&params, "from=1&x", allowed), STATUS_BAD_REQUEST);
    assert_int_equal(params_parse(&params, "from=2", allowed), STATUS_OK);
    assert_int_equal(params.count, 1);
    assert_string_equal(params.items[0].value, "2");
    assert_string_equal(params.error, "");
}

int main(void) {
    ADD_CASES(accepted, check_accepted);
    ADD_CASES(refused, check_refused);
    ADD_CASES(sized, check_sized);
    ADD_CASES(listed, check_listed);
    add_case("error with a long list of names", check_long_list, NULL);
    add_case("nothing is left of an earlier query", check_second_parse, NULL);
    return run_cases("params");
}
