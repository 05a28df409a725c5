/* Walks over the servers one at a time, so that a silent one costs no more than its share of the
 * time. */
#include "hosts.h"

#include "deadline.h"
#include "values.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    RENEW_AFTER_MS = 40000,
    RENEW_SPREAD_MS = 10000,
};

/* Copies the next item of a list and moves behind it. A list with a single item gives that item to
 * every server. */
static void take_item(const char **list, char *item, size_t size) {
    *item = '\0';
    if (!*list)
        return;
    size_t length = strcspn(*list, ",");
    if (length < size)
        (void)snprintf(item, size, "%.*s", (int)length, *list);
    *list = (*list)[length] ? *list + length + 1 : NULL;
}

static size_t count_items(const char *list) {
    return list ? values_count(list) : 0;
}

void hosts_read(struct hosts *hosts, const char *names, const char *addresses, const char *ports) {
    size_t count =
        count_items(addresses) > count_items(names) ? count_items(addresses) : count_items(names);
    bool is_one_port = count_items(ports) == 1;
    if (count == 0)
        count = 1;
    hosts->count = count < HOSTS_MAX ? count : HOSTS_MAX;
    for (size_t i = 0; i < hosts->count; i++) {
        struct candidate *candidate = &hosts->list[i].candidate;
        const char *port = ports;
        take_item(&names, candidate->name, sizeof candidate->name);
        take_item(&addresses, candidate->address, sizeof candidate->address);
        take_item(is_one_port ? &port : &ports, candidate->port, sizeof candidate->port);
    }
}

static size_t random_below(size_t limit) {
    uint32_t random = 0;
    (void)!getrandom(&random, sizeof random, 0);
    return random % limit;
}

static void shuffle_order(struct hosts *hosts) {
    for (size_t i = hosts->count; i > 1; i--) {
        size_t other = random_below(i), kept = hosts->order[i - 1];
        hosts->order[i - 1] = hosts->order[other];
        hosts->order[other] = kept;
    }
}

void hosts_start(struct hosts *hosts) {
    hosts->round = hosts->place = hosts->address = 0;
    hosts->walk++;
    hosts->trouble = NULL;
    for (size_t i = 0; i < hosts->count; i++) {
        hosts->order[i] = i;
        hosts->list[i].is_resolved = false;
    }
    if (hosts->is_shuffled)
        shuffle_order(hosts);
}

static void add_address(struct host *host, const struct addrinfo *found) {
    char *text = host->addresses[host->address_count];
    if (getnameinfo(found->ai_addr, found->ai_addrlen, text, HOSTS_ADDRESS_SIZE, NULL, 0,
                    NI_NUMERICHOST) == 0)
        host->address_count++;
}

static void look_up(struct hosts *hosts, struct host *host) {
    const struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(host->candidate.name, NULL, &wanted, &found);
    if (error != 0) {
        hosts->trouble = gai_strerror(error);
        return;
    }
    size_t first = 0;
    for (const struct addrinfo *next = found; next; next = next->ai_next) {
        if (host->address_count < HOSTS_ADDRESSES_MAX)
            add_address(host, next);
    }
    freeaddrinfo(found);
    if (!hosts->is_shuffled || host->address_count < 2)
        return;
    first = random_below(host->address_count);
    char moved[HOSTS_ADDRESS_SIZE];
    memcpy(moved, host->addresses[0], sizeof moved);
    memcpy(host->addresses[0], host->addresses[first], sizeof moved);
    memcpy(host->addresses[first], moved, sizeof moved);
}

/* A socket, and what was given as hostaddr, has one address, which needs no resolving. */
static void resolve(struct hosts *hosts, struct host *host) {
    if (host->is_resolved)
        return;
    const struct candidate *given = &host->candidate;
    host->is_resolved = true;
    host->address_count = 0;
    if (*given->address || *given->name == '\0' || strchr("/@", *given->name)) {
        memcpy(host->addresses[0], given->address, sizeof given->address);
        host->address_count = 1;
        return;
    }
    look_up(hosts, host);
}

bool hosts_are_same(const struct candidate *one, const struct candidate *other) {
    return strcmp(one->name, other->name) == 0 && strcmp(one->address, other->address) == 0 &&
           strcmp(one->port, other->port) == 0;
}

void hosts_leave_out(struct hosts *hosts, const struct candidate *candidate) {
    size_t i = 0;
    while (i < HOSTS_MAX && !hosts_are_same(&hosts->left_out[i].candidate, candidate))
        i++;
    if (i == HOSTS_MAX)
        i = hosts->left_out_next++ % HOSTS_MAX;
    hosts->left_out[i].candidate = *candidate;
    hosts->left_out[i].until = deadline_in(HOSTS_LEFT_OUT_MS);
    hosts->left_out[i].walk = hosts->walk;
}

/* The first round takes the servers that are not left out; the second takes those that were left
 * out before the walk began. */
static bool is_due(const struct hosts *hosts, const struct candidate *candidate) {
    for (size_t i = 0; i < HOSTS_MAX; i++) {
        if (hosts_are_same(&hosts->left_out[i].candidate, candidate) &&
            deadline_left(hosts->left_out[i].until) > 0)
            return hosts->round == 1 && hosts->left_out[i].walk != hosts->walk;
    }
    return hosts->round == 0;
}

/* The next address of the host that the walk has reached. */
static bool next_address(struct hosts *hosts, struct candidate *candidate) {
    struct host *host = &hosts->list[hosts->order[hosts->place]];
    resolve(hosts, host);
    while (hosts->address < host->address_count) {
        *candidate = host->candidate;
        memcpy(candidate->address, host->addresses[hosts->address++], sizeof candidate->address);
        if (is_due(hosts, candidate))
            return true;
    }
    hosts->address = 0;
    return false;
}

bool hosts_next(struct hosts *hosts, struct candidate *candidate) {
    for (; hosts->round < 2; hosts->round++) {
        for (; hosts->place < hosts->count; hosts->place++) {
            if (next_address(hosts, candidate))
                return true;
        }
        hosts->place = 0;
    }
    return false;
}

static size_t count_addresses(const struct host *host) {
    return host->is_resolved ? host->address_count : 1;
}

size_t hosts_still_to_try(const struct hosts *hosts) {
    if (hosts->round > 0 || hosts->place >= hosts->count)
        return 0;
    size_t count = count_addresses(&hosts->list[hosts->order[hosts->place]]);
    count = count > hosts->address ? count - hosts->address : 0;
    for (size_t place = hosts->place + 1; place < hosts->count; place++)
        count += count_addresses(&hosts->list[hosts->order[place]]);
    return count;
}

size_t hosts_size(const struct hosts *hosts) {
    size_t count = 0;
    for (size_t i = 0; i < hosts->count; i++)
        count += count_addresses(&hosts->list[i]);
    return count;
}

int64_t hosts_renew_at(int64_t now, unsigned seed) {
    return now + RENEW_AFTER_MS + seed % RENEW_SPREAD_MS;
}
