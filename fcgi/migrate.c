/* Runs psql with the migration on standard input and our configuration in libpq's own variables: no
 * shell is needed, and no password is in an argument list. Then makes the rollups as the role that
 * maintains them: the migration's session may be a superuser's, which runs none of our functions.
 */
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

enum {
    VARIABLE_SIZE = SETTINGS_SIZE + 64,
    LOGIN_MS = 3000,
};

/* A psql variable, as -v takes it. */
struct variable {
    char text[VARIABLE_SIZE];
};

static struct variable make_variable(const char *name, const char *value) {
    struct variable variable;
    (void)snprintf(variable.text, sizeof variable.text, "%s=%s", name, value);
    return variable;
}

static struct config worker_config(const struct config *config) {
    struct config worker = *config;
    if (worker.worker_user)
        worker.database_user = worker.worker_user;
    if (worker.worker_password)
        worker.database_password = worker.worker_password;
    return worker;
}

static struct config logger_config(const struct config *config) {
    struct config logger = worker_config(config);
    if (logger.logger_user)
        logger.database_user = logger.logger_user;
    if (logger.logger_password)
        logger.database_password = logger.logger_password;
    logger.statement_timeout_ms = UPKEEP_STATEMENT_MS;
    return logger;
}

/* What PostgreSQL is to keep of the passwords of our login roles. Empty where nothing is to change.
 */
struct verifiers {
    char worker[DB_VERIFIER_SIZE];
    char logger[DB_VERIFIER_SIZE];
};

static bool is_ours(const char *role) {
    static const char beginning[] = "coworking_analytics_";
    return strncmp(role, beginning, strlen(beginning)) == 0;
}

static bool is_refused(const struct config *login) {
    log_open(STDERR_FILENO, LOG_SILENT);
    struct db *db = db_open(login, DB_READ_ONLY);
    bool is_refused = db && db_connect(db, deadline_in(LOGIN_MS)) != STATUS_OK && db_is_refused(db);
    if (db)
        db_close(db);
    log_open(STDERR_FILENO, (enum log_level)login->log_level);
    return is_refused;
}

/* Only for a role that is ours by name. One that can log in already keeps its password, so that a
 * migration without anything to do needs no rights. */
static bool make_verifier(const struct config *login, bool is_given, char *verifier) {
    *verifier = '\0';
    return !is_given || !is_ours(login->database_user) || !is_refused(login) ||
           db_make_verifier(login->database_password, verifier);
}

static bool make_verifiers(const struct config *config, struct verifiers *verifiers) {
    const struct config worker = worker_config(config), logger = logger_config(config);
    return make_verifier(&worker, config->worker_password != NULL, verifiers->worker) &&
           make_verifier(&logger, config->logger_password != NULL, verifiers->logger);
}

static void set(const char *name, const char *value) {
    if (value)
        (void)setenv(name, value, 1);
}

/* psql gets the one login that it uses, and no other. */
static void set_environment(const struct config *config) {
    static const char *const others[] = {
        "DB_PASSWORD",     "DB_PASSWORD_FILE",     "MIGRATE_PASSWORD", "MIGRATE_PASSWORD_FILE",
        "WORKER_PASSWORD", "WORKER_PASSWORD_FILE", "LOGGER_PASSWORD",  "LOGGER_PASSWORD_FILE"};
    set("PGHOST", config->database_host);
    set("PGPORT", config->database_port);
    set("PGDATABASE", config->database_name);
    set("PGUSER", config->migrate_user ? config->migrate_user : config->database_user);
    set("PGPASSWORD",
        config->migrate_password ? config->migrate_password : config->database_password);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        (void)unsetenv(others[i]);
    set("PGTARGETSESSIONATTRS", "primary"); /* of several hosts, the one that accepts writes */
    (void)setenv("PGCONNECT_TIMEOUT", "3", 0);
}

static bool write_all(int file, const char *text) {
    const size_t length = strlen(text);
    return write(file, text, length) == (ssize_t)length;
}

/* Makes the migration standard input. Verifiers are set in it: arguments are for all to read. */
static bool offer_script(const struct verifiers *verifiers) {
    char prelude[2 * DB_VERIFIER_SIZE + 64];
    (void)snprintf(prelude, sizeof prelude,
                   "\\set worker_verifier '%s'\n\\set logger_verifier '%s'\n", verifiers->worker,
                   verifiers->logger);
    int file = memfd_create("migrate.sql", 0);
    return file >= 0 && write_all(file, prelude) && write_all(file, sql_migrate) &&
           lseek(file, 0, SEEK_SET) == 0 && dup2(file, STDIN_FILENO) == STDIN_FILENO;
}

/* Does not return. A role that workers and logger share gets the workers' settings. */
static void exec_psql(const struct config *config, const struct verifiers *verifiers) {
    char settings[SETTINGS_SIZE];
    const struct config worker = worker_config(config), logger = logger_config(config);
    settings_list(&worker, DB_READ_ONLY, settings);
    const struct variable worker_name = make_variable("worker", worker.database_user);
    const struct variable worker_settings = make_variable("worker_settings", settings);
    settings_list(&logger, DB_READ_WRITE, settings);
    const struct variable logger_name = make_variable("logger", logger.database_user);
    const struct variable logger_settings =
        make_variable("logger_settings", config->logger_user ? settings : "");
    const char *rollups = config->rollups ? "rollups=on" : "rollups=off";
    set_environment(config);
    if (offer_script(verifiers))
        (void)execlp("psql", "psql", "-X", "--no-password", "-v", worker_name.text, "-v",
                     worker_settings.text, "-v", logger_name.text, "-v", logger_settings.text, "-v",
                     rollups, "-f", "-", (char *)NULL);
    log_text(LOG_ERROR, "psql", strerror(errno));
    _exit(EXIT_FAILURE);
}

/* psql's exit status: 2 when it could not connect, 3 when the script failed. */
static int run_psql(const struct config *config, const struct verifiers *verifiers) {
    pid_t psql = fork();
    if (psql == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* psql ends with us */
        exec_psql(config, verifiers);
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
    struct verifiers verifiers;
    if (!make_verifiers(config, &verifiers)) {
        say("no verifier of a password could be made");
        return EXIT_FAILURE;
    }
    int status = run_psql(config, &verifiers);
    if (status == EXIT_SUCCESS)
        make_rollups(config);
    return status;
}
