/* SPDX-License-Identifier: MIT */

/*
 * A frame is a type, a channel, a length, that many bytes and an end mark; a publish is a method frame, a
 * header frame and as many body frames as it takes. What stands in a method or header the library encodes.
 *
 * The buffer never grows. The body of a message that does not fit goes in pieces through the library, which
 * waits for the socket if it has to: so a piece is only begun when the socket takes more, which means that a
 * third of its buffer is free. The rest stands here meanwhile: between two frames anything may be sent on
 * another channel.
 */

#include "router/outbox.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

enum { SIZE_BYTES = 65536, HEAD_BYTES = 7, END_BYTES = 1, METHOD_ID_BYTES = 4, BODY_HEAD_BYTES = 12 };

enum { PIECE_BYTES = 65536, PIECES_AT_ONCE = 8 /* then others have their turn */, ANY_BYTES = INT32_MAX };

struct Outbox {
        uint8_t *rest; /* of a large body, ours; NULL: none */
        size_t rest_bytes;
        size_t rest_sent;
        amqp_channel_t rest_channel;
        int64_t last_bytes; /* of the last publish */
        size_t filled;
        uint8_t bytes[SIZE_BYTES];
};

/* Where the next bytes go; NULL once they did not fit. */
typedef struct {
        uint8_t *at;
        uint8_t *end;
} Cursor;

Outbox *
outbox_new(void)
{
        return g_new0(Outbox, 1);
}

void
outbox_free(Outbox *outbox)
{
        if (outbox)
                outbox_clear(outbox);
        g_free(outbox);
}

void
outbox_clear(Outbox *outbox)
{
        outbox->filled = outbox->rest_bytes = outbox->rest_sent = 0;
        g_clear_pointer(&outbox->rest, g_free);
}

bool
outbox_is_empty(const Outbox *outbox)
{
        return outbox->filled == 0 && !outbox->rest;
}

int64_t
outbox_last_bytes(const Outbox *outbox)
{
        return outbox->last_bytes;
}

bool
outbox_is_writing(const Outbox *outbox)
{
        return outbox->rest != NULL;
}

/* ---- frames ---- */

static void
put(uint8_t *to, uint64_t value, int bytes)
{
        for (int i = bytes - 1; i >= 0; i--, value >>= 8)
                to[i] = (uint8_t)value;
}

/* Room for a frame whose payload has at most @payload_max bytes, or as many as there is room for. */
static amqp_bytes_t
payload_room(const Cursor *cursor, size_t payload_max)
{
        size_t room = (size_t)(cursor->end - cursor->at);

        if (room < HEAD_BYTES + END_BYTES)
                return amqp_empty_bytes;
        return (amqp_bytes_t){.bytes = cursor->at + HEAD_BYTES,
                              .len = MIN(payload_max, room - HEAD_BYTES - END_BYTES)};
}

/* Completes the frame whose payload of @length bytes is written already. */
static void
close_frame(Cursor *cursor, uint8_t type, amqp_channel_t channel, size_t length)
{
        put(cursor->at, type, 1);
        put(cursor->at + 1, channel, 2);
        put(cursor->at + 3, length, 4);
        put(cursor->at + HEAD_BYTES + length, AMQP_FRAME_END, END_BYTES);
        cursor->at += HEAD_BYTES + length + END_BYTES;
}

static bool
add_method(Cursor *cursor, amqp_channel_t channel, size_t payload_max, amqp_basic_publish_t *method)
{
        amqp_bytes_t room = payload_room(cursor, payload_max);

        if (room.len < METHOD_ID_BYTES)
                return false;

        amqp_bytes_t arguments = {.bytes = (uint8_t *)room.bytes + METHOD_ID_BYTES,
                                  .len = room.len - METHOD_ID_BYTES};
        int length = amqp_encode_method(AMQP_BASIC_PUBLISH_METHOD, method, arguments);

        if (length < 0)
                return false;
        put(room.bytes, AMQP_BASIC_PUBLISH_METHOD, METHOD_ID_BYTES);
        close_frame(cursor, AMQP_FRAME_METHOD, channel, METHOD_ID_BYTES + (size_t)length);
        return true;
}

static bool
add_header(Cursor *cursor, amqp_channel_t channel, size_t payload_max,
           const amqp_basic_properties_t *properties, size_t body_bytes)
{
        amqp_bytes_t room = payload_room(cursor, payload_max);

        if (room.len < BODY_HEAD_BYTES)
                return false;

        amqp_bytes_t list = {.bytes = (uint8_t *)room.bytes + BODY_HEAD_BYTES,
                             .len = room.len - BODY_HEAD_BYTES};
        int length = amqp_encode_properties(AMQP_BASIC_CLASS, (void *)properties, list);

        if (length < 0)
                return false;
        put(room.bytes, AMQP_BASIC_CLASS, 2);
        put((uint8_t *)room.bytes + 2, 0, 2);
        put((uint8_t *)room.bytes + 4, body_bytes, 8);
        close_frame(cursor, AMQP_FRAME_HEADER, channel, BODY_HEAD_BYTES + (size_t)length);
        return true;
}

static bool
add_body(Cursor *cursor, amqp_channel_t channel, size_t payload_max, amqp_bytes_t body)
{
        for (size_t sent = 0; sent < body.len;) {
                size_t part = MIN(body.len - sent, payload_max);
                amqp_bytes_t room = payload_room(cursor, part);

                if (room.len < part)
                        return false;
                memcpy(room.bytes, (const uint8_t *)body.bytes + sent, part);
                close_frame(cursor, AMQP_FRAME_BODY, channel, part);
                sent += part;
        }
        return true;
}

/* False, and nothing changed, if there is no room for it. */
static bool
add(Outbox *outbox, size_t frame_max, amqp_channel_t channel, amqp_basic_publish_t *method,
    const amqp_basic_properties_t *properties, amqp_bytes_t body)
{
        Cursor cursor = {.at = outbox->bytes + outbox->filled, .end = outbox->bytes + SIZE_BYTES};
        size_t payload_max = frame_max - HEAD_BYTES - END_BYTES;

        if (body.len > (size_t)(cursor.end - cursor.at) ||
            !add_method(&cursor, channel, payload_max, method) ||
            !add_header(&cursor, channel, payload_max, properties, body.len) ||
            !add_body(&cursor, channel, payload_max, body))
                return false;
        outbox->last_bytes = cursor.at - (outbox->bytes + outbox->filled);
        outbox->filled = (size_t)(cursor.at - outbox->bytes);
        return true;
}

/* ---- sending ---- */

static bool
is_writable(amqp_connection_state_t connection)
{
        struct pollfd socket = {.fd = amqp_get_sockfd(connection), .events = POLLOUT};

        return poll(&socket, 1, 0) == 1 && socket.revents & POLLOUT;
}

/* Sends so much of the body as the socket takes; returns a status of the library. */
static int
send_pieces(amqp_connection_state_t connection, amqp_channel_t channel, amqp_bytes_t body, size_t *out_sent)
{
        size_t sent = 0, frame_max = (size_t)amqp_get_frame_max(connection) - HEAD_BYTES - END_BYTES;
        int status = AMQP_STATUS_OK;

        for (unsigned i = 0; i < PIECES_AT_ONCE && sent < body.len && is_writable(connection); i++) {
                amqp_frame_t frame = {.frame_type = AMQP_FRAME_BODY, .channel = channel};
                size_t piece = MIN(body.len - sent, MIN(frame_max, PIECE_BYTES));

                frame.payload.body_fragment =
                    (amqp_bytes_t){.len = piece, .bytes = (uint8_t *)body.bytes + sent};
                status = amqp_send_frame(connection, &frame);
                if (status != AMQP_STATUS_OK)
                        break;
                sent += piece;
        }
        *out_sent = sent;
        return status;
}

/* Method and header at once, the body as far as possible now, and the rest later. */
static int
begin_large(Outbox *outbox, amqp_connection_state_t connection, amqp_channel_t channel,
            amqp_basic_publish_t *method, const amqp_basic_properties_t *properties, amqp_bytes_t body)
{
        amqp_frame_t header = {.frame_type = AMQP_FRAME_HEADER, .channel = channel};
        int status = amqp_send_method(connection, channel, AMQP_BASIC_PUBLISH_METHOD, method);
        size_t sent = 0;

        header.payload.properties.class_id = AMQP_BASIC_CLASS;
        header.payload.properties.body_size = body.len;
        header.payload.properties.decoded = (void *)properties;
        if (status == AMQP_STATUS_OK)
                status = amqp_send_frame(connection, &header);
        if (status == AMQP_STATUS_OK)
                status = send_pieces(connection, channel, body, &sent);
        if (status != AMQP_STATUS_OK || sent == body.len)
                return status;
        outbox->rest_channel = channel;
        outbox->rest_bytes = body.len - sent;
        outbox->rest_sent = 0;
        outbox->rest = g_memdup2((const uint8_t *)body.bytes + sent, outbox->rest_bytes);
        return status;
}

int
outbox_publish(Outbox *outbox, amqp_connection_state_t connection, bool gather, amqp_channel_t channel,
               amqp_bytes_t exchange, amqp_bytes_t key, const amqp_basic_properties_t *properties,
               amqp_bytes_t body)
{
        amqp_basic_publish_t method = {.exchange = exchange, .routing_key = key, .mandatory = 1};
        size_t frame_max = (size_t)amqp_get_frame_max(connection);

        if (gather && add(outbox, frame_max, channel, &method, properties, body))
                return AMQP_STATUS_OK;

        int status = outbox_flush(outbox, connection);

        if (status != AMQP_STATUS_OK)
                return status;
        if (gather && add(outbox, frame_max, channel, &method, properties, body))
                return AMQP_STATUS_OK;
        outbox->last_bytes = ANY_BYTES;
        return begin_large(outbox, connection, channel, &method, properties, body);
}

static int
flush_rest(Outbox *outbox, amqp_connection_state_t connection)
{
        amqp_bytes_t body = {.len = outbox->rest_bytes - outbox->rest_sent,
                             .bytes = outbox->rest + outbox->rest_sent};
        size_t sent;
        int status = send_pieces(connection, outbox->rest_channel, body, &sent);

        outbox->rest_sent += sent;
        if (outbox->rest_sent == outbox->rest_bytes)
                g_clear_pointer(&outbox->rest, g_free);
        return status;
}

int
outbox_flush(Outbox *outbox, amqp_connection_state_t connection)
{
        struct pollfd socket = {.fd = amqp_get_sockfd(connection), .events = POLLOUT};
        size_t sent = 0;

        while (sent < outbox->filled) {
                ssize_t more =
                    send(socket.fd, outbox->bytes + sent, outbox->filled - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

                if (more >= 0)
                        sent += (size_t)more;
                else if (errno == EAGAIN)
                        poll(&socket, 1, -1);
                else if (errno != EINTR)
                        return AMQP_STATUS_SOCKET_ERROR;
        }
        outbox->filled = 0;
        return outbox->rest ? flush_rest(outbox, connection) : AMQP_STATUS_OK;
}
