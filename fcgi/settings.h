/* The settings that answers and their limits depend on, whatever role, database and server say. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "db.h"

#include <stddef.h>

enum { SETTINGS_SIZE = 1024 };

struct config;

/* The settings of a session with this access, as lines "name=value" in which values look as SHOW
 * prints them. */
void settings_list(const struct config *config, enum db_access access, char list[SETTINGS_SIZE]);

/* The list without the setting of this name. */
void settings_leave_out(char *list, const char *name);

/* The list as startup options ("-c name=value …") behind those given. False when there is no room
 * for all. */
__attribute__((warn_unused_result)) bool settings_options(const char *list, const char *given,
                                                          char *options, size_t size);

#endif
