/* One row of an answer on its way from the database to the renderer. */
#ifndef ROW_H
#define ROW_H

#include <stddef.h>

enum { ROW_COLUMNS_MAX = 16 };

enum cell_type { CELL_TEXT, CELL_INTEGER, CELL_DATE, CELL_TIMESTAMP };

struct cell {
    const char *name; /* of the column */
    enum cell_type type;
    const char *text; /* NULL for SQL's NULL */
    size_t length;
};

/* The texts belong to the database's result, and are valid until the next row is read. */
struct row {
    size_t count;
    struct cell cells[ROW_COLUMNS_MAX];
};

#endif
