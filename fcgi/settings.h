/* The settings that answers and their limits depend on, whatever the role, database and server are
 * set to. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "db.h"

#include <stddef.h>

enum { SETTINGS_SIZE = 1024 };

struct config;

/* Writes the settings of a session with this access as lines "name=value", with values as SHOW
 * prints them. */
void settings_list(const struct config *config, enum db_access access, char list[SETTINGS_SIZE]);

/* Removes the setting of this name from the list. */
void settings_leave_out(char *list, const char *name);

/* Writes the list as startup options ("-c name=value …") after the given ones. Returns false when
 * they do not all fit. */
__attribute__((warn_unused_result)) bool settings_options(const char *list, const char *given,
                                                          char *options, size_t size);

#endif
