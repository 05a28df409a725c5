/* The workers of a pool share a file. Byte N says whether answers of kind N are long. Each byte
 * from KINDS_MAX on stands for one turn of one client, and a lock on it takes that turn. The kernel
 * releases the lock when a worker dies. */
#include "turn.h"

#include "deadline.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

enum {
    TURNS_MAX = 128, /* of a client: half of the most workers */
    KINDS_MAX = 256,
    LONG_BYTES = 1024 * 1024,
    WAIT_MS = 300,
    PAUSE_MS = 5,
};

enum length { LENGTH_UNKNOWN, LENGTH_SHORT, LENGTH_LONG };

static const uint64_t clients = (UINT64_C(1) << 55) - 55; /* a prime; offsets have 63 bits */

static long turns;
static int file = -1;
static off_t taken; /* a worker has one answer, so one turn, at a time */

void turn_open(long workers) {
    turns = workers < 2 ? 1 : workers / 2;
    file = open("run/turns", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static enum length read_length(int kind) {
    unsigned char length = LENGTH_UNKNOWN;
    if (kind < 0)
        return LENGTH_SHORT;
    return pread(file, &length, 1, kind) == 1 ? (enum length)length : LENGTH_UNKNOWN;
}

static void note_length(const struct turn *turn, enum length length) {
    const unsigned char byte = (unsigned char)length;
    if (turn->kind >= 0 && turn->length != byte)
        (void)!pwrite(file, &byte, 1, turn->kind);
}

/* False for what is no address. */
static bool identify(const char *address, uint64_t *client) {
    unsigned char bytes[sizeof(struct in6_addr)] = {0};
    if (inet_pton(AF_INET, address, bytes) != 1 && inet_pton(AF_INET6, address, bytes) != 1)
        return false;
    memcpy(client, bytes, sizeof *client);
    *client %= clients;
    return true;
}

static bool lock(short type, off_t offset) {
    struct flock byte = {.l_type = type, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};
    return fcntl(file, F_OFD_SETLK, &byte) == 0;
}

static bool take(struct turn *turn) {
    uint64_t client;
    if (turn->is_taken || !turn->address || file < 0 || !identify(turn->address, &client))
        return true;
    for (long i = 0; i < turns && !turn->is_taken; i++) {
        taken = KINDS_MAX + (off_t)(client * TURNS_MAX) + i;
        turn->is_taken = lock(F_WRLCK, taken);
    }
    return turn->is_taken;
}

bool turn_begin(struct turn *turn) {
    turn->length = (unsigned char)read_length(turn->kind);
    return turn->length != LENGTH_LONG || take(turn);
}

/* A kind that is still unknown at the end of the wait counts as long until an answer shows
 * otherwise. */
static bool wait_for_turn(struct turn *turn) {
    const int64_t deadline = deadline_in(WAIT_MS);
    enum length length;
    while ((length = read_length(turn->kind)) != LENGTH_SHORT && !take(turn)) {
        if (length == LENGTH_UNKNOWN && deadline_left(deadline) > 0) {
            (void)poll(NULL, 0, PAUSE_MS);
            continue;
        }
        note_length(turn, LENGTH_LONG);
        return false;
    }
    turn->has_grown = true;
    return true;
}

bool turn_grow(struct turn *turn) {
    return turn->has_grown || wait_for_turn(turn);
}

void turn_end(struct turn *turn, uint64_t bytes) {
    if (bytes >= LONG_BYTES)
        note_length(turn, LENGTH_LONG);
    else if (bytes > 0 && !turn->is_part)
        note_length(turn, LENGTH_SHORT);
    if (turn->is_taken)
        (void)lock(F_UNLCK, taken);
}
