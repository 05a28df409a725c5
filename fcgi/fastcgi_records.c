/* FastCGI records; the only file that includes libfcgi. libfcgi reads them. They are written here,
 * because libfcgi sends 8 kB at a time: a whole answer leaves in one call of writev(2), together
 * with the record that ends the request. */
#include "fastcgi_records.h"

#include "header.h"

#include <errno.h>
#include <fastcgi.h>
#include <fcgiapp.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    INPUT_SIZE = 4096,
    INPUT_BYTES_MAX = 64 * 1024, /* of a request's body; nginx lets 16 kB through */
    PARTS_MAX = 5,
};

struct fastcgi {
    FCGX_Request request;
};

struct fastcgi *fastcgi_create(void) {
    return FCGX_Init() == 0 ? calloc(1, sizeof(struct fastcgi)) : NULL;
}

void fastcgi_release(struct fastcgi *fastcgi) {
    free(fastcgi);
}

/* Reads the request's body, which no route uses. If the connection closed while a client still
 * sent, the client would take a whole answer for a failed one (EPIPE); cgi-fcgi is such a client.
 */
static bool read_body_to_end(struct fastcgi *fastcgi) {
    char ignored[INPUT_SIZE];
    for (size_t left = INPUT_BYTES_MAX; left >= sizeof ignored; left -= sizeof ignored) {
        if (FCGX_GetStr(ignored, sizeof ignored, fastcgi->request.in) < (int)sizeof ignored)
            return FCGX_GetError(fastcgi->request.in) == 0;
    }
    return false;
}

/* Two members are set by hand because libfcgi did not accept the connection itself. */
bool fastcgi_read(struct fastcgi *fastcgi, int fd) {
    FCGX_Request *request = &fastcgi->request;
    /* With -1 as its socket, libfcgi reports a malformed request instead of accepting another. */
    (void)FCGX_InitRequest(request, -1, 0);
    request->ipcFd = fd;
    request->keepConnection = 1; /* otherwise libfcgi closes the connection before it reads */
    /* libfcgi does not report a connection on which nothing came. The request then has no parameter
     * but FCGI_ROLE, which libfcgi adds. */
    if (FCGX_Accept_r(request) == 0 && request->envp[1] && read_body_to_end(fastcgi))
        return true;
    fastcgi_close(fastcgi);
    return false;
}

const char *fastcgi_parameter(const struct fastcgi *fastcgi, const char *name) {
    return FCGX_GetParam(name, fastcgi->request.envp);
}

/* Skips what has been written; returns how many parts are left. */
static size_t advance(struct iovec **parts, size_t count, size_t written) {
    while (count > 0 && written >= (*parts)->iov_len) {
        written -= (*parts)->iov_len;
        (*parts)++;
        count--;
    }
    if (count > 0) {
        (*parts)->iov_base = (char *)(*parts)->iov_base + written;
        (*parts)->iov_len -= written;
    }
    return count;
}

/* Our own signals are blocked; EINTR comes when the process was stopped (SIGSTOP) and continued. */
static bool write_parts(int fd, struct iovec *parts, size_t count) {
    while (count > 0) {
        ssize_t written = writev(fd, parts, (int)count);
        if (written < 0 && errno != EINTR)
            return false;
        count = advance(&parts, count, written < 0 ? 0 : (size_t)written);
    }
    return true;
}

static FCGI_Header record_header(const struct fastcgi *fastcgi, unsigned char type, size_t length) {
    unsigned id = (unsigned)fastcgi->request.requestId;
    return (FCGI_Header){
        .version = FCGI_VERSION_1,
        .type = type,
        .requestIdB1 = (unsigned char)(id >> 8),
        .requestIdB0 = (unsigned char)id,
        .contentLengthB1 = (unsigned char)(length >> 8),
        .contentLengthB0 = (unsigned char)length,
    };
}

/* The records that end the output and the request. */
struct end {
    FCGI_Header of_output;
    FCGI_EndRequestRecord of_request;
};

static struct end make_end(const struct fastcgi *fastcgi) {
    return (struct end){
        .of_output = record_header(fastcgi, FCGI_STDOUT, 0),
        .of_request = {record_header(fastcgi, FCGI_END_REQUEST, sizeof(FCGI_EndRequestBody)),
                       {.protocolStatus = FCGI_REQUEST_COMPLETE}},
    };
}

/* A record of output, as far as one can hold it; nothing when there is nothing to send. */
static size_t add_record(struct iovec *parts, FCGI_Header *record, const char *data,
                         size_t length) {
    if (length == 0)
        return 0;
    parts[0] = (struct iovec){record, sizeof *record};
    parts[1] = (struct iovec){(void *)data, length};
    return 2;
}

bool fastcgi_write(const struct fastcgi *fastcgi, const struct header *header, const char *body,
                   size_t length, bool is_last) {
    struct end end = make_end(fastcgi);
    size_t header_length = header ? header->length : 0;
    do {
        size_t chunk = length < FCGI_MAX_LENGTH ? length : FCGI_MAX_LENGTH;
        FCGI_Header of_header = record_header(fastcgi, FCGI_STDOUT, header_length);
        FCGI_Header of_body = record_header(fastcgi, FCGI_STDOUT, chunk);
        struct iovec parts[PARTS_MAX];
        size_t count = 0;
        if (header)
            count += add_record(parts, &of_header, header->text, header_length);
        count += add_record(parts + count, &of_body, body, chunk);
        if (is_last && chunk == length)
            parts[count++] = (struct iovec){&end, sizeof end};
        if (!write_parts(fastcgi->request.ipcFd, parts, count))
            return false;
        header_length = 0;
        body += chunk;
        length -= chunk;
    } while (length > 0);
    return true;
}

/* libfcgi's own way to close waits for the web server to close its side first. A TCP socket needs
 * that; a Unix socket does not. */
void fastcgi_close(struct fastcgi *fastcgi) {
    FCGX_Free(&fastcgi->request, 0);
    (void)close(fastcgi->request.ipcFd);
}
