/* Writes log lines whole and never waits for whoever reads them. */
#include "log.h"

#include "json.h"

#include <poll.h>
#include <stdio.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"debug", "info", "warning", "error"};
static int output = STDERR_FILENO;
static enum log_level lowest_level = LOG_INFO;

void log_open(int fd, enum log_level lowest) {
    output = fd;
    lowest_level = lowest;
}

struct json_object *log_start(enum log_level level, const char *event) {
    static time_t second = -1;
    static char seconds[32]; /* written once a second: it was a fifth of a line's cost */
    if (level < lowest_level)
        return NULL;
    struct timespec now;
    struct tm utc;
    char timestamp[48];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != second) {
        second = now.tv_sec;
        (void)strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", gmtime_r(&second, &utc));
    }
    (void)snprintf(timestamp, sizeof timestamp, "%s.%03ldZ", seconds, now.tv_nsec / 1000000);

    struct json_object *line = json_create();
    json_add_string(line, "ts", timestamp);
    json_add_string(line, "level", level_names[level]);
    json_add_string(line, "event", event);
    return line;
}

void log_finish(struct json_object *line) {
    if (!line)
        return;
    size_t length;
    const char *text = json_text(line, &length);
    const struct iovec parts[] = {{(void *)text, length}, {"\n", 1}};
    /* A reader that stopped reading must not stop the service: its lines are dropped. */
    struct pollfd ready = {.fd = output, .events = POLLOUT};
    if (poll(&ready, 1, 0) == 1 && writev(output, parts, 2) < 0)
        output = STDERR_FILENO;
    json_release(line);
}

void log_text(enum log_level level, const char *event, const char *detail) {
    struct json_object *line = log_start(level, event);
    json_add_string(line, "detail", detail);
    log_finish(line);
}
