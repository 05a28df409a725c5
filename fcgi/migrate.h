/* Brings the database up to date. */
#ifndef MIGRATE_H
#define MIGRATE_H

struct config;

/* Runs the migration with psql as the migrating role, and then makes the rollups. Returns the
 * process's exit status, which is psql's: 2 when it could not connect, 3 when the script failed. */
int migrate(const struct config *config);

#endif
