/* libpq explains a failed connection only in text meant for people, which is parsed here. */
#include "failure.h"

#include <stddef.h>
#include <string.h>

enum { SQLSTATE_LENGTH = 5 };

/* The closing quote of the name that begins here, or the line's last character if there is none.
 */
static const char *end_of_name(const char *text) {
    const char *close = strchr(text + 1, '"');
    return close ? close : text + strcspn(text, "\n") - 1;
}

/* A line break within a quoted name does not end the line. */
static const char *end_of_line(const char *text) {
    for (; *text && *text != '\n'; text++) {
        if (*text == '"')
            text = end_of_name(text);
    }
    return text;
}

static const char *skip_to(const char *mark, const char *line, const char *end) {
    const char *found = strstr(line, mark);
    return found && found < end ? found + strlen(mark) : line;
}

/* Without "connection to server at … failed: ", and without an SQLSTATE's severity. */
static void copy_cause(const char *line, const char *end, char cause[FAILURE_SIZE]) {
    static const char hidden[] = "\"...\"";
    size_t length = 0;
    line = skip_to(" failed: ", line, end);
    line = skip_to(":  ", line, end);
    for (; line < end && length + sizeof hidden < FAILURE_SIZE; line++) {
        if (*line == '"') {
            memcpy(cause + length, hidden, sizeof hidden - 1);
            length += sizeof hidden - 1;
            line = end_of_name(line);
        } else {
            cause[length++] = *line;
        }
    }
    cause[length] = '\0';
}

void failure_read(const char *message, struct failure *failure) {
    static const char attempt[] = "connection to server ";
    const char *line = message;
    *failure = (struct failure){0};
    copy_cause(message, end_of_line(message), failure->cause);
    for (size_t attempts = 0; *line; line += *line == '\n') {
        const char *end = end_of_line(line);
        if (strncmp(line, attempt, sizeof attempt - 1) == 0) {
            if (attempts++ > 0)
                memcpy(failure->before, failure->cause, FAILURE_SIZE);
            copy_cause(line, end, failure->cause);
        }
        line = end;
    }
}

bool failure_is_sqlstate(const char *cause) {
    return strlen(cause) == SQLSTATE_LENGTH &&
           strspn(cause, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == SQLSTATE_LENGTH;
}

bool failure_is_of_tls(const char *cause) {
    static const char *const words[] = {"SSL", "TLS", "certificate", "private key", "tls_"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strstr(cause, words[i]))
            return true;
    }
    return false;
}
