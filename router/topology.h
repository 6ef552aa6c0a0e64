/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"

#include <amqp.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Queues and exchanges: declared durable if absent, used as they are if present. Calls wait for the broker's
 * answer; a refusal closes the channel, which is opened again. For the thread that owns the connection.
 */

typedef enum {
        TOPOLOGY_OK,
        TOPOLOGY_ABSENT,  /* passive look only */
        TOPOLOGY_REFUSED, /* the broker said no: @error */
        TOPOLOGY_LOST,    /* the connection failed: @error; it cannot be used any more */
} TopologyResult;

/* The names that the router makes, so that people recognise them; new strings. @cluster NULL: the common
 * parking queue. */
char *topology_parking_queue(const ConfRoute *route, const char *cluster);
char *topology_dead_queue(const ConfRoute *route);

/* Sees to it that the queue exists; @out_messages: how many are ready in it. NULL is fine for any output. */
TopologyResult topology_ensure_queue(amqp_connection_state_t connection, amqp_channel_t channel,
                                     const char *queue, bool quorum, uint32_t *out_messages,
                                     GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The argument that makes a queue a quorum queue. */
amqp_table_entry_t topology_quorum_argument(void);

/*
 * The argument of a queue for replies on a cluster's side: not durable, gone after TOPOLOGY_REPLY_EXPIRES_MS
 * without a consumer. A queue of that name that looks otherwise is somebody else's.
 */
enum { TOPOLOGY_REPLY_EXPIRES_MS = 31 * 60 * 1000 };
amqp_table_entry_t topology_reply_argument(void);

/* Looks at the queue without making it. */
TopologyResult topology_look(amqp_connection_state_t connection, amqp_channel_t channel, const char *queue,
                             uint32_t *out_messages, uint32_t *out_consumers,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Exchanges, queue and bindings of the route's intake. */
TopologyResult topology_ensure_intake(amqp_connection_state_t connection, amqp_channel_t channel,
                                      const Conf *conf, const ConfRoute *route,
                                      GError **error) G_GNUC_WARN_UNUSED_RESULT;
