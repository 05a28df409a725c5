/* A handler that only sets a flag. It is the one thing that signals and the program share. */
#include "stop.h"

#include <signal.h>
#include <stddef.h>

static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1};
static volatile sig_atomic_t is_requested;

static void request_stop(int number) {
    (void)number;
    is_requested = 1;
}

static void change_mask(int how) {
    sigset_t signals;
    (void)sigemptyset(&signals);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        (void)sigaddset(&signals, numbers[i]);
    (void)sigprocmask(how, &signals, NULL);
}

void stop_install(void) {
    struct sigaction action = {.sa_handler = request_stop}; /* no SA_RESTART: accept must return */
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        (void)sigaction(numbers[i], &action, NULL);
    stop_block();
}

void stop_unblock(void) {
    change_mask(SIG_UNBLOCK);
}

void stop_block(void) {
    change_mask(SIG_BLOCK);
}

bool stop_is_requested(void) {
    return is_requested;
}
