/* Tables of cases as cmocka tests: each line of a table is a test of its own, under its own name.
 */
#ifndef CASES_H
#define CASES_H

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* cmocka.h needs types of the headers above, and does not include them. */
#include <cmocka.h>

enum { CASES_MAX = 192 };

static struct CMUnitTest cases[CASES_MAX]; /* cmocka skips empty entries */
static size_t case_count;

/* *state points to the test's line of the table. */
static inline void add_case(const char *name, CMUnitTestFunction test, const void *line) {
    assert(case_count < CASES_MAX);
    cases[case_count].name = name;
    cases[case_count].test_func = test;
    cases[case_count].initial_state = (void *)line;
    case_count++;
}

#define ADD_CASES(table, test)                                                                     \
    for (size_t line = 0; line < sizeof(table) / sizeof(table)[0]; line++)                         \
    add_case((table)[line].name, test, &(table)[line])

static inline int run_cases(const char *group) {
    /* A sanitizer ends the process at once, so results must not stay in the buffer. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    return cmocka_run_group_tests_name(group, cases, NULL, NULL);
}

#endif
