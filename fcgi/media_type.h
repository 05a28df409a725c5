/* Which media type a client prefers (RFC 9110, 12.5.1). */
#ifndef MEDIA_TYPE_H
#define MEDIA_TYPE_H

#include <stdbool.h>

/* Whether an Accept field, which may be NULL, rates one media type above the other. */
bool media_type_is_preferred(const char *accept, const char *type, const char *other);

#endif
