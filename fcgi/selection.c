/* Parameters that are common to reports have names with a meaning here; all others go to the query
 * as they are. */
#include "selection.h"

#include "media_type.h"
#include "request.h"
#include "text.h"
#include "values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *value_of(const struct selection *selection, const char *name) {
    const struct param_rule *rules = selection->report->parameters;
    return params_value(&selection->params, rules, params_find(rules, name));
}

/* The index of the chosen value among a parameter's choices; 0 when there is no such parameter. */
static size_t choice_of(const struct selection *selection, size_t place) {
    const struct param_rule *rules = selection->report->parameters;
    const char *value = params_value(&selection->params, rules, place);
    size_t choice = 0;
    while (value && strcmp(rules[place].choices[choice], value) != 0)
        choice++;
    return choice;
}

/* "format" decides, or else Accept. An Accept field that allows neither type gets JSON. */
static enum format choose_format(const struct selection *selection, const char *accept) {
    size_t place = params_find(selection->report->parameters, "format");
    bool is_sent = selection->params.values[place] != NULL;
    if (!is_sent && media_type_is_preferred(accept, "text/csv", "application/json"))
        return FORMAT_CSV;
    return (enum format)choice_of(selection, place);
}

static const struct report_order *choose_order(const struct selection *selection) {
    size_t place = params_find(selection->report->parameters, "order");
    return &selection->report->orders[choice_of(selection, place)];
}

static size_t count_key(const struct report_order *order) {
    size_t count = 0;
    while (count < REPORT_KEY_MAX && order->key[count])
        count++;
    return count;
}

/* "after" has a number for each column of the order's key. */
static enum status check_place(struct selection *selection) {
    const struct param_rule *rules = selection->report->parameters;
    const char *after = value_of(selection, "after");
    size_t count = count_key(selection->order);
    if (!after || values_count(after) == count)
        return STATUS_OK;
    char allowed[PARAMS_ERROR_SIZE / 2] = "";
    for (size_t i = 0; i < count; i++)
        text_append(allowed, sizeof allowed, "%s%s", i ? "," : "", selection->order->key[i]);
    const char *order = value_of(selection, "order");
    if (order)
        text_append(allowed, sizeof allowed, " with order=%s", order);
    return params_refuse(&selection->params, &rules[params_find(rules, "after")], after, allowed);
}

/* Choices (format, order, every) show all rows in another way. All other parameters leave rows out.
 */
static bool leaves_rows_out(const struct selection *selection) {
    const struct param_rule *rules = selection->report->parameters;
    size_t i = 0;
    while (rules[i].name && (rules[i].kind == PARAM_CHOICE || !selection->params.values[i]))
        i++;
    return rules[i].name != NULL;
}

enum status selection_read(struct selection *selection, const struct report *report,
                           const struct request *request) {
    selection->report = report;
    enum status status = params_parse(&selection->params, request->query, report->parameters);
    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; report->parameters[i].name; i++)
        selection->arguments[i] = params_value(&selection->params, report->parameters, i);
    const char *limit = value_of(selection, "limit");
    selection->limit = limit ? strtoul(limit, NULL, 10) : 0;
    selection->is_part = leaves_rows_out(selection);
    selection->format = choose_format(selection, request->accept);
    selection->order = choose_order(selection);
    return check_place(selection);
}

static const char *text_of(const struct row *row, const char *column) {
    for (size_t i = 0; i < row->count; i++) {
        if (strcmp(row->cells[i].name, column) == 0 && row->cells[i].text)
            return row->cells[i].text;
    }
    return "";
}

void selection_place(const struct selection *selection, const struct row *row,
                     char place[SELECTION_PLACE_SIZE]) {
    size_t count = count_key(selection->order);
    *place = '\0';
    for (size_t i = 0; i < count; i++)
        text_append(place, SELECTION_PLACE_SIZE, "%s%s", i ? "," : "",
                    text_of(row, selection->order->key[i]));
}

/* Values that were checked need no percent-encoding. */
void selection_link(const struct selection *selection, const char *place, char *link, size_t size) {
    const struct param_rule *rules = selection->report->parameters;
    char separator = '?';
    *link = '\0';
    if (!selection->order->key[0])
        return;
    (void)snprintf(link, size, "%s", selection->report->name);
    for (size_t i = 0; rules[i].name; i++) {
        bool is_place = strcmp(rules[i].name, "after") == 0;
        const char *value = is_place ? place : selection->params.values[i];
        if (!value)
            continue;
        text_append(link, size, "%c%s=%s", separator, rules[i].name, value);
        separator = '&';
    }
}
