/* A worker's end of HTTP: it takes requests one at a time, and sends their answers. */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>

struct http;
struct request;

/* NULL when the process was started neither for FastCGI nor for CGI, or memory is short. */
struct http *http_open(void);
void http_close(struct http *http);

bool http_is_cgi(const struct http *http);

/* Waits for the next request. Returns NULL when it is time to end: after a stop signal, once
 * nothing has come for a second, or after CGI's one request. */
struct request *http_next(struct http *http);

/* Ends the request, whose answer has been sent. Returns false when it did not go out whole. */
bool http_finish(struct http *http);

#endif
