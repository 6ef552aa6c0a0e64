/* SPDX-License-Identifier: MIT */

/*
 * A frame is a type, a channel, a length, that many bytes and an end mark; a publish is a method frame, a
 * header frame and as many body frames as it takes. What stands in a method or header the library encodes.
 *
 * The buffer never grows: what does not fit is sent by the library, and then costs three calls, which matter
 * little to a message of that size.
 */

#include "router/outbox.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

enum { SIZE_BYTES = 65536, HEAD_BYTES = 7, END_BYTES = 1, METHOD_ID_BYTES = 4, BODY_HEAD_BYTES = 12 };

struct Outbox {
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
        Outbox *outbox = g_new(Outbox, 1);

        outbox->filled = 0;
        return outbox;
}

void
outbox_free(Outbox *outbox)
{
        g_free(outbox);
}

void
outbox_clear(Outbox *outbox)
{
        outbox->filled = 0;
}

bool
outbox_is_empty(const Outbox *outbox)
{
        return outbox->filled == 0;
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
        outbox->filled = (size_t)(cursor.at - outbox->bytes);
        return true;
}

/* ---- sending ---- */

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
        return amqp_basic_publish(connection, channel, exchange, key, 1, 0, properties, body);
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
        return AMQP_STATUS_OK;
}
