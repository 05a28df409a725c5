/* Each reply is a status, what the header says of the body, and the body. */
#include "reply.h"

#include "body.h"
#include "etag.h"
#include "header.h"
#include "json.h"
#include "request.h"

#include <stdio.h>
#include <string.h>

static void reply(struct request *request, enum status status, const struct entity *entity,
                  const char *body, size_t length) {
    request->status = status;
    body_send(request, entity, body, length);
}

void reply_body(struct request *request, const struct entity *entity, const char *body,
                size_t length) {
    reply(request, STATUS_OK, entity, body, length);
}

void reply_text(struct request *request, enum status status, const char *text) {
    const struct entity plain = {.content_type = "text/plain"};
    reply(request, status, &plain, text, strlen(text));
}

void reply_options(struct request *request) {
    const struct entity none = {0};
    reply(request, STATUS_NO_CONTENT, &none, "", 0);
}

bool reply_if_not_modified(struct request *request, const struct entity *entity) {
    const struct entity unchanged = {.tag = entity->tag, .as_of = entity->as_of};
    if (!etag_matches(request->if_none_match, entity->tag))
        return false;
    reply(request, STATUS_NOT_MODIFIED, &unchanged, "", 0);
    return true;
}

static struct json_object *make_problem(const struct request *request, enum status status,
                                        const char *detail) {
    char instance[REQUEST_ID_SIZE + 16];
    (void)snprintf(instance, sizeof instance, "urn:request:%s", request->id);
    struct json_object *problem = json_create();
    json_add_string(problem, "type", "about:blank");
    json_add_string(problem, "title", status_title(status));
    json_add_integer(problem, "status", status_code(status));
    if (detail)
        json_add_string(problem, "detail", detail);
    json_add_string(problem, "instance", instance);
    return problem;
}

void reply_problem(struct request *request, enum status status, const char *detail) {
    const struct entity document = {.content_type = "application/problem+json"};
    request->status = status;
    if (body_has_left(request->body)) {
        body_cut(request->body);
        return;
    }
    size_t length;
    struct json_object *problem = make_problem(request, status, detail);
    const char *text = json_text(problem, &length);
    reply(request, status, &document, text, length);
    json_release(problem);
}
