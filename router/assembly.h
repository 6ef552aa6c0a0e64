/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/message.h"

#include <amqp.h>
#include <amqp_framing.h>
#include <stdbool.h>

/*
 * A message being put together from its frames: a method that announces it (basic.deliver or basic.return), a
 * header, bodies. Pure; one per channel. Zero bytes are an empty one.
 */
typedef struct {
        bool announced;
        amqp_bytes_t exchange; /* these stand in the library's buffers until the header came */
        amqp_bytes_t key;
        amqp_bytes_t consumer;
        uint64_t tag;
        bool redelivered;
        uint16_t reply_code;
        Message *message; /* its body is still coming */
} Assembly;

/*
 * Whether a broker may send such a frame on that channel: connections speak on channel 0, answers to
 * questions come on either of ours, and messages and what became of them on LINK_CHANNEL alone. A confirm
 * from elsewhere is none.
 */
bool assembly_is_in_place(const amqp_frame_t *frame) G_GNUC_WARN_UNUSED_RESULT;

void assembly_begin_delivery(Assembly *assembly, const amqp_basic_deliver_t *method);
void assembly_begin_return(Assembly *assembly, const amqp_basic_return_t *method);

/* The number in a consumer tag that intake_consume() made; -1 if it is none. */
int assembly_consumer(amqp_bytes_t tag);

/* A header or body frame (any other is ignored). NULL, or why the frame cannot be: then drop the connection.
 */
const char *assembly_add(Assembly *assembly, const amqp_frame_t *frame) G_GNUC_WARN_UNUSED_RESULT;

/* The message once it is complete, the caller's; else NULL. */
Message *assembly_take(Assembly *assembly) G_GNUC_WARN_UNUSED_RESULT;

/* True between method and header: the library's buffers must not be released yet. */
bool assembly_needs_buffers(const Assembly *assembly);

void assembly_clear(Assembly *assembly);
