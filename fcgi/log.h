/* The log: one JSON object per line, with ts, level and event first. */
#ifndef LOG_H
#define LOG_H

struct json_object;

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR, LOG_SILENT };

/* Sets where lines go and from which level on. Before this call, errors go to stderr. */
void log_open(int fd, enum log_level lowest);

/* Begins a line; add members to it and hand it to log_finish, which writes and releases it.
 * NULL when the level is too low: adding to NULL and finishing NULL do nothing. */
struct json_object *log_start(enum log_level level, const char *event);
void log_finish(struct json_object *line);

/* Writes a line with one member, "detail". */
void log_text(enum log_level level, const char *event, const char *detail);

#endif
