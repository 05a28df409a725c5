/* --help and --version, and the end of a process whose configuration is wrong. */
#include "options.h"

#include "config.h"
#include "log.h"
#include "problems.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { USAGE_EXIT_STATUS = 64 }; /* EX_USAGE of sysexits.h */

const char *options_read(int argc, char **argv, const char *help, const char *const *known) {
    const char *option = argc > 1 ? argv[1] : NULL;
    if (!option)
        return NULL;
    if (strcmp(option, "--help") == 0) {
        (void)fputs(help, stdout);
        exit(EXIT_SUCCESS);
    }
    if (strcmp(option, "--version") == 0) {
        (void)puts(VERSION);
        exit(EXIT_SUCCESS);
    }
    while (*known && (argc > 2 || strcmp(*known, option) != 0))
        known++;
    if (!*known) {
        (void)fputs(help, stderr);
        exit(USAGE_EXIT_STATUS);
    }
    return option;
}

void options_load_config(struct config *config, bool reports_warnings) {
    struct problems problems = {0};
    bool is_valid = config_load(config, &problems);
    log_open(STDERR_FILENO, reports_warnings ? (enum log_level)config->log_level : LOG_ERROR);
    for (size_t i = 0; i < problems.count; i++)
        log_text(problems.list[i].is_error ? LOG_ERROR : LOG_WARNING, "configuration",
                 problems.list[i].text);
    if (!is_valid)
        exit(CONFIG_EXIT_STATUS);
}
