/* What a request asks of a report: its parameters, read once. */
#ifndef SELECTION_H
#define SELECTION_H

#include "params.h"
#include "report.h"
#include "status.h"

#include <stdbool.h>
#include <stddef.h>

enum { SELECTION_PLACE_SIZE = REPORT_KEY_MAX * (PARAMS_DIGITS_MAX + 4) };

struct selection {
    const struct report *report;
    const struct report_order *order;
    const char *arguments[PARAMS_MAX]; /* $1, $2, … of the order's query; NULL for SQL's NULL */
    enum format format;
    size_t limit;         /* rows of a page; 0 for all */
    bool is_part;         /* a parameter leaves rows out */
    struct params params; /* owns the texts */
};

/* Reads the query string and the Accept field by the report's row. STATUS_BAD_REQUEST with a
 * sentence in selection->params.error. */
__attribute__((warn_unused_result)) enum status selection_read(struct selection *selection,
                                                               const struct report *report,
                                                               const struct request *request);

/* Writes a row's place in the order: what "after" takes. */
void selection_place(const struct selection *selection, const struct row *row,
                     char place[SELECTION_PLACE_SIZE]);

/* Writes the request for the rows after that place, or nothing for an order without pages. It is
 * relative to the request's own folder, so that it can be followed behind a proxy that strips a
 * prefix of the path. */
void selection_link(const struct selection *selection, const char *place, char *link, size_t size);

#endif
