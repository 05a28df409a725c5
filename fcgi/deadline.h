/* Deadlines: points in time on the monotonic clock, in milliseconds. */
#ifndef DEADLINE_H
#define DEADLINE_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_milliseconds(clockid_t clock) {
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The deadline that many milliseconds from now. */
static inline int64_t deadline_in(int64_t milliseconds) {
    return clock_milliseconds(CLOCK_MONOTONIC) + milliseconds;
}

/* Milliseconds left, never negative: fits poll(2). */
static inline int deadline_left(int64_t deadline) {
    int64_t left = deadline - clock_milliseconds(CLOCK_MONOTONIC);
    return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

#endif
