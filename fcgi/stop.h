/* TERM, INT and USR1: the signals that tell a worker to end. */
#ifndef STOP_H
#define STOP_H

#include <stdbool.h>

/* Notes these signals from now on, and blocks them. */
void stop_install(void);

/* Lets them interrupt a system call, and blocks them again. */
void stop_unblock(void);
void stop_block(void);

/* Whether one has come. */
bool stop_is_requested(void);

#endif
