/* Cells go straight into the body, so that memory does not grow with the answer. */
#include "render.h"

#include "body.h"
#include "json_escape.h"

#include <ctype.h>
#include <string.h>

enum { SHOWN_SIZE = 64, FRACTION_DIGITS = 6 };

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
    /* PostgreSQL omits trailing zeros, and the point too when all digits are zero. */
    const char *rest = point + 1 + digits; /* " BC", or nothing */
    size_t rest_length = length - whole - 1 - digits;
    memset(out + whole + 1 + digits, '0', FRACTION_DIGITS - digits);
    memcpy(out, text, whole + 1 + digits);
    memcpy(out + whole + 1 + FRACTION_DIGITS, rest, rest_length);
    size_t total = whole + 1 + FRACTION_DIGITS + rest_length;
    out[total] = '\0';
    return total;
}

static bool write_text(const struct render *render, const char *text, size_t length) {
    return length == 0 || body_write(render->request, text, length);
}

static bool write_string(const struct render *render, const char *text, size_t length) {
    size_t escaped_length;
    const char *escaped = json_escape(text, length, &escaped_length);
    return write_text(render, "\"", 1) && write_text(render, escaped, escaped_length) &&
           write_text(render, "\"", 1);
}

static bool write_key(const struct render *render, const char *key) {
    return write_string(render, key, strlen(key)) && write_text(render, ":", 1);
}

static bool write_timestamp(const struct render *render, const struct cell *cell) {
    char quoted[SHOWN_SIZE + 2] = "\"";
    size_t length = render_timestamp(cell->text, cell->length, quoted + 1, SHOWN_SIZE);
    quoted[1 + length] = '"';
    return write_text(render, quoted, length + 2);
}

/* PostgreSQL writes integers as JSON does, and its dates contain nothing that JSON escapes. */
static bool write_cell(const struct render *render, const struct cell *cell) {
    if (!cell->text)
        return write_text(render, "null", 4);
    switch (cell->type) {
    case CELL_INTEGER:
        return write_text(render, cell->text, cell->length);
    case CELL_TIMESTAMP:
        return write_timestamp(render, cell);
    case CELL_DATE:
    case CELL_TEXT:
        break;
    }
    return write_string(render, cell->text, cell->length);
}

/* The columns from that one on, as an object. */
static bool write_members(const struct render *render, const struct row *row, size_t first) {
    bool sent = write_text(render, "{", 1);
    for (size_t i = first; i < row->count && sent; i++) {
        const struct cell *cell = &row->cells[i];
        sent = (i == first || write_text(render, ",", 1)) && write_key(render, cell->name) &&
               write_cell(render, cell);
    }
    return sent && write_text(render, "}", 1);
}

/* "key":value, or "key":{the other columns} */
static bool write_keyed(const struct render *render, const struct row *row) {
    if (!write_key(render, row->cells[0].text ? row->cells[0].text : "null"))
        return false;
    return render->shape == RENDER_VALUES ? write_cell(render, &row->cells[1])
                                          : write_members(render, row, 1);
}

/* An apostrophe makes a spreadsheet show a text that it would otherwise run as a formula (OWASP,
 * "CSV Injection"). */
static bool write_csv_text(const struct render *render, const char *text, size_t length) {
    static const char formula_starts[] = {'=', '+', '-', '@', '\t', '\r'};
    static const char quoted[] = {',', '"', '\r', '\n'};
    bool is_formula = length > 0 && memchr(formula_starts, text[0], sizeof formula_starts);
    bool is_plain = length > 0 && !is_formula;
    for (size_t i = 0; i < length && is_plain; i++)
        is_plain = !memchr(quoted, text[i], sizeof quoted);
    if (is_plain)
        return write_text(render, text, length);
    bool sent = write_text(render, is_formula ? "\"'" : "\"", is_formula ? 2 : 1);
    while (sent && length > 0) {
        const char *quote = memchr(text, '"', length);
        size_t part = quote ? (size_t)(quote - text) + 1 : length;
        sent = write_text(render, text, part) && (!quote || write_text(render, "\"", 1));
        text += part;
        length -= part;
    }
    return sent && write_text(render, "\"", 1);
}

/* NULL becomes an empty field, and an empty text two quotes. Numbers and dates need no quotes. */
static bool write_csv_cell(const struct render *render, const struct cell *cell) {
    char shown[SHOWN_SIZE];
    switch (cell->text ? cell->type : CELL_INTEGER) {
    case CELL_TEXT:
        return write_csv_text(render, cell->text, cell->length);
    case CELL_TIMESTAMP:
        return write_text(render, shown,
                          render_timestamp(cell->text, cell->length, shown, sizeof shown));
    case CELL_INTEGER:
    case CELL_DATE:
        break;
    }
    return write_text(render, cell->text, cell->length);
}

static bool write_csv_line(const struct render *render, const struct row *row, bool names) {
    bool sent = true;
    for (size_t i = 0; i < row->count && sent; i++) {
        const struct cell *cell = &row->cells[i];
        sent = (i == 0 || write_text(render, ",", 1)) &&
               (names ? write_csv_text(render, cell->name, strlen(cell->name))
                      : write_csv_cell(render, cell));
    }
    return sent && write_text(render, "\r\n", 2);
}

bool render_begin(struct render *render, struct request *request, enum render_shape shape,
                  const struct row *columns) {
    *render = (struct render){.request = request, .shape = shape};
    if (shape == RENDER_CSV)
        return write_csv_line(render, columns, true);
    return write_text(render, shape == RENDER_RECORDS ? "[" : "{", 1);
}

bool render_row(struct render *render, const struct row *row) {
    bool is_first = render->rows++ == 0;
    if (render->shape == RENDER_CSV)
        return write_csv_line(render, row, false);
    if (!is_first && !write_text(render, ",", 1))
        return false;
    return render->shape == RENDER_RECORDS ? write_members(render, row, 0)
                                           : write_keyed(render, row);
}

bool render_end(struct render *render) {
    if (render->shape == RENDER_CSV)
        return true;
    return write_text(render, render->shape == RENDER_RECORDS ? "]\n" : "}\n", 2);
}
