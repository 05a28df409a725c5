/* Accepts connections here rather than in libfcgi, so that every wait is bounded and a stop signal
 * cannot get lost between a check and the wait. */
#include "listener.h"

#include "log.h"
#include "stop.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

enum {
    LISTEN_SOCKET = 0,
    IDLE_SECONDS = 1,   /* how long the socket must be quiet before a stopping worker ends */
    READ_SECONDS = 2,   /* a web server sends its request at once */
    WRITE_SECONDS = 30, /* an answer of which nothing is taken for this long is given up */
};

static void set_timeout(int fd, int option, int seconds) {
    const struct timeval limit = {.tv_sec = seconds};
    (void)setsockopt(fd, SOL_SOCKET, option, &limit, sizeof limit);
}

bool listener_exists(void) {
    int listening = 0;
    socklen_t size = sizeof listening;
    return getsockopt(LISTEN_SOCKET, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 &&
           listening;
}

void listener_open(void) {
    stop_install();
    /* This bounds accept(2). The workers share the socket, and with it the timeout. */
    set_timeout(LISTEN_SOCKET, SO_RCVTIMEO, IDLE_SECONDS);
}

/* libfcgi takes an interrupted write for a broken connection, so stop signals may interrupt nothing
 * but this wait. */
static int wait_for_connection(void) {
    stop_unblock();
    int fd = accept4(LISTEN_SOCKET, NULL, NULL, SOCK_CLOEXEC);
    int error = errno;
    stop_block();
    errno = error;
    return fd;
}

int listener_accept(void) {
    for (;;) {
        int fd = wait_for_connection();
        if (fd >= 0) {
            set_timeout(fd, SO_RCVTIMEO, READ_SECONDS);
            set_timeout(fd, SO_SNDTIMEO, WRITE_SECONDS);
            return fd;
        }
        bool is_idle = errno == EAGAIN || errno == EWOULDBLOCK;
        if (is_idle && stop_is_requested())
            return -1;
        if (!is_idle && errno != EINTR && errno != ECONNABORTED) {
            log_text(LOG_ERROR, "accept", strerror(errno));
            return -1;
        }
    }
}
