/* The servers that DB_HOST or libpq's own variables name: the order to try them in, and which ones
 * to leave out for a while because they did not answer. */
#ifndef HOSTS_H
#define HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HOSTS_MAX = 16,
    HOSTS_ADDRESSES_MAX = 8, /* of one name */
    HOSTS_NAME_SIZE = 256,
    HOSTS_ADDRESS_SIZE = 64,
    HOSTS_PORT_SIZE = 16,
    HOSTS_LEFT_OUT_MS = 10000,
};

/* One address to connect to. */
struct candidate {
    char name[HOSTS_NAME_SIZE];       /* host name, or a socket's folder; empty: libpq's default */
    char address[HOSTS_ADDRESS_SIZE]; /* empty for a socket */
    char port[HOSTS_PORT_SIZE];       /* empty: libpq's default */
};

struct host {
    struct candidate candidate; /* its address is set where hostaddr gave it */
    bool is_resolved;           /* in this walk */
    size_t address_count;
    char addresses[HOSTS_ADDRESSES_MAX][HOSTS_ADDRESS_SIZE];
};

struct hosts {
    struct host list[HOSTS_MAX];
    size_t count;
    bool is_shuffled; /* each walk takes them in an order of its own */
    size_t order[HOSTS_MAX];
    size_t round, place, address; /* where the walk continues */
    unsigned walk;
    const char *trouble; /* why a name has no address; NULL when none failed */
    struct {
        struct candidate candidate;
        int64_t until;
        unsigned walk; /* in which it was left out */
    } left_out[HOSTS_MAX];
    size_t left_out_next;
};

/* Reads lists as libpq does ("Specifying Multiple Hosts"). Each may be NULL. Servers beyond the
 * bounds are not tried. */
void hosts_read(struct hosts *hosts, const char *names, const char *addresses, const char *ports);

/* Begins a walk. Names are resolved when it reaches them. */
void hosts_start(struct hosts *hosts);

/* The next candidate; those that are left out come last. Returns false at the end. */
__attribute__((warn_unused_result)) bool hosts_next(struct hosts *hosts,
                                                    struct candidate *candidate);

/* How many candidates remain before those that are left out. A name that is not resolved yet counts
 * as one. */
size_t hosts_still_to_try(const struct hosts *hosts);

/* How many candidates there are in all. */
size_t hosts_size(const struct hosts *hosts);

void hosts_leave_out(struct hosts *hosts, const struct candidate *candidate);

bool hosts_are_same(const struct candidate *one, const struct candidate *other);

/* When a connection made now should give way to a preferred server. The seed differs between
 * processes, so that they do not all move at once. */
int64_t hosts_renew_at(int64_t now, unsigned seed);

#endif
