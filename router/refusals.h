/* SPDX-License-Identifier: MIT */
#pragma once

#include <amqp.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Exchanges that brokers said they do not have, for a while: every try closes the channel, so that what is
 * for such an exchange is not sent there again at once. Bounded. One thread.
 */
typedef struct Refusals Refusals;

enum { REFUSALS_MAX = 1000, REFUSALS_HOLD_US = 1000 * 1000 };

Refusals *refusals_new(void);
void refusals_free(Refusals *refusals); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Refusals, refusals_free)

/* @broker: any pointer that stands for it. */
void refusals_note(Refusals *refusals, const void *broker, amqp_bytes_t exchange, int64_t now_us);

/* Was that exchange refused less than REFUSALS_HOLD_US ago? Costs nothing while none was. */
bool refusals_hold(Refusals *refusals, const void *broker, amqp_bytes_t exchange, int64_t now_us);
