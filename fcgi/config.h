/* The configuration, read from the environment once at the start. */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stddef.h>

enum { CONFIG_EXIT_STATUS = 78 }; /* EX_CONFIG of sysexits.h */

/* Texts belong to the environment or to this structure, and live as long as the process. */
struct config {
    const char *database_user;
    const char *database_password;
    const char *database_host;    /* NULL: libpq's own variables decide */
    const char *database_port;    /* likewise */
    const char *database_name;    /* likewise */
    const char *migrate_user;     /* NULL: database_user */
    const char *migrate_password; /* NULL: database_password */
    const char *logger_user;      /* for a migration; NULL: database_user */
    const char *logger_password;  /* likewise; NULL: database_password */
    long app_port;
    long workers;
    long statement_timeout_ms;
    long log_level;          /* an enum log_level */
    long max_replica_lag_ms; /* 0: no bound */
    long rollups;            /* 1 where a migration puts triggers on tokens, else 0 */
    char password_from_file[1022 + 1];
};

/* Reads and checks every variable. False with a line in error that names the first variable that
 * is missing or wrong and says what it wants; it never repeats a value. */
__attribute__((warn_unused_result)) bool config_load(struct config *config, char *error,
                                                     size_t error_size);

#endif
