/* What both programs do with their command line and their environment before anything else. */
#ifndef OPTIONS_H
#define OPTIONS_H

struct config;

/* Returns the one option given, or NULL for none. --help and --version answer and end the process;
 * anything that is not in the list, which ends with NULL, ends it with status 64 (EX_USAGE). */
const char *options_read(int argc, char **argv, const char *help, const char *const *known);

/* Loads the configuration, or ends the process with one line and CONFIG_EXIT_STATUS. */
void options_load_config(struct config *config);

#endif
