/* Bringing the database up to date. */
#ifndef MIGRATE_H
#define MIGRATE_H

struct config;

/* Becomes psql, the one migrator, running sql/migrate.sql of the working directory as the migrating
 * role. Returns only where psql could not be started. */
void migrate_exec(const struct config *config);

#endif
