/* Just enough HTTP/1.0 (RFC 1945) for the logger: sends a request, reads the status line. */
#include "http_client.h"

#include "deadline.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool wait_for(int fd, short events, int64_t deadline) {
    struct pollfd ready = {.fd = fd, .events = events};
    return poll(&ready, 1, deadline_left(deadline)) == 1;
}

static int connect_to(const struct sockaddr *address, socklen_t address_size, int64_t deadline) {
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int failure = 0;
    socklen_t size = sizeof failure;
    if (fd < 0)
        return -1;
    if (connect(fd, address, address_size) == 0)
        return fd;
    if (errno == EINPROGRESS && wait_for(fd, POLLOUT, deadline) &&
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 && failure == 0)
        return fd;
    (void)close(fd);
    return -1;
}

/* A container may have only one of the two loopback addresses. */
static int connect_loopback(long port, int64_t deadline) {
    const in_port_t number = htons((uint16_t)port);
    const struct sockaddr_in ipv4 = {
        .sin_family = AF_INET,
        .sin_port = number,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const struct sockaddr_in6 ipv6 = {
        .sin6_family = AF_INET6,
        .sin6_port = number,
        .sin6_addr = IN6ADDR_LOOPBACK_INIT,
    };
    int fd = connect_to((const struct sockaddr *)&ipv4, sizeof ipv4, deadline);
    return fd >= 0 ? fd : connect_to((const struct sockaddr *)&ipv6, sizeof ipv6, deadline);
}

/* Reads to the end, so that the server does not log an aborted request, and keeps the first bytes.
 */
static size_t read_answer(int fd, char *start, size_t size, int64_t deadline) {
    char chunk[1024];
    size_t kept = 0;
    for (;;) {
        if (!wait_for(fd, POLLIN, deadline))
            return 0;
        ssize_t count = recv(fd, chunk, sizeof chunk, 0);
        if (count <= 0)
            return count == 0 ? kept : 0;
        size_t wanted = (size_t)count < size - kept ? (size_t)count : size - kept;
        memcpy(start + kept, chunk, wanted);
        kept += wanted;
    }
}

int http_client_get(long port, const char *path, int64_t deadline, const char **error) {
    char text[256];
    int fd = connect_loopback(port, deadline);
    *error = "nothing listens on APP_PORT";
    if (fd < 0)
        return 0;
    int length =
        snprintf(text, sizeof text,
                 "GET %s HTTP/1.0\r\nHost: localhost\r\nUser-Agent: usage-logger\r\n\r\n", path);
    *error = "no answer in time";
    size_t kept = 0;
    if (send(fd, text, (size_t)length, MSG_NOSIGNAL) == length)
        kept = read_answer(fd, text, sizeof text - 1, deadline);
    (void)close(fd);
    text[kept] = '\0';
    int code = 0;
    if (strncmp(text, "HTTP/1.", 7) == 0 && strlen(text) > 12)
        code = (int)strtol(text + 9, NULL, 10);
    return code;
}
