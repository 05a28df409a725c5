/* A request's parameters as fields: defaults, formats, orders, and the link to the next page. */
#include "request.h"
#include "selection.h"

#include "cases.h"

#include <string.h>

static const char *const orders[] = {"id", "visits", NULL};
static const struct param_rule paged[] = {
    {.name = "limit", .kind = PARAM_INTEGER, .largest = 500},
    {.name = "after", .kind = PARAM_NUMBERS, .largest = 2},
    {.name = "order", .kind = PARAM_CHOICE, .choices = orders},
    {.name = "format", .kind = PARAM_CHOICE, .choices = format_names},
    {0},
};
static const struct param_rule limited[] = {
    {.name = "limit", .kind = PARAM_INTEGER, .largest = 500},
    {.name = "format", .kind = PARAM_CHOICE, .choices = format_names},
    {0},
};
static const struct report with_pages = {
    .name = "r",
    .parameters = paged,
    .orders = {{.query = {.name = "id"}, .key = {"a"}},
               {.query = {.name = "visits"}, .key = {"b", "a"}}},
};
static const struct param_rule without_order[] = {
    {.name = "after", .kind = PARAM_NUMBERS, .largest = 2},
    {.name = "format", .kind = PARAM_CHOICE, .choices = format_names},
    {0},
};
static const struct report with_one_order = {
    .name = "r", .parameters = without_order, .orders = {{.query = {.name = "id"}, .key = {"a"}}}};
static const struct report without_pages = {
    .name = "r", .parameters = limited, .orders = {{.query = {.name = "id"}}}};

struct selected {
    const char *name; /* the query string */
    const struct report *report;
    const char *accept;
    enum format format;
    size_t limit;
    const char *order; /* its query's name; NULL for a refusal */
    const char *text;  /* the link, or the end of the refusal's detail */
};

static const struct selected table[] = {
    {"&", &with_pages, NULL, FORMAT_JSON, 0, "id", "r?after=5"},
    {"limit=2", &with_pages, NULL, FORMAT_JSON, 2, "id", "r?limit=2&after=5"},
    {"order=visits&limit=2", &with_pages, "text/csv", FORMAT_CSV, 2, "visits",
     "r?limit=2&after=7,5&order=visits"},
    {"format=records", &with_pages, "text/csv", FORMAT_RECORDS, 0, "id",
     "r?after=5&format=records"},
    {"format=json&after=3", &with_pages, "text/csv", FORMAT_JSON, 0, "id", "r?after=5&format=json"},
    {"after=3,4", &with_pages, NULL, FORMAT_JSON, 0, NULL, "allowed: a with order=id"},
    {"order=visits&after=3", &with_pages, NULL, FORMAT_JSON, 0, NULL,
     "allowed: b,a with order=visits"},
    {"after=3,5", &with_one_order, NULL, FORMAT_JSON, 0, NULL, "allowed: a"},
    {"format=csv&limit=3", &without_pages, NULL, FORMAT_CSV, 3, "id", ""},
};

static void check_selection(void **state) {
    static const struct row row = {
        .count = 2, .cells = {{.name = "a", .text = "5"}, {.name = "b", .text = "7"}}};
    const struct selected *line = *state;
    const struct request request = {.query = line->name, .accept = line->accept};
    struct selection selection;
    enum status status = selection_read(&selection, line->report, &request);
    assert_int_equal(status, line->order ? STATUS_OK : STATUS_BAD_REQUEST);
    if (!line->order) {
        const char *detail = selection.params.error;
        assert_string_equal(detail + strlen(detail) - strlen(line->text), line->text);
        return;
    }
    char place[SELECTION_PLACE_SIZE], link[64];
    assert_int_equal(selection.format, line->format);
    assert_int_equal(selection.limit, line->limit);
    assert_string_equal(selection.order->query.name, line->order);
    selection_place(&selection, &row, place);
    selection_link(&selection, place, link, sizeof link);
    assert_string_equal(link, line->text);
}

int main(void) {
    ADD_CASES(table, check_selection);
    return run_cases("selection");
}
