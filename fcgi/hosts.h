/* The servers that DB_HOST or libpq's own variables name: in what order they are tried, and which
 * are left out for a while because they said nothing. */
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
    HOSTS_PORT_SIZE = 8,
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
    size_t round, place, address; /* of the walk: where it goes on */
    unsigned walk;
    const char *trouble; /* why a name has no address; NULL when none failed */
    struct {
        struct candidate candidate;
        int64_t until;
        unsigned walk; /* in which it was left out */
    } left_out[HOSTS_MAX];
    size_t left_out_next;
};

/* Lists as in libpq ("Specifying Multiple Hosts"); each may be NULL. What is beyond the bounds is
 * not tried. */
void hosts_read(struct hosts *hosts, const char *names, const char *addresses, const char *ports);

/* Begins a walk. Names are resolved when it reaches them. */
void hosts_start(struct hosts *hosts);

/* The next one to try; those that are left out come last. False at the end. */
__attribute__((warn_unused_result)) bool hosts_next(struct hosts *hosts,
                                                    struct candidate *candidate);

/* How many there still are to try before those that are left out; each name that was not resolved
 * counts as one. */
size_t hosts_still_to_try(const struct hosts *hosts);

/* How many there are in all. */
size_t hosts_size(const struct hosts *hosts);

void hosts_leave_out(struct hosts *hosts, const struct candidate *candidate);

bool hosts_are_same(const struct candidate *one, const struct candidate *other);

/* When a connection made now gives way to one by preference; the seed tells processes apart, so
 * that they do not all move at once. */
int64_t hosts_renew_at(int64_t now, unsigned seed);

#endif
