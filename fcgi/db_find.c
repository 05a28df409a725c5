/* Finds a server: each one on the list gets its share of the time, and the first suitable one is
 * taken. libpq would spend all the time on a server that does not answer. */
#include "db_private.h"

#include "deadline.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    SHARE_MS_MIN = 100,
    RENEW_MS = 500, /* of a request's time, to look for a preferred server */
};

/* Poolers refuse startup options, most of them with 08P01 and some with 0A000. */
static bool refused_options(const struct db *db) {
    return strcmp(db->sqlstate, "08P01") == 0 || strcmp(db->sqlstate, "0A000") == 0;
}

static enum status open_with(struct db *db, const struct candidate *candidate, const char *options,
                             int64_t deadline) {
    enum status status = db_establish(db, candidate, options, deadline);
    return status == STATUS_OK ? db_open_session(db, deadline) : status;
}

/* A pooler that silently drops some of the options would set the rest on its servers again and
 * again. */
static bool swallowed_options(const struct db *db) {
    return db->session.connection && db->session.is_pooled;
}

static enum status try(struct db *db, const struct candidate *candidate, int64_t deadline) {
    enum status status = open_with(db, candidate, db->options, deadline);
    if (swallowed_options(db) || (status == STATUS_UNAVAILABLE && refused_options(db))) {
        db_disconnect(db);
        status = open_with(db, candidate, NULL, deadline);
    }
    if (status == STATUS_TIMEOUT || status == STATUS_LAGGING)
        hosts_leave_out(&db->hosts, candidate);
    if (status != STATUS_OK) {
        db_disconnect(db);
        return status;
    }
    int64_t now = clock_milliseconds(CLOCK_MONOTONIC);
    db->session.candidate = *candidate;
    db->session.renew_at = hosts_renew_at(now, (unsigned)getpid());
    return STATUS_OK;
}

static bool suits(const struct db *db, bool is_standby) {
    switch (db->preference) {
    case PRIMARY_ONLY:
    case PRIMARY_FIRST:
        return !is_standby;
    case STANDBY_ONLY:
    case STANDBY_FIRST:
        return is_standby;
    default:
        return true;
    }
}

/* A connection to a server that is not preferred, kept in case no preferred one is found. */
struct spare {
    struct session session;
    struct db_state state;
};

static bool put_aside(struct db *db, struct spare *spare) {
    bool is_wanted = db->preference == PRIMARY_FIRST || db->preference == STANDBY_FIRST;
    if (!is_wanted || spare->session.connection)
        return false;
    *spare = (struct spare){db->session, db->state};
    db->session = (struct session){0};
    return true;
}

static void take_back(struct db *db, const struct spare *spare) {
    db->session = spare->session;
    db->state = spare->state;
}

/* With a spare connection, each other server gets half of the time. */
static int64_t share_of(const struct db *db, bool has_other, int64_t deadline) {
    size_t others = has_other ? 1 : hosts_still_to_try(&db->hosts);
    int share = deadline_left(deadline) / (int)(others + 1);
    return deadline_in(share > SHARE_MS_MIN ? share : SHARE_MS_MIN);
}

static enum status fail_no_address(struct db *db) {
    char reason[REASON_SIZE];
    db->is_away = false; /* a name that is wrong stays wrong */
    (void)snprintf(reason, sizeof reason, "no server's name could be resolved: %s",
                   db->hosts.trouble ? db->hosts.trouble : "no address");
    return db_fail(db, STATUS_UNAVAILABLE, "", reason);
}

/* A connection that does not suit is put aside or closed. */
static enum status consider(struct db *db, struct spare *spare) {
    if (suits(db, db->state.is_standby))
        return STATUS_OK;
    if (!put_aside(db, spare))
        db_disconnect(db);
    return db_fail(db, STATUS_UNAVAILABLE, "",
                   db->state.is_standby
                       ? "only standbys can be reached, and a primary is asked for"
                       : "only a primary can be reached, and a standby is asked for");
}

/* Walks over the servers until one suits. The walk ends at the one that is in use, if it suits: no
 * preferred server is available then. */
static enum status walk(struct db *db, int64_t deadline, const struct spare *in_use,
                        struct spare *spare) {
    struct candidate candidate;
    enum status status = STATUS_UNAVAILABLE;
    hosts_start(&db->hosts);
    while (deadline_left(deadline) > 0 && hosts_next(&db->hosts, &candidate)) {
        bool is_in_use = in_use && hosts_are_same(&candidate, &in_use->session.candidate);
        if (is_in_use && suits(db, in_use->state.is_standby))
            break;
        if (is_in_use)
            continue;
        status = try(db, &candidate, share_of(db, in_use || spare->session.connection, deadline));
        if (status == STATUS_OK)
            status = consider(db, spare);
        if (status == STATUS_OK)
            break;
    }
    return status;
}

enum status db_find_server(struct db *db, int64_t deadline) {
    struct spare spare = {0};
    *db->reason = '\0';
    enum status status = walk(db, deadline, NULL, &spare);
    if (status == STATUS_OK) {
        PQfinish(spare.session.connection);
        return STATUS_OK;
    }
    if (spare.session.connection) {
        take_back(db, &spare);
        return STATUS_OK;
    }
    return *db->reason ? status : fail_no_address(db);
}

void db_renew(struct db *db, int64_t deadline) {
    struct spare spare = {0}, in_use = {db->session, db->state};
    int64_t now = clock_milliseconds(CLOCK_MONOTONIC);
    if (!in_use.session.connection || hosts_size(&db->hosts) < 2 || now < in_use.session.renew_at)
        return;
    int half = deadline_left(deadline) / 2;
    db->session = (struct session){0};
    (void)walk(db, deadline_in(half < RENEW_MS ? half : RENEW_MS), &in_use, &spare);
    PQfinish(spare.session.connection);
    if (db->session.connection) {
        PQfinish(in_use.session.connection);
        return;
    }
    take_back(db, &in_use);
    db->session.renew_at = hosts_renew_at(now, (unsigned)getpid());
}
