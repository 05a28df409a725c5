/* Bringing the database up to date. */
#ifndef MIGRATE_H
#define MIGRATE_H

struct config;

/* Runs the migration through psql, the one migrator, as the migrating role, and has the rollups
 * made. Returns the process's exit status: psql's own, 2 where it could not connect, 3 where the
 * script failed. */
int migrate(const struct config *config);

#endif
