/* Turns for long answers: one client cannot occupy all workers of a pool with them. */
#ifndef TURN_H
#define TURN_H

#include <stdbool.h>
#include <stdint.h>

/* One answer's turn. */
struct turn {
    const char *address;  /* the client's; NULL for one without limits */
    int kind;             /* the report's number, below 256; -1 for what is never long */
    bool is_part;         /* parameters leave rows out, so a whole answer may be longer */
    unsigned char length; /* what was known of its kind when it began */
    bool has_grown;
    bool is_taken;
};

/* A client may have half of so many workers at a time, but always one. */
void turn_open(long workers);

/* Before the query runs. Returns false when answers of this kind are known to be long and the
 * client has all of its turns. A client is an IPv4 address or an IPv6 /64, which is what a provider
 * assigns to a subscriber. */
__attribute__((warn_unused_result)) bool turn_begin(struct turn *turn);

/* The answer may become long. Returns false when the client has all of its turns. While no worker
 * knows how long this kind is, waits up to 300 ms for a turn or for that knowledge. */
__attribute__((warn_unused_result)) bool turn_grow(struct turn *turn);

/* After the answer. bytes is its length, or 0 if it was not completed. */
void turn_end(struct turn *turn, uint64_t bytes);

#endif
