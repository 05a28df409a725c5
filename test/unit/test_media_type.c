/* Accept fields: which of two media types they prefer. */
#include "media_type.h"

#include "cases.h"

struct preference {
    const char *name, *accept;
    bool is_csv; /* rather than JSON */
};

static const struct preference preferences[] = {
    {"no field", NULL, false},
    {"empty", "", false},
    {"csv", "text/csv", true},
    {"csv by any case", "Text/CSV", true},
    {"csv with a parameter", "text/csv; charset=utf-8", true},
    {"csv with blanks", " \ttext/csv\t ", true},
    {"json", "application/json", false},
    {"anything", "*/*", false},
    {"any text", "text/*", true},
    {"any application", "application/*", false},
    {"both alike", "text/csv, application/json", false},
    {"both alike, the other way round", "application/json, text/csv", false},
    {"csv, else anything", "text/csv, */*;q=0.1", true},
    {"csv, else anything, without blanks", "text/csv,*/*;q=0.1", true},
    {"csv less than anything", "*/*, text/csv;q=0.9", false},
    {"csv as much as anything", "text/csv, */*", false},
    {"json less than csv", "application/json;q=0.8, text/csv;q=0.9", true},
    {"json more than csv", "application/json;q=0.9, text/csv;q=0.8", false},
    {"less by a thousandth", "application/json;q=0.998, text/csv;q=0.999", true},
    {"decimals beyond the third", "application/json;q=0.9990, text/csv;q=0.9991", false},
    {"one decimal and three", "application/json;q=0.5, text/csv;q=0.501", true},
    {"csv refused", "text/csv;q=0", false},
    {"csv refused with decimals", "text/csv;q=0.000", false},
    {"both refused", "text/csv;q=0, application/json;q=0", false},
    {"json refused", "application/json;q=0, */*", true},
    {"json refused, csv not named", "application/json;q=0", false},
    {"an exact range goes before a wide one", "text/*;q=1, text/csv;q=0, application/json;q=0.1",
     false},
    {"a group goes before anything", "*/*;q=0.9, text/*;q=0.1", false},
    {"quality in capitals", "text/csv;Q=0.1, application/json;q=0.2", false},
    {"quality behind another parameter", "text/csv;header=present;q=0.1, */*;q=0.2", false},
    {"quality with blanks before", "text/csv ; q=0.1, */*;q=0.2", false},
    {"quality of one with decimals", "text/csv;q=1.000, */*;q=0.9", true},
    {"quality without a value", "text/csv;q=, */*;q=0.9", true},
    {"quality that is none", "text/csv;q=x, */*;q=0.9", true},
    {"quality cut off", "text/csv;q", true},
    {"quality zero without decimals", "text/csv;q=0., */*;q=0.9", false},
    {"another parameter that ends in q", "text/csv;xq=0", true},
    {"neither", "image/png", false},
    {"a browser's", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false},
    {"a longer type", "text/csv2", false},
    {"a shorter type", "text/cs", false},
    {"no subtype", "text", false},
    {"a star alone", "*", false},
    {"a star for the group", "*/csv", false},
    {"commas alone", ",,,", false},
    {"empty ranges", ",text/csv,", true},
    {"semicolons alone", ";;;", false},
    {"named twice, the first counts", "text/csv;q=0.1, text/csv, application/json;q=0.5", false},
};

static void check_preference(void **state) {
    const struct preference *line = *state;
    assert_int_equal(media_type_is_preferred(line->accept, "text/csv", "application/json"),
                     line->is_csv);
}

int main(void) {
    ADD_CASES(preferences, check_preference);
    return run_cases("media_type");
}
