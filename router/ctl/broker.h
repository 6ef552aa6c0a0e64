/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"
#include "router/message.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A connection of this program to the shared broker, to look at queues and take messages out one by one. What
 * is taken and not acknowledged goes back to its place when the connection is closed, in whatever way.
 *
 * Every call waits for the broker's answer. After a failure the connection cannot be used any more: what is
 * left to do is broker_free().
 */
typedef struct Broker Broker;

/* Tries the URLs of [broker] in turn. NULL after saying on stderr what was tried. */
Broker *broker_open(const Conf *conf) G_GNUC_WARN_UNUSED_RESULT;
/* The same for the broker that a cluster's queues are on: its own, or the shared one. @cluster may be NULL.
 */
Broker *broker_open_for(const Conf *conf, const ConfCluster *cluster) G_GNUC_WARN_UNUSED_RESULT;
void broker_free(Broker *broker); /* says goodbye, so that messages go back at once; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Broker, broker_free)

typedef enum { BROKER_DONE, BROKER_NOTHING, BROKER_FAILED } BrokerResult;

/* NOTHING: there is no such queue. Outputs may be NULL. */
BrokerResult broker_look(Broker *broker, const char *queue, uint32_t *out_messages,
                         uint32_t *out_consumers) G_GNUC_WARN_UNUSED_RESULT;

/* The next message, unacknowledged, its tag in Message.tag. NOTHING: the queue is empty. */
BrokerResult broker_take(Broker *broker, const char *queue, Message **out_message) G_GNUC_WARN_UNUSED_RESULT;

/* The message is done with: the broker forgets it. */
BrokerResult broker_settle(Broker *broker, uint64_t tag) G_GNUC_WARN_UNUSED_RESULT;

/* Gives all that was taken and not settled back to their queues. */
BrokerResult broker_give_back(Broker *broker) G_GNUC_WARN_UNUSED_RESULT;

/* Serves heartbeats while nothing else is asked. */
BrokerResult broker_idle(Broker *broker) G_GNUC_WARN_UNUSED_RESULT;

/* After FAILED: says on stderr what failed where, and returns EXIT_UNAVAILABLE. */
int broker_fail(const Broker *broker);
