/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What happened to a cluster's messages while it was drained: looks at its queues on the broker and at the
 * counters of the router that answers over HTTP, until all that was delivered is consumed.
 *
 * AMQP tells how many messages of a queue are ready, not how many its consumers hold unacknowledged; so a
 * queue counts as consumed when it has stayed empty for a while, and the receipt says what nobody saw.
 */
typedef struct Receipt Receipt;

/* Notes the counters as they stand, before the drain begins. NULL after saying why not. @conf must outlive
 * it. */
Receipt *receipt_begin(const Conf *conf, const char *cluster) G_GNUC_WARN_UNUSED_RESULT;
void receipt_free(Receipt *receipt); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Receipt, receipt_free)

/* Waits; returns EXIT_DONE, EXIT_TRY_AGAIN after @timeout_ms, or EXIT_UNAVAILABLE after saying what failed.
 */
int receipt_wait(Receipt *receipt, int64_t timeout_ms) G_GNUC_WARN_UNUSED_RESULT;

json_t *receipt_json(const Receipt *receipt) G_GNUC_WARN_UNUSED_RESULT;
void receipt_print(const Receipt *receipt);
