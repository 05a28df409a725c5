/* Which media type a client wants to have (RFC 9110, 12.5.1). */
#ifndef ACCEPT_H
#define ACCEPT_H

#include <stdbool.h>

/* Whether an Accept field rates one media type above another; NULL and what names neither do not.
 */
bool accept_prefers(const char *accept, const char *type, const char *other);

#endif
