/* libpq's own variables: one table of what each may be. */
#include "libpq_variables.h"

#include "environment.h"
#include "problems.h"
#include "values.h"

#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct variable {
    const char *name;
    bool is_list;
    bool (*is_valid)(const char *value); /* NULL: any value is */
    const char *wanted;
    const char *needs; /* libpq reads it only if this one is set too */
};

static bool is_sslmode(const char *value) {
    static const char *const modes[] = {"disable",   "allow",       "prefer", "require",
                                        "verify-ca", "verify-full", NULL};
    return values_choice(modes, value) >= 0;
}

static bool is_session(const char *value) {
    static const char *const sessions[] = {"any",     "read-write",     "read-only", "primary",
                                           "standby", "prefer-standby", NULL};
    return values_choice(sessions, value) >= 0;
}

static bool is_preference(const char *value) {
    static const char *const preferences[] = {"disable", "prefer", "require", NULL};
    return values_choice(preferences, value) >= 0;
}

static bool is_balance(const char *value) {
    static const char *const balances[] = {"disable", "random", NULL};
    return values_choice(balances, value) >= 0;
}

static bool are_ports(const char *value) {
    return values_are_ports(value, true);
}

/* "system" means OpenSSL's own certificate authorities (libpq 16). */
static bool is_root_certificate(const char *value) {
    return strcmp(value, "system") == 0 || values_is_readable_file(value);
}

/* May also name a key in an engine, as ENGINE:KEY. */
static bool is_key(const char *value) {
    return (*value != '/' && strchr(value, ':')) || values_is_private_key(value);
}

static const struct variable variables[] = {
    {"PGHOST", true, values_are_hosts,
     "a host name, an address or a socket's folder, or a list of them with commas", NULL},
    {"PGHOSTADDR", true, values_are_addresses, "an IP address, or a list of them with commas",
     NULL},
    {"PGPORT", true, are_ports, "a port from 1 to 65535, or a list of them with commas", NULL},
    {"PGSSLMODE", false, is_sslmode, "disable, allow, prefer, require, verify-ca or verify-full",
     NULL},
    {"PGTARGETSESSIONATTRS", false, is_session,
     "any, read-write, read-only, primary, standby or prefer-standby", NULL},
    {"PGCHANNELBINDING", false, is_preference, "disable, prefer or require", NULL},
    {"PGGSSENCMODE", false, is_preference, "disable, prefer or require", NULL},
    {"PGLOADBALANCEHOSTS", false, is_balance, "disable or random", NULL},
    {"PGSSLROOTCERT", false, is_root_certificate,
     "a file of certificate authorities that the service's user can read", NULL},
    {"PGSSLCERT", false, values_is_readable_file,
     "a file with a certificate that the service's user can read", NULL},
    {"PGSSLKEY", false, is_key,
     "a file with a private key that the service's user can read and others cannot (mode 0600, or "
     "0640 where root owns it)",
     NULL},
    {"PGSSLCRL", false, values_is_readable_file,
     "a file of revoked certificates that the service's user can read", NULL},
    {"PGSSLCRLDIR", false, values_is_readable_folder,
     "a folder of revoked certificates that the service's user can read", NULL},
    {"PGSERVICE", false, NULL, NULL, NULL},
    {"PGDATABASE", false, NULL, NULL, NULL},
    {"PGUSER", false, NULL, NULL, NULL},
    {"PGREQUIREAUTH", false, NULL, NULL, NULL},
    {"PGCONNECT_TIMEOUT", false, NULL, NULL, NULL},
    {"PGSSLMINPROTOCOLVERSION", false, NULL, NULL, NULL},
    {"PGSSLMAXPROTOCOLVERSION", false, NULL, NULL, NULL},
    {"PGSERVICEFILE", false, values_is_readable_file,
     "a file of services that the service's user can read", "PGSERVICE"},
};

/* Whether a file exists where libpq looks if no variable names one. */
static bool has_home_file(const char *name) {
    char path[PATH_MAX];
    const char *home = environment_read("HOME");
    if (!home) {
        const struct passwd *user = getpwuid(geteuid());
        home = user ? user->pw_dir : "";
    }
    int length = snprintf(path, sizeof path, "%s/.postgresql/%s", home, name);
    return length < (int)sizeof path && values_is_readable_file(path);
}

/* With the verify modes, libpq refuses every server unless it has certificate authorities to check
 * against. A service, if there is one, may name them or another mode. */
static void check_authorities(struct problems *problems) {
    const char *mode = environment_read("PGSSLMODE");
    if (!mode || environment_read("PGSERVICE") || strncmp(mode, "verify-", strlen("verify-")) != 0)
        return;
    if (!environment_read("PGSSLROOTCERT") && !has_home_file("root.crt"))
        problems_add_error(problems, "PGSSLROOTCERT",
                           "set to a file of certificate authorities: PGSSLMODE verifies the "
                           "server's certificate");
}

void libpq_variables_trim(struct problems *problems) {
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        environment_trim(variables[i].name, variables[i].is_list, problems);
}

void libpq_variables_check(struct problems *problems) {
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        const struct variable *variable = &variables[i];
        const char *value = environment_read(variable->name);
        if (value && variable->is_valid &&
            (!variable->needs || environment_read(variable->needs)) && !variable->is_valid(value))
            problems_add_error(problems, variable->name, variable->wanted);
    }
    check_authorities(problems);
    /* DB_PASSWORD is always set, so libpq never opens the password file. */
    const char *passwords = environment_read("PGPASSFILE");
    if (passwords && !values_is_readable_file(passwords))
        problems_add_warning(problems, "PGPASSFILE",
                             "names no file that the service's user can read; it is not used");
}
