/* Rows to JSON and CSV, byte for byte: timestamps, every shape, and a client that goes away. */
#include "body.h"
#include "render.h"
#include "request.h"

#include "cases.h"

#include <json-c/json.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Replaces fcgi/body.c: keeps the body instead of sending it. */
static char body[4096];
static size_t body_length;
static unsigned writes_taken; /* before the client goes away */

bool body_write(struct request *request, const char *data, size_t length) {
    (void)request;
    if (writes_taken == 0)
        return false;
    writes_taken--;
    assert_in_range(length, 1, sizeof body - 1 - body_length);
    memcpy(body + body_length, data, length);
    body_length += length;
    body[body_length] = '\0';
    return true;
}

static void start_body(unsigned writes) {
    body_length = 0;
    body[0] = '\0';
    writes_taken = writes;
}

struct timestamp {
    const char *name, *text, *shown;
};

static const struct timestamp timestamps[] = {
    {"no fraction", "2024-01-05 08:00:00", "2024-01-05 08:00:00"},
    {"1 digit", "2024-01-05 08:00:00.1", "2024-01-05 08:00:00.100000"},
    {"2 digits", "2024-01-05 08:00:00.12", "2024-01-05 08:00:00.120000"},
    {"3 digits", "2024-01-05 08:00:00.123", "2024-01-05 08:00:00.123000"},
    {"4 digits", "2024-01-05 08:00:00.1234", "2024-01-05 08:00:00.123400"},
    {"5 digits", "2024-01-05 08:00:00.12345", "2024-01-05 08:00:00.123450"},
    {"6 digits", "2024-01-05 08:00:00.123456", "2024-01-05 08:00:00.123456"},
    {"digits that start with zeros", "2024-01-05 08:00:00.00001", "2024-01-05 08:00:00.000010"},
    {"a microsecond", "2024-01-05 08:00:00.000001", "2024-01-05 08:00:00.000001"},
    {"7 digits stay", "2024-01-05 08:00:00.1234567", "2024-01-05 08:00:00.1234567"},
    {"year 1", "0001-01-01 00:00:00", "0001-01-01 00:00:00"},
    {"year 1 with a fraction", "0001-01-01 00:00:00.5", "0001-01-01 00:00:00.500000"},
    {"year 9999", "9999-12-31 23:59:59.99999", "9999-12-31 23:59:59.999990"},
    {"year 294276", "294276-12-31 23:59:59.99999", "294276-12-31 23:59:59.999990"},
    {"before Christ", "0044-03-15 12:00:00 BC", "0044-03-15 12:00:00 BC"},
    {"before Christ with a fraction", "0044-03-15 12:00:00.5 BC", "0044-03-15 12:00:00.500000 BC"},
    {"infinity", "infinity", "infinity"},
    {"minus infinity", "-infinity", "-infinity"},
    {"empty", "", ""},
};

static void check_timestamp(void **state) {
    const struct timestamp *line = *state;
    char shown[64];
    size_t length = render_timestamp(line->text, strlen(line->text), shown, sizeof shown);
    assert_string_equal(shown, line->shown);
    assert_int_equal(length, strlen(line->shown));
}

struct sized {
    const char *name, *text;
    size_t length, size; /* of the text, of the result's buffer */
    const char *shown;   /* or NULL: anything that fits */
};

static const struct sized sized[] = {
    {"room for all of it", "2024-01-05 08:00:00", 19, 20, "2024-01-05 08:00:00"},
    {"room for one byte less", "2024-01-05 08:00:00", 19, 19, "2024-01-05 08:00:0"},
    {"room for the end alone", "2024-01-05 08:00:00", 19, 1, ""},
    {"room for six digits", "2024-01-05 08:00:00.123456", 26, 27, "2024-01-05 08:00:00.123456"},
    {"no room for six digits", "2024-01-05 08:00:00.123456", 26, 26, NULL},
    {"no room for the zeros", "2024-01-05 08:00:00.5", 21, 24, NULL},
    {"no room for the point", "2024-01-05 08:00:00.5", 21, 20, NULL},
    {"no room for BC", "0044-03-15 12:00:00.5 BC", 24, 28, NULL},
    {"a point alone", ".", 1, 8, NULL},
    {"a point alone, no room for the end", ".", 1, 7, NULL},
    {"points alone", "......", 6, 16, NULL},
    {"room for the end alone, with a fraction", ".5", 2, 1, ""},
    {"the fraction lies behind the length", "2024-01-05 08:00:00.5", 19, 64, "2024-01-05 08:00:00"},
    {"the length ends in the fraction", "12:00:00.123456", 11, 64, "12:00:00.120000"},
};

/* The buffer is a block of its own, so that the sanitizer notices a byte too many. */
static void check_sized(void **state) {
    const struct sized *line = *state;
    char shown[64];
    char *room = malloc(line->size);
    assert_non_null(room);
    size_t length = render_timestamp(line->text, line->length, room, line->size);
    bool ended = length < line->size && room[length] == '\0';
    (void)snprintf(shown, sizeof shown, "%s", ended ? room : "not ended");
    free(room);
    assert_true(ended);
    if (line->shown)
        assert_string_equal(shown, line->shown);
}

/* Rows are separated by ; and cells by |. A cell is a name, # @ ^ or : for its type, and a text. In
 * the expected JSON, ' stands for ", and the newline at the end is left out. */
struct rendered {
    const char *name, *rows, *shown;
};

static const struct rendered values[] = {
    {"values, no rows", "", "{}"},
    {"values, one row", "date:2024-03-01|visits#2", "{'2024-03-01':2}"},
    {"values, order of the rows", "k:b|v#0;k:a|v#1;k:c|v#2", "{'b':0,'a':1,'c':2}"},
    {"values, same key twice", "k:a|v#1;k:a|v#2", "{'a':1,'a':2}"},
    {"largest integer", "k:a|v#9223372036854775807", "{'a':9223372036854775807}"},
    {"smallest integer", "k:a|v#-9223372036854775808", "{'a':-9223372036854775808}"},
    {"integer beyond a double's 53 bits", "k:a|v#9007199254740993", "{'a':9007199254740993}"},
    {"digits that are text", "k:a|v:007", "{'a':'007'}"},
    {"timestamp with a fraction", "k#1|v@2024-01-05 08:00:00.5",
     "{'1':'2024-01-05 08:00:00.500000'}"},
    {"timestamp of the year 9999", "k#1|v@9999-12-31 23:59:59", "{'1':'9999-12-31 23:59:59'}"},
    {"text that looks like a timestamp", "k#1|v:08:00:00.5", "{'1':'08:00:00.5'}"},
    {"NULL integer", "k#1|v#NULL", "{'1':null}"},
    {"NULL timestamp", "k#1|v@NULL", "{'1':null}"},
    {"NULL text", "k#1|v:NULL", "{'1':null}"},
    {"NULL key", "k#NULL|v#1", "{'null':1}"},
    {"empty text", "k#1|v:", "{'1':''}"},
    {"empty key", "k:|v#1", "{'':1}"},
    {"text with a quote and a backslash", "k#1|v:\"\\", "{'1':'\\\"\\\\'}"},
    {"text with control characters", "k#1|v:\n\x1b", "{'1':'\\n\\u001b'}"},
    {"text with braces and a slash", "k#1|v:{},/", "{'1':'{},/'}"},
    {"text in UTF-8", "k#1|v:\xc3\xa9\xf0\x9f\x98\x80", "{'1':'\xc3\xa9\xf0\x9f\x98\x80'}"},
    {"text that is not UTF-8", "k#1|v:a\xff\xc3", "{'1':'a?\?'}"},
    {"key with a quote and a line end", "k:\"\n|v#1", "{'\\\"\\n':1}"},
    {"key in UTF-8", "k:\xc3\xa9|v#1", "{'\xc3\xa9':1}"},
};

static const struct rendered objects[] = {
    {"objects, no rows", "", "{}"},
    {"objects, one row", "user_id#3|joined_at@2024-01-05 08:00:00|visits#3",
     "{'3':{'joined_at':'2024-01-05 08:00:00','visits':3}}"},
    {"objects, order of the rows", "k#9|v#1;k#10|v#2", "{'9':{'v':1},'10':{'v':2}}"},
    {"objects, order of the columns", "k#1|z#1|b:x|a:y", "{'1':{'z':1,'b':'x','a':'y'}}"},
    {"objects, the key alone", "k#1", "{'1':{}}"},
    {"objects, as many columns as a row holds",
     "key:a|b#1|c#2|d#3|e#4|f#5|g#6|h#7|i#8|j#9|k#0|l#1|m#2|n#3|o#4|p#5",
     "{'a':{'b':1,'c':2,'d':3,'e':4,'f':5,'g':6,'h':7,'i':8,'j':9,"
     "'k':0,'l':1,'m':2,'n':3,'o':4,'p':5}}"},
    {"objects, largest user id", "k#2147483647|v#1", "{'2147483647':{'v':1}}"},
    {"objects, timestamp with a fraction", "k#1|at@2024-01-05 08:00:00.5",
     "{'1':{'at':'2024-01-05 08:00:00.500000'}}"},
    {"objects, NULLs", "k#1|a#NULL|b@NULL|c:NULL", "{'1':{'a':null,'b':null,'c':null}}"},
    {"objects, NULL key", "k#NULL|v#1", "{'null':{'v':1}}"},
    {"objects, column's name with a quote", "k#1|\"a#1", "{'1':{'\\\"a':1}}"},
    {"objects, text that is not UTF-8", "k#1|v:\xff", "{'1':{'v':'?'}}"},
};

static const struct rendered records[] = {
    {"records, no rows", "", "[]"},
    {"records, one row", "user_id#3|joined_at@2024-01-05 08:00:00.5|visits#3",
     "[{'user_id':3,'joined_at':'2024-01-05 08:00:00.500000','visits':3}]"},
    {"records, order of the rows", "k:b|v#0;k:a|v#1", "[{'k':'b','v':0},{'k':'a','v':1}]"},
    {"records, one column", "k#1;k#2", "[{'k':1},{'k':2}]"},
    {"records, date", "date^2024-03-01", "[{'date':'2024-03-01'}]"},
    {"records, dates at the edges", "d^0044-03-15 BC;d^infinity",
     "[{'d':'0044-03-15 BC'},{'d':'infinity'}]"},
    {"records, NULLs", "a#NULL|b@NULL|c:NULL|d^NULL", "[{'a':null,'b':null,'c':null,'d':null}]"},
    {"records, text with a quote", "k:a\"b", "[{'k':'a\\\"b'}]"},
};

/* CSV, with its line ends. */
static const struct rendered csv[] = {
    {"csv, no rows", "", "k,v\r\n"},
    {"csv, one row", "user_id#3|joined_at@2024-01-05 08:00:00.5|visits#3",
     "user_id,joined_at,visits\r\n3,2024-01-05 08:00:00.500000,3\r\n"},
    {"csv, two rows", "k#1|v#2;k#3|v#4", "k,v\r\n1,2\r\n3,4\r\n"},
    {"csv, one column", "k#1;k#2", "k\r\n1\r\n2\r\n"},
    {"csv, NULL is nothing", "a#NULL|b:NULL|c@NULL|d^NULL", "a,b,c,d\r\n,,,\r\n"},
    {"csv, empty text is not NULL", "a:|b#1", "a,b\r\n\"\",1\r\n"},
    {"csv, plain text", "a:x y", "a\r\nx y\r\n"},
    {"csv, text in UTF-8", "a:\xc3\xa9", "a\r\n\xc3\xa9\r\n"},
    {"csv, text with a comma", "a:x,y", "a\r\n\"x,y\"\r\n"},
    {"csv, text with quotes", "a:\"x\"y\"", "a\r\n\"\"\"x\"\"y\"\"\"\r\n"},
    {"csv, a quote alone", "a:\"", "a\r\n\"\"\"\"\r\n"},
    {"csv, text with line ends", "a:x\r\ny", "a\r\n\"x\r\ny\"\r\n"},
    {"csv, text with a line feed", "a:x\ny", "a\r\n\"x\ny\"\r\n"},
    {"csv, column's name with a comma", "a,b#1", "\"a,b\"\r\n1\r\n"},
    {"csv, formula", "a:=1+1", "a\r\n\"'=1+1\"\r\n"},
    {"csv, formula with quotes", "a:=A(\"x\")", "a\r\n\"'=A(\"\"x\"\")\"\r\n"},
    {"csv, plus", "a:+1", "a\r\n\"'+1\"\r\n"},
    {"csv, minus", "a:-1", "a\r\n\"'-1\"\r\n"},
    {"csv, at sign", "a:@SUM(A1)", "a\r\n\"'@SUM(A1)\"\r\n"},
    {"csv, tab", "a:\t=1", "a\r\n\"'\t=1\"\r\n"},
    {"csv, carriage return", "a:\r=1", "a\r\n\"'\r=1\"\r\n"},
    {"csv, formula's sign inside", "a:1=1", "a\r\n1=1\r\n"},
    {"csv, formula for a name", "=a#1", "\"'=a\"\r\n1\r\n"},
    {"csv, number below zero", "a#-1", "a\r\n-1\r\n"},
    {"csv, dates at the edges", "d^-infinity;d^0044-03-15 BC",
     "d\r\n-infinity\r\n0044-03-15 BC\r\n"},
    {"csv, timestamp before all", "d@-infinity", "d\r\n-infinity\r\n"},
};

static struct cell read_cell(char *text) {
    static const char marks[] = {
        [CELL_TEXT] = ':', [CELL_INTEGER] = '#', [CELL_DATE] = '^', [CELL_TIMESTAMP] = '@', '\0'};
    char *mark = strpbrk(text, marks);
    enum cell_type type = (enum cell_type)(strchr(marks, *mark) - marks);
    *mark = '\0';
    bool null = strcmp(mark + 1, "NULL") == 0;
    return (struct cell){text, type, null ? NULL : mark + 1, null ? 0 : strlen(mark + 1)};
}

static struct row read_row(char *cells) {
    struct row row = {0};
    for (char *cell; (cell = strsep(&cells, "|"));)
        row.cells[row.count++] = read_cell(cell);
    return row;
}

static bool render_rows(struct render *render, char *rows) {
    for (char *cells; (cells = strsep(&rows, ";")) && *cells;) {
        struct row row = read_row(cells);
        if (!render_row(render, &row))
            return false;
    }
    return true;
}

/* The columns are those of the first row. */
static bool render_all(enum render_shape shape, const char *rows) {
    char copy[256], first[256];
    struct request request = {0};
    struct render render;
    (void)snprintf(copy, sizeof copy, "%s", rows);
    const char *start = *rows ? rows : "k#1|v#1";
    (void)snprintf(first, sizeof first, "%.*s", (int)strcspn(start, ";"), start);
    struct row columns = read_row(first);
    return render_begin(&render, &request, shape, &columns) && render_rows(&render, copy) &&
           render_end(&render);
}

static void check_rendered(enum render_shape shape, const struct rendered *line) {
    char expected[sizeof body];
    (void)snprintf(expected, sizeof expected, "%s\n", line->shown);
    for (char *quote = expected; (quote = strchr(quote, '\''));)
        *quote = '"';
    start_body(UINT_MAX);
    assert_true(render_all(shape, line->rows));
    assert_string_equal(body, expected);
}

static void check_values(void **state) {
    check_rendered(RENDER_VALUES, *state);
}

static void check_objects(void **state) {
    check_rendered(RENDER_OBJECTS, *state);
}

static void check_records(void **state) {
    check_rendered(RENDER_RECORDS, *state);
}

static void check_csv(void **state) {
    const struct rendered *line = *state;
    start_body(UINT_MAX);
    assert_true(render_all(RENDER_CSV, line->rows));
    assert_string_equal(body, line->shown);
}

struct departure {
    const char *name;
    enum render_shape shape;
    unsigned writes; /* that the client accepts */
    const char *body;
};

static const struct departure departures[] = {
    {"client gone before the start", RENDER_VALUES, 0, ""},
    {"client gone before the first row", RENDER_VALUES, 1, "{"},
    {"client gone in the first key", RENDER_VALUES, 3, "{\"a"},
    {"client gone before the first value", RENDER_VALUES, 5, "{\"a\":"},
    {"client gone before a comma", RENDER_VALUES, 6, "{\"a\":1"},
    {"client gone before the second row", RENDER_VALUES, 7, "{\"a\":1,"},
    {"client gone before the end", RENDER_VALUES, 12, "{\"a\":1,\"b\":2"},
    {"client gone in the names", RENDER_CSV, 2, "k,"},
    {"client gone before the end of a line", RENDER_CSV, 7, "k,v\r\na,1"},
    {"client gone before the second line", RENDER_CSV, 8, "k,v\r\na,1\r\n"},
    {"client gone in a record", RENDER_RECORDS, 3, "[{\""},
};

static void check_departure(void **state) {
    const struct departure *line = *state;
    start_body(line->writes);
    assert_false(render_all(line->shape, "k:a|v#1;k:b|v#2"));
    assert_string_equal(body, line->body);
}

/* Parts of texts: all that JSON escapes, text that it leaves, and bytes that are never UTF-8. */
static const char *const pieces[] = {
    "a",    " ",    "~",        "0",        "\"",           "\\",           "/",
    "\b",   "\f",   "\n",       "\r",       "\t",           "\x01",         "\x0b",
    "\x1f", "\x7f", "\xc2\x80", "\xc3\xa9", "\xe2\x80\xa8", "\xef\xbf\xbf", "\xf0\x9f\x98\x80",
    "\xff", "\xc0", "\xf5",
};

enum { PIECES = sizeof pieces / sizeof pieces[0], NEVER_UTF8 = 3, TEXT_PIECES_MAX = 20 };

/* A text, and its expected form. */
static void make_text(unsigned *seed, char *text, char *shown) {
    *text = *shown = '\0';
    for (int count = rand_r(seed) % TEXT_PIECES_MAX; count > 0; count--) {
        size_t piece = (size_t)rand_r(seed) % PIECES;
        text = stpcpy(text, pieces[piece]);
        shown = stpcpy(shown, piece < PIECES - NEVER_UTF8 ? pieces[piece] : "?");
    }
}

static void check_against_json_c(enum render_shape shape, unsigned seed) {
    char texts[3][4 * TEXT_PIECES_MAX], shown[3][4 * TEXT_PIECES_MAX];
    struct row row = {.count = 3};
    for (size_t i = 0; i < 3; i++)
        make_text(&seed, texts[i], shown[i]);
    row.cells[0] = (struct cell){"key", CELL_TEXT, texts[0], strlen(texts[0])};
    row.cells[1] = (struct cell){texts[1], CELL_TEXT, texts[2], strlen(texts[2])};
    row.cells[2] = (struct cell){"number\"", CELL_INTEGER, "-12", 3};

    struct json_object *answer = json_object_new_object();
    struct json_object *value = json_object_new_string(shown[2]);
    if (shape == RENDER_OBJECTS) {
        struct json_object *members = json_object_new_object();
        (void)json_object_object_add(members, shown[1], value);
        (void)json_object_object_add(members, "number\"", json_object_new_int(-12));
        value = members;
    }
    (void)json_object_object_add(answer, shown[0], value);
    char expected[sizeof body];
    (void)snprintf(expected, sizeof expected, "%s\n",
                   json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN |
                                                              JSON_C_TO_STRING_NOSLASHESCAPE));
    (void)json_object_put(answer);

    struct request request = {0};
    struct render render;
    start_body(UINT_MAX);
    assert_true(render_begin(&render, &request, shape, &row) && render_row(&render, &row) &&
                render_end(&render));
    assert_string_equal(body, expected);
}

static void check_random_texts(void **state) {
    (void)state;
    for (unsigned seed = 0; seed < 5000; seed++) {
        check_against_json_c(RENDER_VALUES, seed);
        check_against_json_c(RENDER_OBJECTS, seed);
    }
}

int main(void) {
    ADD_CASES(timestamps, check_timestamp);
    ADD_CASES(values, check_values);
    ADD_CASES(objects, check_objects);
    ADD_CASES(records, check_records);
    ADD_CASES(csv, check_csv);
    ADD_CASES(departures, check_departure);
    ADD_CASES(sized, check_sized);
    add_case("any text is as json-c writes it", check_random_texts, NULL);
    return run_cases("render");
}
