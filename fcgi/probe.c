/* Probes of bounded cost: the database is asked at most twice a second, however often they come. */
#include "probe.h"

#include "db.h"
#include "deadline.h"
#include "json.h"
#include "log.h"
#include "reply.h"
#include "sql.h"
#include "stop.h"

/* One worker answers both probes. A readiness check must end well before a health check that waits
 * behind it is late (500 ms). */
enum {
    PROBE_LIMIT_MS = 300,
    VERDICT_HOLDS_MS = 1000,
    FAILURE_HOLDS_MS = 500, /* shorter, so that a recovered database is noticed soon */
};

static const struct db_query readiness_query = {.name = "readiness", .sql = sql_worker_readiness};

void probe_open(struct db *db) {
    db_add_query(db, &readiness_query);
}

void probe_health(struct request *request, struct db *db) {
    (void)db;
    reply_text(request, STATUS_OK, "ok");
}

static enum status ask_database(struct db *db, const char **reason) {
    bool ready = false;
    const struct row *row = NULL;
    int64_t deadline = deadline_in(PROBE_LIMIT_MS);
    enum status status = db_read_state(db, deadline);
    if (status == STATUS_OK)
        status = db_start(db, &readiness_query, NULL, deadline);
    while (status == STATUS_OK && (status = db_next_row(db, deadline, &row)) == STATUS_OK && row)
        ready = true;
    *reason = status == STATUS_OK ? "public.users or public.tokens is missing" : db_reason(db);
    db_end(db);
    return status == STATUS_OK && !ready ? STATUS_UNAVAILABLE : status;
}

static void log_change(enum status status, const char *reason) {
    if (status == STATUS_OK) {
        log_text(LOG_INFO, "ready", "the database answers and its tables are there");
        return;
    }
    log_text(LOG_WARNING, "not_ready", reason);
}

void probe_readiness(struct request *request, struct db *db) {
    static enum status verdict = STATUS_UNAVAILABLE;
    static int64_t valid_until = -1;
    if (stop_is_requested()) { /* load balancers must send no more */
        reply_text(request, STATUS_UNAVAILABLE, "failed");
        return;
    }
    if (valid_until < 0 || deadline_left(valid_until) == 0) {
        const char *reason;
        enum status status = ask_database(db, &reason);
        if (valid_until < 0 || (status == STATUS_OK) != (verdict == STATUS_OK))
            log_change(status, reason);
        verdict = status;
        valid_until = deadline_in(status == STATUS_OK ? VERDICT_HOLDS_MS : FAILURE_HOLDS_MS);
    }
    if (verdict == STATUS_OK)
        reply_text(request, STATUS_OK, "ok");
    else
        reply_text(request, STATUS_UNAVAILABLE, "failed");
}
