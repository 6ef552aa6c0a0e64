/* SPDX-License-Identifier: MIT */
#pragma once

#include <amqp.h>
#include <amqp_framing.h>
#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Publishes on their way to a socket: put together as AMQP frames, and written many at a time. The library
 * makes three system calls for each publish, which cost more than everything else that is done for a small
 * message. Belongs to the thread of its link.
 */
typedef struct Outbox Outbox;

Outbox *outbox_new(void);
void outbox_free(Outbox *outbox); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Outbox, outbox_free)

/*
 * A mandatory publish, not while outbox_is_writing(); returns a status of the library. It waits here for
 * outbox_flush(), or until there is no room for the next. What never has room, and everything if not @gather,
 * is begun at once, and its body copied as far as the socket does not take it.
 */
int outbox_publish(Outbox *outbox, amqp_connection_state_t connection, bool gather, amqp_channel_t channel,
                   amqp_bytes_t exchange, amqp_bytes_t key, const amqp_basic_properties_t *properties,
                   amqp_bytes_t body) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Writes what has gathered, and a large body as far as the socket takes it; returns a status of the library.
 * Waits if the socket does not take what has gathered: whoever minds looks whether it is writable before the
 * first publish, and has a watchdog. After a failure nothing may be sent any more.
 */
int outbox_flush(Outbox *outbox, amqp_connection_state_t connection) G_GNUC_WARN_UNUSED_RESULT;

/* What the last publish takes of the room in the socket: more than any has, if it was begun at once. */
int64_t outbox_last_bytes(const Outbox *outbox);

void outbox_clear(Outbox *outbox);
bool outbox_is_empty(const Outbox *outbox);
/* The rest of a body is still to be written. */
bool outbox_is_writing(const Outbox *outbox);
