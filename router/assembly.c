/* SPDX-License-Identifier: MIT */

/*
 * The broker sends the frames of one message in a row on its channel, so there is never more than one under
 * way. A peer that does otherwise is not believed in anything.
 */

#include "router/assembly.h"
#include "router/dial.h"

#include <string.h>

enum { CONSUMER_TAG_MAX = 16 };

bool
assembly_is_in_place(const amqp_frame_t *frame)
{
        unsigned class_id = frame->frame_type == AMQP_FRAME_METHOD ? frame->payload.method.id >> 16 : 0;

        if (frame->frame_type == AMQP_FRAME_HEARTBEAT || class_id == AMQP_CONNECTION_CLASS)
                return frame->channel == 0;
        if (class_id == AMQP_CHANNEL_CLASS || class_id == AMQP_QUEUE_CLASS)
                return frame->channel == LINK_CHANNEL || frame->channel == LINK_SIDE_CHANNEL;
        return frame->channel == LINK_CHANNEL;
}

void
assembly_begin_delivery(Assembly *assembly, const amqp_basic_deliver_t *method)
{
        assembly_clear(assembly);
        assembly->announced = true;
        assembly->exchange = method->exchange;
        assembly->key = method->routing_key;
        assembly->consumer = method->consumer_tag;
        assembly->tag = method->delivery_tag;
        assembly->redelivered = method->redelivered;
}

void
assembly_begin_return(Assembly *assembly, const amqp_basic_return_t *method)
{
        assembly_clear(assembly);
        assembly->announced = true;
        assembly->exchange = method->exchange;
        assembly->key = method->routing_key;
        assembly->reply_code = method->reply_code;
}

/* Consumers are named "c0", "c17": see intake. */
int
assembly_consumer(amqp_bytes_t tag)
{
        char digits[CONSUMER_TAG_MAX] = "";

        if (tag.len < 2 || tag.len > sizeof(digits))
                return -1;
        memcpy(digits, (const char *)tag.bytes + 1, tag.len - 1);
        return (int)g_ascii_strtoll(digits, NULL, 10);
}

static const char *
add_header(Assembly *assembly, const amqp_frame_t *frame)
{
        if (!assembly->announced || assembly->message)
                return "the broker sent a frame out of order";

        Message *message = message_new(assembly->exchange, assembly->key, frame->payload.properties.raw,
                                       frame->payload.properties.body_size);

        if (!message)
                return "the broker sent a message header that cannot be read";
        message->tag = assembly->tag;
        message->redelivered = assembly->redelivered;
        message->reply_code = assembly->reply_code;
        message->consumer = assembly_consumer(assembly->consumer);
        assembly->message = message;
        return NULL;
}

const char *
assembly_add(Assembly *assembly, const amqp_frame_t *frame)
{
        if (frame->frame_type == AMQP_FRAME_HEADER)
                return add_header(assembly, frame);
        if (frame->frame_type != AMQP_FRAME_BODY)
                return NULL;
        if (!assembly->message || !message_append(assembly->message, frame->payload.body_fragment))
                return "the broker sent more of a message than it announced";
        return NULL;
}

Message *
assembly_take(Assembly *assembly)
{
        if (!assembly->message || !message_is_complete(assembly->message))
                return NULL;
        assembly->announced = false;
        return g_steal_pointer(&assembly->message);
}

bool
assembly_needs_buffers(const Assembly *assembly)
{
        return assembly->announced && !assembly->message;
}

void
assembly_clear(Assembly *assembly)
{
        message_free(assembly->message);
        memset(assembly, 0, sizeof(*assembly));
}
