/* SPDX-License-Identifier: MIT */
#pragma once

#include <amqp.h>
#include <amqp_framing.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * One message as it came from a broker, in memory of its own. Nothing in it changes after message_new(), but
 * for the body, which message_append() fills as the frames arrive. Belongs to one thread.
 */

typedef struct {
        uint64_t tag; /* delivery tag; 0 for a returned message */
        bool redelivered;
        int consumer;        /* which consumer of its channel it came from, see intake */
        uint16_t reply_code; /* of a returned message, else 0 */
        int64_t received_us; /* monotonic */
        amqp_bytes_t exchange;
        amqp_bytes_t key;
        size_t header_bytes;                 /* encoded size of the properties */
        amqp_basic_properties_t *properties; /* in `pool` */
        amqp_bytes_t body;
        size_t filled_bytes; /* of the body; complete when equal to body.len */
        amqp_pool_t pool;
} Message;

/*
 * Copies what a method frame and a content header say. @raw is the encoded property list. NULL if it cannot
 * be decoded or the body is said to be larger than MESSAGE_BODY_MAX.
 */
Message *message_new(amqp_bytes_t exchange, amqp_bytes_t key, amqp_bytes_t raw,
                     uint64_t body_bytes) G_GNUC_WARN_UNUSED_RESULT;

#define MESSAGE_BODY_MAX (512ull << 20) /* RabbitMQ itself takes no more than 128 MiB (3.10) */

/* Adds one body frame; false if it is more than the header announced. */
bool message_append(Message *message, amqp_bytes_t fragment) G_GNUC_WARN_UNUSED_RESULT;

static inline bool
message_is_complete(const Message *message)
{
        return message->filled_bytes == message->body.len;
}

void message_free(Message *message); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Message, message_free)

/* The header of that name, or NULL; the first one if there are several. */
const amqp_field_value_t *message_header(const Message *message, const char *name);

/* The same, only if it is a string; else empty bytes. */
amqp_bytes_t message_header_text(const Message *message, const char *name);

/* The same for any integer kind; @fallback if absent or of another kind. */
int64_t message_header_int(const Message *message, const char *name, int64_t fallback);

/* True if @bytes spell @text exactly. */
bool bytes_equal(amqp_bytes_t bytes, const char *text);

/* A view of a NUL-terminated string; NULL gives empty bytes. Nothing is copied. */
amqp_bytes_t bytes_of(const char *text);
