/* The configuration, read from the environment once at the start. */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stddef.h>

enum {
    CONFIG_EXIT_STATUS = 78, /* EX_CONFIG of sysexits.h */
    CONFIG_PASSWORD_SIZE = 1022 + 1,
};

struct problems;

/* Texts belong to the environment or to this structure, and live as long as the process. */
struct config {
    const char *database_user;
    const char *database_password;
    const char *database_host;    /* NULL: libpq's own variables decide */
    const char *database_port;    /* likewise */
    const char *database_name;    /* likewise */
    const char *migrate_user;     /* NULL: database_user */
    const char *migrate_password; /* NULL: database_password */
    const char *worker_user;      /* for a migration; NULL: database_user */
    const char *worker_password;  /* likewise; NULL: database_password */
    const char *logger_user;      /* for a migration; NULL: worker_user */
    const char *logger_password;  /* likewise; NULL: worker_password */
    const char *app_host;  /* where nginx listens besides the loopback addresses; NULL: nowhere */
    const char *keys_file; /* that nginx reads; NULL: no keys are wanted */
    const char *sign_in;   /* host and port of oauth2-proxy; NULL: nobody signs in */
    const char *server_names; /* that nginx serves; NULL for any */
    long app_port;
    long workers;
    long statement_timeout_ms;
    long log_level;          /* an enum log_level */
    long max_replica_lag_ms; /* 0: no bound */
    long rollups;            /* 1 where a migration puts triggers on tokens, else 0 */
    char password_files[4][CONFIG_PASSWORD_SIZE];
};

/* Reads and checks every variable, ours and libpq's, and trims white space in the environment. Adds
 * all that is missing, wrong or doubtful to the problems; false when there are errors among them.
 */
__attribute__((warn_unused_result)) bool config_load(struct config *config,
                                                     struct problems *problems);

#endif
