/* How far a standby is behind its primary, told from what it says of itself. */
#ifndef LAG_H
#define LAG_H

#include <stdbool.h>
#include <stdint.h>

enum { LAG_SERVER_SIZE = 128 };

/* One look at a standby. Positions are those of the write-ahead log. */
struct lag_sighting {
    bool is_streaming; /* a receiver is there: received is all that the primary sent */
    uint64_t received;
    uint64_t replayed;
    int64_t now_ms; /* since 1970, as all times here */
    int64_t commit_ms;
};

/* The moment up to which a server was known to have replayed everything. */
struct lag_memory {
    char server[LAG_SERVER_SIZE];
    int64_t fresh_ms;
};

/* Reads the text "received replayed now commit", in which "-" stands for no receiver. */
__attribute__((warn_unused_result)) bool lag_read(const char *text, struct lag_sighting *sighting);

/* Whether all that the earlier look found received has been replayed at the later one. */
bool lag_has_caught_up(const struct lag_sighting *earlier, const struct lag_sighting *later);

void lag_remember(struct lag_memory *memory, const char *server, int64_t fresh_ms);

/* The moment up to which the standby holds all changes: a primary that commits nothing is no lag.
 */
int64_t lag_as_of(struct lag_memory *memory, const char *server,
                  const struct lag_sighting *sighting);

#endif
