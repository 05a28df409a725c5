/* Points in time as text: "2026-11-28T17:09:07.123Z" (RFC 3339, UTC). */
#ifndef TIMESTAMP_H
#define TIMESTAMP_H

#include <stdint.h>

enum { TIMESTAMP_SIZE = 40 };

/* Writes a time in milliseconds since 1970, which is not negative. */
void timestamp_write(int64_t milliseconds, char timestamp[TIMESTAMP_SIZE]);

#endif
