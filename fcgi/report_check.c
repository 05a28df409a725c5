/* A check returns false with a sentence about the first thing that is wrong. */
#include "report_check.h"

#include "json.h"
#include "log.h"
#include "placeholders.h"
#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct fault {
    char text[256];
};

__attribute__((format(printf, 2, 3))) static bool fail(struct fault *fault, const char *format,
                                                       ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(fault->text, sizeof fault->text, format, arguments);
    va_end(arguments);
    return false;
}

static bool is_same(const char *one, const char *other) {
    return strcmp(one, other) == 0;
}

static const struct param_rule *find_parameter(const struct report *report, const char *name) {
    const struct param_rule *rule = &report->parameters[params_find(report->parameters, name)];
    return rule->name ? rule : NULL;
}

static bool check_parameter(const struct report *report, size_t place, struct fault *fault) {
    const struct param_rule *rule = &report->parameters[place];
    if (params_find(report->parameters, rule->name) != place)
        return fail(fault, "parameter '%s' is listed twice", rule->name);
    if (!rule->description)
        return fail(fault, "parameter '%s' has no description", rule->name);
    if (rule->kind == PARAM_CHOICE && !rule->choices)
        return fail(fault, "parameter '%s' has no choices", rule->name);
    if (rule->kind == PARAM_END_DATE && (place == 0 || rule[-1].kind != PARAM_DATE))
        return fail(fault,
                    "parameter '%s' must come directly after the date that it may not precede",
                    rule->name);
    return true;
}

static bool check_parameters(const struct report *report, struct fault *fault) {
    const struct param_rule *rules = report->parameters;
    size_t count = 0;
    for (; rules[count].name; count++) {
        if (!check_parameter(report, count, fault))
            return false;
    }
    if (count > PARAMS_MAX)
        return fail(fault, "%zu parameters; the most is %d", count, PARAMS_MAX);
    const struct param_rule *format = find_parameter(report, "format");
    return (format && format->choices == format_names) ||
           fail(fault, "no parameter 'format' with format_names as its choices");
}

static bool has_column(const struct report *report, const char *name, size_t before) {
    for (size_t i = 0; i < before && report->columns[i].name; i++) {
        if (is_same(report->columns[i].name, name))
            return true;
    }
    return false;
}

static bool check_columns(const struct report *report, struct fault *fault) {
    size_t count = 0;
    for (const struct column *column = report->columns; column->name; column++, count++) {
        if (has_column(report, column->name, count))
            return fail(fault, "column '%s' is listed twice", column->name);
        if (!column->example || !column->description)
            return fail(fault, "column '%s' has no example or no description", column->name);
    }
    if (count > ROW_COLUMNS_MAX)
        return fail(fault, "%zu columns; the most is %d", count, ROW_COLUMNS_MAX);
    if (report->shape == RENDER_VALUES && count != 2)
        return fail(fault, "%zu columns; a key and its value are 2", count);
    return count > 0 || fail(fault, "no columns");
}

/* The parameters that a query takes: those before "order" and "format". */
static size_t count_arguments(const struct report *report) {
    size_t order = params_find(report->parameters, "order");
    size_t format = params_find(report->parameters, "format");
    return order < format ? order : format;
}

static bool check_order(const struct report *report, const struct report_order *order,
                        struct fault *fault) {
    size_t in_sql = placeholders_count(order->query.sql), in_row = count_arguments(report);
    if (in_sql != in_row)
        return fail(fault,
                    "query '%s' takes %zu parameters; the row has %zu before order and format",
                    order->query.name, in_sql, in_row);
    bool has_pages = find_parameter(report, "after") != NULL;
    if (has_pages && !order->key[0])
        return fail(fault, "query '%s' has no key, which parameter 'after' needs",
                    order->query.name);
    if (!has_pages && order->key[0])
        return fail(fault, "query '%s' has a key, but the row has no parameter 'after'",
                    order->query.name);
    for (size_t i = 0; i < REPORT_KEY_MAX && order->key[i]; i++) {
        if (!has_column(report, order->key[i], ROW_COLUMNS_MAX))
            return fail(fault, "query '%s' has the key '%s', which is not a column",
                        order->query.name, order->key[i]);
    }
    return true;
}

static bool check_orders(const struct report *report, struct fault *fault) {
    const struct param_rule *rule = find_parameter(report, "order");
    size_t count = 0, choices = rule ? 0 : 1;
    for (; count < REPORT_ORDERS_MAX && report->orders[count].query.name; count++) {
        if (!check_order(report, &report->orders[count], fault))
            return false;
    }
    while (rule && rule->choices[choices])
        choices++;
    return count == choices ||
           fail(fault, "%zu queries; parameter 'order' asks for %zu", count, choices);
}

static bool has_query(const struct report *report, const char *name) {
    for (size_t i = 0; i < REPORT_ORDERS_MAX && report->orders[i].query.name; i++) {
        if (is_same(report->orders[i].query.name, name))
            return true;
    }
    return false;
}

/* Queries are prepared under their names, so these have to differ too. */
static bool check_names(const struct report *report, const struct report *other,
                        struct fault *fault) {
    if (is_same(report->name, other->name))
        return fail(fault, "another row has this name");
    for (size_t i = 0; i < REPORT_ORDERS_MAX && report->orders[i].query.name; i++) {
        if (has_query(other, report->orders[i].query.name))
            return fail(fault, "query '%s' belongs to report '%s'", report->orders[i].query.name,
                        other->name);
    }
    return true;
}

static bool check_row(const struct report *rows, const struct report *report, struct fault *fault) {
    if (!report->description)
        return fail(fault, "no description");
    for (const struct report *other = rows; other < report; other++) {
        if (!check_names(report, other, fault))
            return false;
    }
    return check_parameters(report, fault) && check_columns(report, fault) &&
           check_orders(report, fault);
}

static void log_fault(const struct report *report, const struct fault *fault) {
    struct json_object *line = log_start(LOG_ERROR, "report_row");
    json_add_string(line, "report", report->name);
    json_add_string(line, "detail", fault->text);
    log_finish(line);
}

bool report_check_rows(const struct report *rows) {
    bool is_right = true;
    struct fault fault = {""};
    for (const struct report *report = rows; report->name; report++) {
        if (check_row(rows, report, &fault))
            continue;
        log_fault(report, &fault);
        is_right = false;
    }
    return is_right;
}

/* A row may call a date text: one before the year 1 is no date to OpenAPI. */
static bool is_type(enum cell_type in_row, enum cell_type in_result) {
    return in_row == in_result || (in_row == CELL_TEXT && in_result == CELL_DATE);
}

static bool check_result(const struct report *report, const struct row *columns,
                         struct fault *fault) {
    static const char *const types[] = {[CELL_TEXT] = "text",
                                        [CELL_INTEGER] = "integer",
                                        [CELL_DATE] = "date",
                                        [CELL_TIMESTAMP] = "timestamp"};
    size_t count = 0;
    for (; count < columns->count && report->columns[count].name; count++) {
        const struct column *column = &report->columns[count];
        const struct cell *cell = &columns->cells[count];
        if (!is_same(column->name, cell->name))
            return fail(fault, "column %zu is '%s' in the row and '%s' in the query's result",
                        count + 1, column->name, cell->name);
        if (!is_type(column->type, cell->type))
            return fail(fault, "column '%s' is of type %s in the row and %s in the query's result",
                        column->name, types[column->type], types[cell->type]);
    }
    if (count < columns->count)
        return fail(fault, "the row lacks column '%s' of the query's result",
                    columns->cells[count].name);
    return !report->columns[count].name ||
           fail(fault, "the query's result lacks column '%s'", report->columns[count].name);
}

bool report_check_result(const struct report *report, const struct row *columns) {
    struct fault fault = {""};
    if (check_result(report, columns, &fault))
        return true;
    log_fault(report, &fault);
    return false;
}
