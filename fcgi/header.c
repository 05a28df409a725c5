/* A header is a text to which fields are added, in a fixed order. */
#include "header.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void add_text(struct header *header, const char *text) {
    size_t length = strlen(text);
    assert(length <= sizeof header->text - header->length);
    memcpy(header->text + header->length, text, length);
    header->length += length;
}

static void add_field(struct header *header, const char *before, const char *value,
                      const char *after) {
    add_text(header, before);
    add_text(header, value);
    add_text(header, after);
    add_text(header, "\r\n");
}

static bool is_given(const char *text) {
    return text && *text;
}

static void add_status(struct header *header, enum status status) {
    char line[64];
    (void)snprintf(line, sizeof line, "%d %s", status_code(status), status_title(status));
    add_field(header, "Status: ", line, "");
}

static void add_length(struct header *header, int64_t length) {
    char digits[32];
    (void)snprintf(digits, sizeof digits, "%" PRId64, length);
    add_field(header, "Content-Length: ", digits, "");
}

static void add_entity(struct header *header, const struct entity *entity) {
    if (is_given(entity->content_type))
        add_field(header, "Content-Type: ", entity->content_type, "");
    if (is_given(entity->file_name))
        add_field(header, "Content-Disposition: attachment; filename=\"", entity->file_name, "\"");
    if (is_given(entity->next))
        add_field(header, "Link: <", entity->next, ">; rel=\"next\"");
    if (is_given(entity->tag)) {
        add_field(header, "ETag: \"", entity->tag, "\"");
        add_field(header, "Vary: ", "Accept, Accept-Encoding", ""); /* nginx compresses */
    }
    if (is_given(entity->as_of))
        add_field(header, "Data-As-Of: ", entity->as_of, "");
    /* Every answer is checked with the database before it is used again. */
    add_field(header, "Cache-Control: ", is_given(entity->tag) ? "private, no-cache" : "no-store",
              "");
}

void header_make(struct header *header, enum status status, const struct entity *entity,
                 int64_t body_length) {
    header->length = 0;
    add_status(header, status);
    if (body_length != HEADER_NO_LENGTH)
        add_length(header, body_length);
    if (status_is_temporary(status))
        add_field(header, "Retry-After: ", "1", "");
    if (status == STATUS_METHOD_NOT_ALLOWED || status == STATUS_NO_CONTENT)
        add_field(header, "Allow: ", "GET, HEAD, OPTIONS", "");
    add_entity(header, entity);
    add_text(header, "\r\n");
}
