/* /health_check and /readiness_check, for Kubernetes and load balancers. */
#ifndef PROBE_H
#define PROBE_H

struct db;
struct request;

/* Registers the readiness query. */
void probe_open(struct db *db);

/* 200 "ok": this process can serve. Asks no database. */
void probe_health(struct request *request, struct db *db);

/* 200 "ok" when the database answers and its tables are there, else 503 "failed". A verdict holds
 * for a second, and no answer takes longer than PROBE_LIMIT_MS. */
void probe_readiness(struct request *request, struct db *db);

#endif
