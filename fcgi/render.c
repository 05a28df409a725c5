/* Each row becomes a json-c object that is written and released: memory stays flat. */
#include "render.h"

#include "http.h"
#include "json.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { TIMESTAMP_SIZE = 64, FRACTION_DIGITS = 6 };

bool render_begin(struct render *render, struct request *request, enum render_shape shape) {
    *render = (struct render){.request = request, .shape = shape};
    return http_write(request, "{", 1);
}

size_t render_timestamp(const char *text, size_t length, char *out, size_t size) {
    const char *point = memchr(text, '.', length);
    size_t whole = point ? (size_t)(point - text) : length;
    size_t digits = 0;
    while (point && whole + 1 + digits < length && isdigit((unsigned char)point[1 + digits]))
        digits++;
    if (!point || digits > FRACTION_DIGITS || length + FRACTION_DIGITS + 1 > size) {
        size_t copied = length < size ? length : size - 1;
        memcpy(out, text, copied);
        out[copied] = '\0';
        return copied;
    }
    /* PostgreSQL leaves trailing zeros out, and the point with them when all are zero. */
    const char *rest = point + 1 + digits; /* " BC", or nothing */
    size_t rest_length = length - whole - 1 - digits;
    memset(out + whole + 1 + digits, '0', FRACTION_DIGITS - digits);
    memcpy(out, text, whole + 1 + digits);
    memcpy(out + whole + 1 + FRACTION_DIGITS, rest, rest_length);
    size_t total = whole + 1 + FRACTION_DIGITS + rest_length;
    out[total] = '\0';
    return total;
}

static void add_cell(struct json_object *object, const char *key, const struct cell *cell) {
    char timestamp[TIMESTAMP_SIZE];
    if (!cell->text) {
        json_add_null(object, key);
        return;
    }
    switch (cell->type) {
    case CELL_INTEGER:
        json_add_integer(object, key, strtoll(cell->text, NULL, 10));
        break;
    case CELL_TIMESTAMP:
        json_add_string_of(object, key, timestamp,
                           render_timestamp(cell->text, cell->length, timestamp, sizeof timestamp));
        break;
    case CELL_TEXT:
        json_add_string_of(object, key, cell->text, cell->length);
        break;
    }
}

bool render_row(struct render *render, const struct row *row) {
    if (render->rows++ > 0 && !http_write(render->request, ",", 1))
        return false;
    struct json_object *entry = json_create();
    const char *key = row->cells[0].text ? row->cells[0].text : "null";
    if (render->shape == RENDER_VALUES) {
        add_cell(entry, key, &row->cells[1]);
    } else {
        struct json_object *members = json_create();
        for (size_t i = 1; i < row->count; i++)
            add_cell(members, row->cells[i].name, &row->cells[i]);
        json_add_object(entry, key, members);
    }
    size_t length;
    const char *text = json_text(entry, &length);
    /* {"key":…} without its braces: the answer is one object over all rows. */
    bool sent = http_write(render->request, text + 1, length - 2);
    json_release(entry);
    return sent;
}

bool render_end(struct render *render) {
    return http_write(render->request, "}\n", 2);
}
