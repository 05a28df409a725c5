/* Hands the migration and our configuration over to psql, the configuration in libpq's own
 * variables: needs no shell, and no password gets into an argument list. Then has the rollups made,
 * as the role that keeps them: a migration's own session may be a superuser's, in which nothing of
 * ours is run. */
#include "migrate.h"

#include "config.h"
#include "db.h"
#include "deadline.h"
#include "log.h"
#include "settings.h"
#include "sql.h"
#include "upkeep.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VARIABLE_SIZE = SETTINGS_SIZE + 64 };

/* A psql variable, as -v takes it. */
struct variable {
    char text[VARIABLE_SIZE];
};

static struct variable make_variable(const char *name, const char *value) {
    struct variable variable;
    (void)snprintf(variable.text, sizeof variable.text, "%s=%s", name, value);
    return variable;
}

/* The configuration that the logger runs with. */
static struct config logger_config(const struct config *config) {
    struct config logger = *config;
    if (logger.logger_user)
        logger.database_user = logger.logger_user;
    if (logger.logger_password)
        logger.database_password = logger.logger_password;
    logger.statement_timeout_ms = UPKEEP_STATEMENT_MS;
    return logger;
}

static void set(const char *name, const char *value) {
    if (value)
        (void)setenv(name, value, 1);
}

static void set_environment(const struct config *config) {
    set("PGHOST", config->database_host);
    set("PGPORT", config->database_port);
    set("PGDATABASE", config->database_name);
    set("PGUSER", config->migrate_user ? config->migrate_user : config->database_user);
    set("PGPASSWORD",
        config->migrate_password ? config->migrate_password : config->database_password);
    set("PGTARGETSESSIONATTRS", "primary"); /* of a list of hosts the one that can be written to */
    (void)setenv("PGCONNECT_TIMEOUT", "3", 0);
}

/* Makes the migration standard input. */
static bool offer_script(void) {
    const size_t length = sizeof sql_migrate - 1;
    int file = memfd_create("migrate.sql", 0);
    return file >= 0 && write(file, sql_migrate, length) == (ssize_t)length &&
           lseek(file, 0, SEEK_SET) == 0 && dup2(file, STDIN_FILENO) == STDIN_FILENO;
}

/* Does not return. A role that workers and logger share is set to what the workers need. */
static void exec_psql(const struct config *config) {
    char settings[SETTINGS_SIZE];
    const struct config logger = logger_config(config);
    settings_list(config, DB_READ_ONLY, settings);
    const struct variable worker = make_variable("worker", config->database_user);
    const struct variable worker_settings = make_variable("worker_settings", settings);
    settings_list(&logger, DB_READ_WRITE, settings);
    const struct variable logger_name = make_variable("logger", logger.database_user);
    const struct variable logger_settings =
        make_variable("logger_settings", config->logger_user ? settings : "");
    const char *rollups = config->rollups ? "rollups=on" : "rollups=off";
    set_environment(config);
    if (offer_script())
        (void)execlp("psql", "psql", "-X", "--no-password", "-v", worker.text, "-v",
                     worker_settings.text, "-v", logger_name.text, "-v", logger_settings.text, "-v",
                     rollups, "-f", "-", (char *)NULL);
    log_text(LOG_ERROR, "psql", strerror(errno));
    _exit(EXIT_FAILURE);
}

/* psql's exit status: 2 when it could not connect, 3 when the script failed. */
static int run_psql(const struct config *config) {
    pid_t psql = fork();
    if (psql == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* whoever ends the migration ends it all */
        exec_psql(config);
    }
    int status;
    while (psql > 0 && waitpid(psql, &status, 0) < 0) {
        if (errno != EINTR)
            return EXIT_FAILURE;
    }
    return psql > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

static void say(const char *text) {
    (void)fprintf(stderr, "coworking-analytics: %s\n", text);
}

/* Does what the logger would do at its next run, as the logger's role. */
static void make_rollups(const struct config *config) {
    struct upkeep upkeep;
    const struct config logger = logger_config(config);
    log_open(STDERR_FILENO, LOG_SILENT);
    struct db *db = db_open(&logger, DB_READ_WRITE);
    if (!db)
        return;
    upkeep_open(db);
    const int64_t never = deadline_in(UPKEEP_STATEMENT_MS);
    enum status status = upkeep_do_short(db, never, &upkeep);
    while (status == STATUS_OK && strcmp(upkeep.rollups, "rebuilding") == 0)
        status = upkeep_do_long(db, never, &upkeep);
    if (status == STATUS_OK && strcmp(upkeep.rollups, "set aside") == 0)
        say("public.tokens does not have the columns that rollups need: reports read it as it is");
    else if (status != STATUS_OK)
        say(db_reason(db));
    db_close(db);
}

int migrate(const struct config *config) {
    int status = run_psql(config);
    if (status == EXIT_SUCCESS)
        make_rollups(config);
    return status;
}
