/* Writes each line whole, and never waits for a reader. */
#include "log.h"

#include "deadline.h"
#include "json.h"
#include "json_escape.h"
#include "timestamp.h"

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    ESCAPE_LENGTH = sizeof "\\u0000" - 1,
    PIPE_SIZE = 256 * 1024, /* a thousand lines, should the reader be slow; 64 kB by default */
};

static const char *const level_names[] = {"debug", "info", "warning", "error"};
static int output = STDERR_FILENO;
static enum log_level lowest_level = LOG_INFO;

void log_open(int fd, enum log_level lowest) {
    output = fd;
    lowest_level = lowest;
    (void)fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);
}

struct json_object *log_start(enum log_level level, const char *event) {
    if (level < lowest_level)
        return NULL;
    char timestamp[TIMESTAMP_SIZE];
    timestamp_write(clock_milliseconds(CLOCK_REALTIME), timestamp);
    struct json_object *line = json_create();
    json_add_string(line, "ts", timestamp);
    json_add_string(line, "level", level_names[level]);
    json_add_string(line, "event", event);
    return line;
}

/* The code point of a control character or line separator that stands in JSON as it is, and the
 * length of its UTF-8; 0 where the text starts with anything else. */
static unsigned control_character(const unsigned char *text, size_t *length) {
    *length = text[0] == 0x7f ? 1 : text[0] == 0xc2 ? 2 : 3;
    if (text[0] == 0x7f)
        return 0x7f;
    if (text[0] == 0xc2 && text[1] < 0xa0)
        return text[1];
    if (text[0] == 0xe2 && text[1] == 0x80 && (text[2] == 0xa8 || text[2] == 0xa9))
        return 0x2000 | (text[2] & 0x3f);
    return 0;
}

static bool has_control_characters(const char *text) {
    size_t length;
    for (; *text; text++) {
        const unsigned char *character = (const unsigned char *)text;
        if (*character >= 0x7f && control_character(character, &length)) /* most lines are ASCII */
            return true;
    }
    return false;
}

/* A copy in which they are escaped: a terminal obeys them, and some readers end a line there. */
static char *escape_control_characters(const char *text, size_t *length) {
    char *copy = json_reallocate(NULL, *length * ESCAPE_LENGTH + 1);
    *length = 0;
    for (size_t step = 1; *text; text += step) {
        unsigned code = control_character((const unsigned char *)text, &step);
        if (code) {
            *length += (size_t)snprintf(copy + *length, ESCAPE_LENGTH + 1, "\\u%04x", code);
        } else {
            copy[(*length)++] = *text;
            step = 1;
        }
    }
    return copy;
}

void log_finish(struct json_object *line) {
    if (!line)
        return;
    size_t length;
    const char *text = json_text(line, &length);
    char *escaped = has_control_characters(text) ? escape_control_characters(text, &length) : NULL;
    const struct iovec parts[] = {{escaped ? escaped : (void *)text, length}, {"\n", 1}};
    /* A reader that stops must not stop the service: its lines are dropped. */
    struct pollfd ready = {.fd = output, .events = POLLOUT};
    if (poll(&ready, 1, 0) == 1 && writev(output, parts, 2) < 0)
        output = STDERR_FILENO;
    free(escaped);
    json_release(line);
}

void log_text(enum log_level level, const char *event, const char *detail) {
    struct json_object *line = log_start(level, event);
    json_add_string(line, "detail", detail);
    log_finish(line);
}
