/* Passwords as PostgreSQL keeps them. */
#include "db_private.h"

#include <stdio.h>
#include <string.h>

/* libpq makes a verifier only for a connection, and asks its server nothing if it knows the method.
 */
bool db_make_verifier(const char *password, char verifier[DB_VERIFIER_SIZE]) {
    PGconn *nowhere = PQconnectStart("host=/nowhere");
    char *made = nowhere ? PQencryptPasswordConn(nowhere, password, "", "scram-sha-256") : NULL;
    bool fits = made && strlen(made) < DB_VERIFIER_SIZE;
    if (fits)
        (void)snprintf(verifier, DB_VERIFIER_SIZE, "%s", made);
    PQfreemem(made);
    PQfinish(nowhere);
    return fits;
}
