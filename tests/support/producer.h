/* SPDX-License-Identifier: MIT */
#pragma once

#include <amqp.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A publisher with confirms that outlives its broker's restarts: after any failure it connects anew and
 * forgets what was unconfirmed. One thread.
 */
typedef struct Producer Producer;

/* @url may be several, separated by commas, tried in turn. @on_confirmed is called with the token of each
 * confirmed publish. */
Producer *producer_new(const char *url, void (*on_confirmed)(uint64_t token, void *user_data),
                       void *user_data);
void producer_free(Producer *producer); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Producer, producer_free)

/* Publishes to a queue; false if there is no connection now, or it broke here. */
bool producer_publish(Producer *producer, const char *queue, const amqp_basic_properties_t *properties,
                      amqp_bytes_t body, uint64_t token);

/* Takes in confirms for up to @timeout_ms, until at most @unconfirmed are missing. False: too late, or the
 * connection broke. */
bool producer_confirm(Producer *producer, unsigned unconfirmed, int64_t timeout_ms);

unsigned producer_unconfirmed(const Producer *producer);
