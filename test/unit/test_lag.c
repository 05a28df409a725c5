/* How far a standby is behind: its text, and what follows from it. */
#include "lag.h"

#include "cases.h"

struct said {
    const char *name, *text;
    bool is_read;
    struct lag_sighting sighting;
};

static const struct said texts[] = {
    {"streaming",
     "16/B374D848 16/B374D800 2000 1000",
     true,
     {true, 0x16B374D848, 0x16B374D800, 2000, 1000}},
    {"no receiver", "- 0/3000148 2000 1000", true, {false, 0, 0x3000148, 2000, 1000}},
    {"the highest position", "FFFFFFFF/FFFFFFFF 0/0 1 0", true, {true, UINT64_MAX, 0, 1, 0}},
    {"nothing", "", false, {0}},
    {"a part", "0/1 0/1 2000", false, {0}},
    {"more", "0/1 0/1 2000 1000 x", false, {0}},
    {"no position", "1 0/1 2000 1000", false, {0}},
    {"half a position", "0/ 0/1 2000 1000", false, {0}},
    {"no number", "- 0/1 now then", false, {0}},
};

static void check_text(void **state) {
    const struct said *said = *state;
    struct lag_sighting found;
    assert_int_equal(lag_read(said->text, &found), said->is_read);
    if (!said->is_read)
        return;
    assert_int_equal(found.is_streaming, said->sighting.is_streaming);
    assert_true(found.received == said->sighting.received);
    assert_true(found.replayed == said->sighting.replayed);
    assert_true(found.now_ms == said->sighting.now_ms);
    assert_true(found.commit_ms == said->sighting.commit_ms);
}

struct judged {
    const char *name;
    const char *remembered; /* server remembered as fresh at 5000 */
    struct lag_sighting sighting;
    int64_t as_of_ms;
};

/* Asked of the server "s" at 9000. */
static const struct judged judged[] = {
    {"all is replayed", "", {true, 20, 20, 9000, 1000}, 9000},
    {"replayed from an archive beyond what was received", "", {true, 20, 30, 9000, 1000}, 9000},
    {"something is under way", "", {true, 20, 19, 9000, 1000}, 1000},
    {"nobody sends", "", {false, 0, 20, 9000, 1000}, 1000},
    {"something is under way, and all was replayed a while ago",
     "s",
     {true, 20, 19, 9000, 1000},
     5000},
    {"no receiver any more", "s", {false, 0, 20, 9000, 1000}, 5000},
    {"a commit since then", "s", {false, 0, 20, 9000, 6000}, 6000},
    {"another server was up to date", "t", {true, 20, 19, 9000, 1000}, 1000},
};

static void check_as_of(void **state) {
    const struct judged *line = *state;
    struct lag_memory memory = {0};
    lag_remember(&memory, line->remembered, 5000);
    assert_true(lag_as_of(&memory, "s", &line->sighting) == line->as_of_ms);
}

struct compared {
    const char *name;
    struct lag_sighting earlier, later;
    bool has_caught_up;
};

static const struct compared compared[] = {
    {"replay has passed", {true, 20, 10, 0, 0}, {true, 40, 21, 0, 0}, true},
    {"replay has reached", {true, 20, 10, 0, 0}, {true, 40, 20, 0, 0}, true},
    {"replay has not reached", {true, 20, 10, 0, 0}, {true, 40, 19, 0, 0}, false},
    {"there was no receiver", {false, 0, 10, 0, 0}, {true, 40, 19, 0, 0}, false},
};

static void check_compared(void **state) {
    const struct compared *line = *state;
    assert_int_equal(lag_has_caught_up(&line->earlier, &line->later), line->has_caught_up);
}

/* A look that finds the standby fresh is remembered. */
static void check_memory(void **state) {
    (void)state;
    struct lag_memory memory = {0};
    const struct lag_sighting fresh = {true, 20, 20, 9000, 1000},
                              paused = {true, 30, 20, 12000, 1000};
    assert_true(lag_as_of(&memory, "s", &fresh) == 9000);
    assert_true(lag_as_of(&memory, "s", &paused) == 9000);
    assert_true(lag_as_of(&memory, "t", &paused) == 1000);
}

int main(void) {
    ADD_CASES(texts, check_text);
    ADD_CASES(judged, check_as_of);
    ADD_CASES(compared, check_compared);
    add_case("what was up to date is remembered", check_memory, NULL);
    return run_cases("lag");
}
