/* How far a standby is behind its primary, derived from what the standby reports. */
#ifndef LAG_H
#define LAG_H

#include <stdbool.h>
#include <stdint.h>

enum { LAG_SERVER_SIZE = 128 };

/* One look at a standby. Positions are in the write-ahead log. */
struct lag_sighting {
    bool is_streaming; /* a WAL receiver runs: received is all that the primary has sent */
    uint64_t received;
    uint64_t replayed;
    int64_t now_ms; /* since 1970, as all times here */
    int64_t commit_ms;
};

/* The time up to which a server is known to have replayed everything. */
struct lag_memory {
    char server[LAG_SERVER_SIZE];
    int64_t fresh_ms;
};

/* Reads the text "received replayed now commit", where "-" stands for no receiver. */
__attribute__((warn_unused_result)) bool lag_read(const char *text, struct lag_sighting *sighting);

/* Whether everything that had been received at the earlier look has been replayed by the later one.
 */
bool lag_has_caught_up(const struct lag_sighting *earlier, const struct lag_sighting *later);

void lag_remember(struct lag_memory *memory, const char *server, int64_t fresh_ms);

/* The time up to which the standby holds all changes. A primary that commits nothing causes no lag.
 */
int64_t lag_as_of(struct lag_memory *memory, const char *server,
                  const struct lag_sighting *sighting);

#endif
