/* By the last commit's time alone, the standby of an idle primary would seem to be behind. */
#include "lag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "16/B374D848": the two halves, in hexadecimal. */
static bool read_position(const char **text, uint64_t *position) {
    char *end;
    uint64_t high = strtoull(*text, &end, 16);
    if (end == *text || *end != '/')
        return false;
    const char *low = end + 1;
    *position = high << 32 | strtoull(low, &end, 16);
    *text = end;
    return end != low;
}

static bool read_time(const char **text, int64_t *milliseconds) {
    char *end;
    *milliseconds = strtoll(*text, &end, 10);
    bool is_number = end != *text;
    *text = end;
    return is_number;
}

bool lag_read(const char *text, struct lag_sighting *sighting) {
    *sighting = (struct lag_sighting){.is_streaming = *text != '-'};
    if (!sighting->is_streaming)
        text++;
    else if (!read_position(&text, &sighting->received))
        return false;
    return read_position(&text, &sighting->replayed) && read_time(&text, &sighting->now_ms) &&
           read_time(&text, &sighting->commit_ms) && *text == '\0';
}

bool lag_has_caught_up(const struct lag_sighting *earlier, const struct lag_sighting *later) {
    return earlier->is_streaming && later->replayed >= earlier->received;
}

void lag_remember(struct lag_memory *memory, const char *server, int64_t fresh_ms) {
    (void)snprintf(memory->server, sizeof memory->server, "%s", server);
    memory->fresh_ms = fresh_ms;
}

int64_t lag_as_of(struct lag_memory *memory, const char *server,
                  const struct lag_sighting *sighting) {
    if (lag_has_caught_up(sighting, sighting))
        lag_remember(memory, server, sighting->now_ms);
    bool is_remembered = strcmp(memory->server, server) == 0;
    return is_remembered && memory->fresh_ms > sighting->commit_ms ? memory->fresh_ms
                                                                   : sighting->commit_ms;
}
