/* Most answers fit the buffer and leave at once, with their length. */
#include "body.h"

#include "gateway.h"
#include "header.h"
#include "request.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUFFER_SIZE = 64 * 1024, /* a body up to this size has a Content-Length */
    STREAM_SIZE = 32 * 1024, /* how much of a longer body is sent at a time */
};

/* What has become of the answer so far. */
enum stage {
    STAGE_EMPTY,
    STAGE_BUFFERED,  /* all of the body is in the buffer */
    STAGE_COUNTING,  /* only the length is wanted: HEAD, or the first pass for HTTP/1.0 */
    STAGE_STREAMING, /* the header has left */
    STAGE_SENT,
    STAGE_CUT, /* the connection must be closed without an end of the request */
};

struct body {
    enum stage stage;
    const struct entity *entity;
    int64_t counted; /* the length that a first pass found, or HEADER_NO_LENGTH */
    size_t buffered;
    char buffer[BUFFER_SIZE];
};

struct body *body_create(void) {
    return malloc(sizeof(struct body));
}

void body_release(struct body *body) {
    free(body);
}

void body_reset(struct body *body) {
    body->stage = STAGE_EMPTY;
    body->counted = HEADER_NO_LENGTH;
}

void body_cut(struct body *body) {
    body->stage = STAGE_CUT;
}

const char *body_buffered(const struct body *body, size_t *length) {
    *length = body->buffered;
    return body->stage == STAGE_BUFFERED ? body->buffer : NULL;
}

bool body_has_left(const struct body *body) {
    return body->stage >= STAGE_STREAMING;
}

bool body_is_sent(const struct body *body) {
    return body->stage == STAGE_SENT;
}

void body_start(struct request *request, const struct entity *entity) {
    struct body *body = request->body;
    request->status = STATUS_OK;
    request->body_bytes = 0;
    body->stage = STAGE_BUFFERED;
    body->buffered = 0;
    body->entity = entity;
}

/* Ends the answer with the last part of its body. */
static void send_last(const struct request *request, const struct header *header, const char *data,
                      size_t length) {
    bool sent = gateway_send(request->gateway, header, data, length, true);
    request->body->stage = sent ? STAGE_SENT : STAGE_CUT;
}

void body_send(struct request *request, const struct entity *entity, const char *data,
               size_t length) {
    bool bodiless = request->status == STATUS_NO_CONTENT || request->status == STATUS_NOT_MODIFIED;
    struct header header;
    header_make(&header, request->status, entity, bodiless ? HEADER_NO_LENGTH : (int64_t)length);
    request->body_bytes = request->method == METHOD_HEAD ? 0 : length;
    send_last(request, &header, data, request->body_bytes);
}

static bool send_buffer(const struct request *request, const struct header *header) {
    struct body *body = request->body;
    size_t length = body->buffered;
    body->buffered = 0;
    return gateway_send(request->gateway, header, body->buffer, length, false);
}

static void add_to_buffer(struct body *body, const char *data, size_t length) {
    memcpy(body->buffer + body->buffered, data, length);
    body->buffered += length;
}

/* The body does not fit the buffer: from here on it is streamed or, where it may not be, counted.
 */
static bool outgrow_buffer(const struct request *request) {
    struct body *body = request->body;
    bool may_stream = request->takes_chunks || body->counted != HEADER_NO_LENGTH;
    if (request->method == METHOD_HEAD || !may_stream) {
        body->stage = STAGE_COUNTING;
        return true;
    }
    struct header header;
    body->stage = STAGE_STREAMING;
    header_make(&header, request->status, body->entity, body->counted);
    return send_buffer(request, &header);
}

/* A second pass may find other rows than the first: the length that was promised has to hold. */
static bool stream(const struct request *request, const char *data, size_t length) {
    struct body *body = request->body;
    if (body->counted != HEADER_NO_LENGTH && (int64_t)request->body_bytes > body->counted)
        return false;
    if (body->buffered + length > STREAM_SIZE && !send_buffer(request, NULL))
        return false;
    if (length > STREAM_SIZE)
        return gateway_send(request->gateway, NULL, data, length, false);
    add_to_buffer(body, data, length);
    return true;
}

static bool take(const struct request *request, const char *data, size_t length) {
    struct body *body = request->body;
    if (body->stage == STAGE_BUFFERED && length > sizeof body->buffer - body->buffered &&
        !outgrow_buffer(request))
        return false;
    switch (body->stage) {
    case STAGE_BUFFERED:
        add_to_buffer(body, data, length);
        return true;
    case STAGE_COUNTING:
        return true;
    case STAGE_STREAMING:
        return stream(request, data, length);
    default:
        return false;
    }
}

bool body_write(struct request *request, const char *data, size_t length) {
    request->body_bytes += length;
    if (take(request, data, length))
        return true;
    body_cut(request->body);
    return false;
}

/* HEAD's header says of a long body what GET's would. */
static void send_counted_header(struct request *request) {
    struct header header;
    int64_t length = request->takes_chunks ? HEADER_NO_LENGTH : (int64_t)request->body_bytes;
    header_make(&header, request->status, request->body->entity, length);
    request->body_bytes = 0;
    send_last(request, &header, "", 0);
}

static void end_stream(const struct request *request) {
    struct body *body = request->body;
    if (body->counted != HEADER_NO_LENGTH && (int64_t)request->body_bytes != body->counted)
        body_cut(body);
    else
        send_last(request, NULL, body->buffer, body->buffered);
}

bool body_end(struct request *request) {
    struct body *body = request->body;
    bool is_counted = body->stage == STAGE_COUNTING;
    if (body->stage == STAGE_BUFFERED)
        body_send(request, body->entity, body->buffer, body->buffered);
    else if (body->stage == STAGE_STREAMING)
        end_stream(request);
    else if (is_counted && request->method == METHOD_HEAD)
        send_counted_header(request);
    else if (is_counted)
        body->counted = (int64_t)request->body_bytes;
    return is_counted && request->method != METHOD_HEAD;
}
