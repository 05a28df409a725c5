/* What both programs do first with their command line and their environment. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>

struct config;

/* Returns the one option given, or NULL for none. --help and --version answer and end the process;
 * anything that is not in the list, which ends with NULL, ends it with status 64 (EX_USAGE). */
const char *options_read(int argc, char **argv, const char *help, const char *const *known);

/* Loads the configuration. If it is wrong, ends the process with CONFIG_EXIT_STATUS and a line for
 * each mistake on standard error. Warnings are reported if LOG_LEVEL allows them. */
void options_load_config(struct config *config, bool reports_warnings);

#endif
