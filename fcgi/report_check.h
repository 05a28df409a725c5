/* Checks of reports[], which say what is wrong with a row before a user meets it. */
#ifndef REPORT_CHECK_H
#define REPORT_CHECK_H

#include <stdbool.h>

struct report;
struct row;

/* Checks each row, up to the NULL name, by itself and against those before it. Returns false with a
 * log line for each row that is wrong. */
__attribute__((warn_unused_result)) bool report_check_rows(const struct report *rows);

/* Checks the columns of a query's result against those of the report's row. Returns false with a
 * log line when they differ. */
__attribute__((warn_unused_result)) bool report_check_result(const struct report *report,
                                                             const struct row *columns);

#endif
