/* The only module that includes libfcgi: takes requests, sends answers, and never lets a cut body
 * look whole. */
#include "http.h"

#include "deadline.h"
#include "json.h"
#include "log.h"

#include <assert.h>
#include <errno.h>
#include <fastcgi.h>
#include <fcgiapp.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    LISTEN_SOCKET = 0,  /* FastCGI Specification, 2.2 */
    IDLE_SECONDS = 1,   /* how long the socket must be quiet before a stopping worker goes */
    READ_SECONDS = 2,   /* a web server sends its request at once */
    WRITE_SECONDS = 30, /* an answer that nothing takes for this long is given up */
    METHOD_LENGTH_MAX = 32,
    INPUT_SIZE = 4096,
    INPUT_BYTES_MAX = 64 * 1024, /* of a request's body; nginx lets 16 kB through */
    HEADER_SIZE = 1024,
    STREAM_SIZE = 32 * 1024, /* how much of a long body leaves at a time */
    WAITED_MS_MAX = 3600000, /* beyond this a request's time of arrival is not believed */
};

/* What has become of the answer so far. */
enum stage {
    STAGE_EMPTY,
    STAGE_BUFFERED,  /* all of the body is in the buffer */
    STAGE_STREAMING, /* the header has left */
    STAGE_COUNTING,  /* only the length is wanted: HEAD, or the first pass for HTTP/1.0 */
    STAGE_SENT,
    STAGE_CUT, /* the connection must be closed without an end */
};

static struct {
    struct request request;
    FCGX_Request fastcgi;
    enum stage stage;
    const struct entity *entity;
    bool streamable; /* the client understands a body without a length: HTTP/1.1 */
    bool has_length; /* declared_length was found by counting */
    uint64_t declared_length;
    size_t buffered;
    char buffer[HTTP_BUFFER_SIZE];
} connection;

static bool is_cgi;
static bool cgi_answered;
static volatile sig_atomic_t stopping;
static sigset_t stop_signals;

static void request_stop(int number) {
    (void)number;
    stopping = 1;
}

/* libfcgi takes an interrupted write for a broken connection, so the signals that end a worker are
 * let in only while it waits for a connection. */
static void install_signals(void) {
    static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1};
    struct sigaction action = {.sa_handler = request_stop}; /* no SA_RESTART: accept must return */
    (void)sigemptyset(&stop_signals);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        (void)sigaddset(&stop_signals, numbers[i]);
        (void)sigaction(numbers[i], &action, NULL);
    }
    (void)sigprocmask(SIG_BLOCK, &stop_signals, NULL);
}

static void set_timeout(int fd, int option, int seconds) {
    const struct timeval limit = {.tv_sec = seconds};
    (void)setsockopt(fd, SOL_SOCKET, option, &limit, sizeof limit);
}

bool http_open(void) {
    int listening = 0;
    socklen_t size = sizeof listening;
    is_cgi =
        getsockopt(LISTEN_SOCKET, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || !listening;
    if (is_cgi)
        return getenv("REQUEST_METHOD") != NULL;
    if (FCGX_Init() != 0)
        return false;
    install_signals();
    /* Bounds accept(2), which waits on behalf of one worker at a time. */
    set_timeout(LISTEN_SOCKET, SO_RCVTIMEO, IDLE_SECONDS);
    return true;
}

bool http_is_cgi(void) {
    return is_cgi;
}

bool http_is_stopping(void) {
    return stopping;
}

/* The next connection, or -1 when the worker is to end. */
static int accept_connection(void) {
    for (;;) {
        (void)sigprocmask(SIG_UNBLOCK, &stop_signals, NULL);
        int fd = accept4(LISTEN_SOCKET, NULL, NULL, SOCK_CLOEXEC);
        int error = errno;
        (void)sigprocmask(SIG_BLOCK, &stop_signals, NULL);
        if (fd >= 0)
            return fd;
        bool idle = error == EAGAIN || error == EWOULDBLOCK;
        if (idle && stopping)
            return -1;
        if (!idle && error != EINTR && error != ECONNABORTED) {
            log_text(LOG_ERROR, "accept", strerror(error));
            return -1;
        }
    }
}

/* Reads what comes as the request's body, which no route uses. A client that is still sending when
 * the connection closes takes a whole answer for a failed one (EPIPE), as cgi-fcgi does. */
static bool read_body_to_end(void) {
    char ignored[INPUT_SIZE];
    for (size_t left = INPUT_BYTES_MAX; left >= sizeof ignored; left -= sizeof ignored) {
        if (FCGX_GetStr(ignored, sizeof ignored, connection.fastcgi.in) < (int)sizeof ignored)
            return FCGX_GetError(connection.fastcgi.in) == 0;
    }
    return false;
}

/* libfcgi would first wait for the web server to close its side, which a TCP socket needs and a
 * Unix one does not. */
static void close_connection(void) {
    FCGX_Free(&connection.fastcgi, 0);
    (void)close(connection.fastcgi.ipcFd);
}

/* Accepting here rather than in libfcgi bounds every read and write of the connection, and lets no
 * stop signal slip between a check and the wait: for that the two members of FCGX_Request below
 * are set by hand. */
static bool accept_fastcgi(void) {
    for (;;) {
        int fd = accept_connection();
        if (fd < 0)
            return false;
        set_timeout(fd, SO_RCVTIMEO, READ_SECONDS);
        set_timeout(fd, SO_SNDTIMEO, WRITE_SECONDS);
        /* With no socket to accept on, libfcgi reports a malformed request instead of waiting. */
        (void)FCGX_InitRequest(&connection.fastcgi, -1, 0);
        connection.fastcgi.ipcFd = fd;
        connection.fastcgi.keepConnection = 1; /* else libfcgi closes it before the first read */
        /* With nothing behind FCGI_ROLE, libfcgi's own parameter, there was silence, which it does
         * not report. */
        if (FCGX_Accept_r(&connection.fastcgi) == 0 && connection.fastcgi.envp[1] &&
            read_body_to_end())
            return true;
        close_connection();
        log_text(LOG_WARNING, "malformed_request", "a connection did not speak FastCGI");
    }
}

static const char *parameter(const char *name) {
    const char *value = is_cgi ? getenv(name) : FCGX_GetParam(name, connection.fastcgi.envp);
    return value && *value ? value : NULL;
}

static const char *parameter_or(const char *name, const char *otherwise) {
    const char *value = parameter(name);
    return value ? value : otherwise;
}

static enum http_method parse_method(const char *name) {
    if (strcmp(name, "GET") == 0)
        return HTTP_GET;
    if (strcmp(name, "HEAD") == 0)
        return HTTP_HEAD;
    return strcmp(name, "OPTIONS") == 0 ? HTTP_OPTIONS : HTTP_OTHER;
}

/* SCRIPT_NAME and PATH_INFO together are the path (RFC 3875, 4.1.5); without either, the part of
 * REQUEST_URI before the query is. */
static void read_path(struct request *request) {
    const char *script = parameter_or("SCRIPT_NAME", "");
    const char *info = parameter_or("PATH_INFO", "");
    (void)snprintf(request->path, sizeof request->path, "%s%s", script, info);
    if (*request->path)
        return;
    const char *uri = parameter_or("REQUEST_URI", "/");
    (void)snprintf(request->path, sizeof request->path, "%.*s", (int)strcspn(uri, "?"), uri);
}

/* The web server's id for the request; one of our own where there is none that is fit to log. */
static void read_id(struct request *request) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789._-";
    const char *id = parameter_or("HTTP_X_REQUEST_ID", "");
    size_t length = strlen(id);
    if (length > 0 && length < HTTP_ID_SIZE && strspn(id, allowed) == length) {
        memcpy(request->id, id, length + 1);
        return;
    }
    uint64_t random = 0;
    (void)!getrandom(&random, sizeof random, 0);
    (void)snprintf(request->id, sizeof request->id, "%016llx", (unsigned long long)random);
}

/* nginx stamps REQUEST_MSEC ("1700000000.123") when it has read the request: what has passed since
 * was spent waiting for a worker. */
static int64_t read_waited(void) {
    const char *stamp = parameter("REQUEST_MSEC");
    if (!stamp)
        return 0;
    double waited = (double)clock_milliseconds(CLOCK_REALTIME) - strtod(stamp, NULL) * 1000;
    return waited > 0 && waited < WAITED_MS_MAX ? (int64_t)waited : 0; /* and 0 for no number */
}

struct request *http_accept(void) {
    if (is_cgi ? cgi_answered : !accept_fastcgi())
        return NULL;
    cgi_answered = true;
    connection.stage = STAGE_EMPTY;
    connection.has_length = false;
    connection.streamable = strcmp(parameter_or("SERVER_PROTOCOL", "HTTP/1.1"), "HTTP/1.0") != 0;

    struct request *request = &connection.request;
    *request = (struct request){.status = STATUS_INTERNAL_ERROR};
    const char *method = parameter_or("REQUEST_METHOD", "GET");
    size_t letters = strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-");
    request->method_name = letters <= METHOD_LENGTH_MAX && !method[letters] ? method : "?";
    request->method = parse_method(method);
    request->query = parameter_or("QUERY_STRING", "");
    request->accept = parameter("HTTP_ACCEPT");
    request->if_none_match = parameter("HTTP_IF_NONE_MATCH");
    request->waited_ms = read_waited();
    read_path(request);
    read_id(request);
    return request;
}

/* Writes all of it. An interruption is none by a signal of ours (those are blocked): a process that
 * was stopped and goes on sees one too. */
static bool write_parts(int fd, struct iovec *parts, size_t count) {
    while (count > 0) {
        ssize_t written = writev(fd, parts, (int)count);
        if (written < 0 && errno != EINTR)
            return false;
        size_t left = written < 0 ? 0 : (size_t)written;
        while (count > 0 && left >= parts->iov_len) {
            left -= parts->iov_len;
            parts++;
            count--;
        }
        if (count > 0) {
            parts->iov_base = (char *)parts->iov_base + left;
            parts->iov_len -= left;
        }
    }
    return true;
}

static FCGI_Header record_header(unsigned char type, size_t length) {
    unsigned id = (unsigned)connection.fastcgi.requestId;
    return (FCGI_Header){
        .version = FCGI_VERSION_1,
        .type = type,
        .requestIdB1 = (unsigned char)(id >> 8),
        .requestIdB0 = (unsigned char)id,
        .contentLengthB1 = (unsigned char)(length >> 8),
        .contentLengthB0 = (unsigned char)length,
    };
}

/* Records are written here rather than through libfcgi's stream, which sends 8 kB at a time: a
 * whole answer leaves at once, with the end-of-request record that tells the web server so. */
static bool put_records(struct iovec header, const char *body, size_t length, bool is_last) {
    const struct {
        FCGI_Header end_of_output;
        FCGI_EndRequestRecord end_of_request;
    } end = {record_header(FCGI_STDOUT, 0),
             {record_header(FCGI_END_REQUEST, sizeof(FCGI_EndRequestBody)),
              {.protocolStatus = FCGI_REQUEST_COMPLETE}}};
    do {
        size_t chunk = length < FCGI_MAX_LENGTH ? length : FCGI_MAX_LENGTH;
        FCGI_Header of_header = record_header(FCGI_STDOUT, header.iov_len);
        FCGI_Header of_body = record_header(FCGI_STDOUT, chunk);
        struct iovec parts[5];
        size_t count = 0;
        if (header.iov_len > 0) {
            parts[count++] = (struct iovec){&of_header, sizeof of_header};
            parts[count++] = header;
        }
        if (chunk > 0) {
            parts[count++] = (struct iovec){&of_body, sizeof of_body};
            parts[count++] = (struct iovec){(void *)body, chunk};
        }
        if (is_last && chunk == length)
            parts[count++] = (struct iovec){(void *)&end, sizeof end};
        if (!write_parts(connection.fastcgi.ipcFd, parts, count))
            return false;
        header.iov_len = 0;
        body += chunk;
        length -= chunk;
    } while (length > 0);
    return true;
}

/* The header, if there is one, and a part of the body; is_last with the end of it. */
static bool put(struct iovec header, const char *body, size_t length, bool is_last) {
    if (!is_cgi)
        return put_records(header, body, length, is_last);
    return fwrite(header.iov_base, 1, header.iov_len, stdout) == header.iov_len &&
           fwrite(body, 1, length, stdout) == length;
}

static void add_text(struct iovec *header, const char *text) {
    size_t length = strlen(text);
    assert(length <= HEADER_SIZE - header->iov_len);
    memcpy((char *)header->iov_base + header->iov_len, text, length);
    header->iov_len += length;
}

/* The value is all that is not ours: it has been checked by whoever made it. */
static void add_field(struct iovec *header, const char *before, const char *value,
                      const char *after) {
    add_text(header, before);
    add_text(header, value);
    add_text(header, after);
    add_text(header, "\r\n");
}

static bool is_given(const char *text) {
    return text && *text;
}

static void add_entity(struct iovec *header, const struct entity *entity) {
    if (is_given(entity->content_type))
        add_field(header, "Content-Type: ", entity->content_type, "");
    if (is_given(entity->file_name))
        add_field(header, "Content-Disposition: attachment; filename=\"", entity->file_name, "\"");
    if (is_given(entity->next))
        add_field(header, "Link: <", entity->next, ">; rel=\"next\"");
    if (is_given(entity->tag)) {
        add_field(header, "ETag: \"", entity->tag, "\"");
        add_field(header, "Vary: ", "Accept, Accept-Encoding", ""); /* nginx compresses */
    }
    if (is_given(entity->as_of))
        add_field(header, "Data-As-Of: ", entity->as_of, "");
    /* Every answer is checked with the database before it is used again. */
    add_field(header, "Cache-Control: ", is_given(entity->tag) ? "no-cache" : "no-store", "");
}

/* The header, up to the empty line; a NULL length leaves Content-Length out. */
static struct iovec make_header(const struct request *request, const struct entity *entity,
                                const uint64_t *length) {
    static char text[HEADER_SIZE];
    struct iovec header = {text, 0};
    char line[64];
    (void)snprintf(line, sizeof line, "%d %s", status_code(request->status),
                   status_title(request->status));
    add_field(&header, "Status: ", line, "");
    if (length) {
        (void)snprintf(line, sizeof line, "%llu", (unsigned long long)*length);
        add_field(&header, "Content-Length: ", line, "");
    }
    if (status_is_temporary(request->status))
        add_field(&header, "Retry-After: ", "1", "");
    if (request->status == STATUS_METHOD_NOT_ALLOWED || request->status == STATUS_NO_CONTENT)
        add_field(&header, "Allow: ", "GET, HEAD, OPTIONS", "");
    add_entity(&header, entity);
    add_text(&header, "\r\n");
    return header;
}

/* Ends the answer with what is left of its body. */
static void put_last(struct iovec header, const char *body, size_t length) {
    connection.stage = put(header, body, length, true) ? STAGE_SENT : STAGE_CUT;
}

/* An answer whose body is all there: header and body at once. */
static void send_whole(struct request *request, const struct entity *entity, const char *body,
                       size_t length) {
    const uint64_t body_length = length;
    bool bodiless = request->status == STATUS_NO_CONTENT || request->status == STATUS_NOT_MODIFIED;
    request->body_bytes = request->method == HTTP_HEAD ? 0 : length;
    put_last(make_header(request, entity, bodiless ? NULL : &body_length), body,
             request->body_bytes);
}

void http_start_body(struct request *request, const struct entity *entity) {
    request->status = STATUS_OK;
    request->body_bytes = 0;
    connection.stage = STAGE_BUFFERED;
    connection.buffered = 0;
    connection.entity = entity;
}

/* The body has outgrown the buffer: from here on it is streamed or, where it may not be, counted.
 */
static bool start_stream(const struct request *request) {
    if (request->method == HTTP_HEAD || (!connection.streamable && !connection.has_length)) {
        connection.stage = STAGE_COUNTING;
        return true;
    }
    connection.stage = STAGE_STREAMING;
    const uint64_t *length = connection.has_length ? &connection.declared_length : NULL;
    struct iovec header = make_header(request, connection.entity, length);
    return put(header, connection.buffer, connection.buffered, false);
}

/* Sends what the buffer holds, and what is too large for it as it is. */
static bool stream(const char *data, size_t length) {
    const struct iovec none = {"", 0};
    if (!put(none, connection.buffer, connection.buffered, false))
        return false;
    connection.buffered = 0;
    return length <= STREAM_SIZE || put(none, data, length, false);
}

static bool cut(void) {
    connection.stage = STAGE_CUT;
    return false;
}

bool http_write(struct request *request, const char *data, size_t length) {
    request->body_bytes += length;
    if (connection.stage == STAGE_BUFFERED &&
        length > sizeof connection.buffer - connection.buffered) {
        if (!start_stream(request))
            return cut();
        connection.buffered = 0;
    }
    if (connection.stage == STAGE_COUNTING)
        return true;
    if (connection.stage == STAGE_STREAMING) {
        if (connection.has_length && request->body_bytes > connection.declared_length)
            return cut();
        if (connection.buffered + length > STREAM_SIZE && !stream(data, length))
            return cut();
        if (length > STREAM_SIZE)
            return true;
    } else if (connection.stage != STAGE_BUFFERED) {
        return cut();
    }
    memcpy(connection.buffer + connection.buffered, data, length);
    connection.buffered += length;
    return true;
}

bool http_end_body(struct request *request) {
    const struct iovec none = {"", 0};
    if (connection.stage == STAGE_BUFFERED) {
        send_whole(request, connection.entity, connection.buffer, connection.buffered);
    } else if (connection.stage == STAGE_STREAMING) {
        if (connection.has_length && request->body_bytes != connection.declared_length)
            return cut();
        put_last(none, connection.buffer, connection.buffered);
    } else if (connection.stage == STAGE_COUNTING && request->method == HTTP_HEAD) {
        const uint64_t *length = connection.streamable ? NULL : &request->body_bytes;
        put_last(make_header(request, connection.entity, length), "", 0);
        request->body_bytes = 0;
    } else if (connection.stage == STAGE_COUNTING) {
        connection.has_length = true;
        connection.declared_length = request->body_bytes;
        return true;
    }
    return false;
}

const char *http_body(size_t *length) {
    *length = connection.buffered;
    return connection.stage == STAGE_BUFFERED ? connection.buffer : NULL;
}

bool http_has_left(void) {
    return connection.stage >= STAGE_STREAMING && connection.stage != STAGE_COUNTING;
}

void http_send_body(struct request *request, const struct entity *entity, const char *body,
                    size_t length) {
    request->status = STATUS_OK;
    send_whole(request, entity, body, length);
}

void http_send_options(struct request *request) {
    const struct entity none = {0};
    request->status = STATUS_NO_CONTENT;
    send_whole(request, &none, "", 0);
}

void http_send_not_modified(struct request *request, const char *tag, const char *as_of) {
    const struct entity unchanged = {.tag = tag, .as_of = as_of};
    request->status = STATUS_NOT_MODIFIED;
    send_whole(request, &unchanged, "", 0);
}

void http_send_text(struct request *request, enum status status, const char *text) {
    const struct entity plain = {.content_type = "text/plain"};
    request->status = status;
    send_whole(request, &plain, text, strlen(text));
}

void http_send_problem(struct request *request, enum status status, const char *detail) {
    request->status = status;
    if (http_has_left()) {
        connection.stage = STAGE_CUT;
        return;
    }
    char instance[HTTP_ID_SIZE + 16];
    (void)snprintf(instance, sizeof instance, "urn:request:%s", request->id);
    struct json_object *problem = json_create();
    json_add_string(problem, "type", "about:blank");
    json_add_string(problem, "title", status_title(status));
    json_add_integer(problem, "status", status_code(status));
    if (detail)
        json_add_string(problem, "detail", detail);
    json_add_string(problem, "instance", instance);
    size_t length;
    const char *text = json_text(problem, &length);
    const struct entity document = {.content_type = "application/problem+json"};
    send_whole(request, &document, text, length);
    json_release(problem);
}

/* FNV-1a (Fowler, Noll, Vo) over the texts and their closing NULs. */
void http_make_tag(char tag[HTTP_TAG_SIZE], const char *const *texts, size_t count) {
    uint64_t state = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < count; i++) {
        const char *text = texts[i];
        do
            state = (state ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
        while (*text++);
    }
    (void)snprintf(tag, HTTP_TAG_SIZE, "%016" PRIx64, state);
}

bool http_tag_matches(const struct request *request, const char *tag) {
    const char *list = request->if_none_match;
    if (!list)
        return false;
    if (strcmp(list, "*") == 0)
        return true;
    size_t length = strlen(tag);
    for (const char *found = list; (found = strstr(found, tag)); found += length) {
        if (found > list && found[-1] == '"' && found[length] == '"')
            return true;
    }
    return false;
}

static bool finish_cgi(void) {
    return fflush(stdout) == 0 && connection.stage == STAGE_SENT;
}

/* A cut answer goes without an end-of-request record, so that it cannot be taken for whole. */
static bool finish_fastcgi(void) {
    close_connection();
    return connection.stage == STAGE_SENT;
}

bool http_finish(void) {
    return is_cgi ? finish_cgi() : finish_fastcgi();
}
