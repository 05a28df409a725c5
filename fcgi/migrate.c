/* Hands our configuration over to psql, in libpq's own variables: needs no shell, and no password
 * gets into an argument list. */
#include "migrate.h"

#include "config.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READER_SIZE = 256 }; /* a role's name has at most 63 bytes */

static void set(const char *name, const char *value) {
    if (value)
        (void)setenv(name, value, 1);
}

void migrate_exec(const struct config *config) {
    char reader[READER_SIZE];
    (void)snprintf(reader, sizeof reader, "reader=%s", config->database_user);
    set("PGHOST", config->database_host);
    set("PGPORT", config->database_port);
    set("PGDATABASE", config->database_name);
    set("PGUSER", config->migrate_user ? config->migrate_user : config->database_user);
    set("PGPASSWORD",
        config->migrate_password ? config->migrate_password : config->database_password);
    (void)setenv("PGCONNECT_TIMEOUT", "3", 0);
    const char *rollups = config->rollups ? "rollups=on" : "rollups=off";
    (void)execlp("psql", "psql", "-X", "--no-password", "-v", reader, "-v", rollups, "-f",
                 "sql/migrate.sql", (char *)NULL);
    log_text(LOG_ERROR, "psql", strerror(errno));
}
