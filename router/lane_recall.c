/* SPDX-License-Identifier: MIT */

/*
 * When a consuming connection is lost, the broker delivers again what it has no ack for, and some of that is
 * already where it belongs. What its sender gave a name is recognised when it comes back, and acknowledged
 * without a second publish.
 *
 * The body's hash is part of the name, so that a sender who gives all messages one name loses nothing; and so
 * is the queue it came from, since a message that was parked is done with in the shared queue, and not in the
 * parking queue.
 */

#include "router/lane_state.h"

#include <amqp_framing.h>
#include <string.h>

enum { KEPT_US = 2 * 1000 * 1000, KEPT_BYTES = 4 << 20 };

/* NULL if its sender gave it no name. */
static GString *
name_of(const Delivery *delivery)
{
        const amqp_basic_properties_t *properties = delivery->message->properties;
        GString *name = g_string_new(NULL);

        if (properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG)
                g_string_append_len(name, properties->message_id.bytes, (gssize)properties->message_id.len);
        else if (delivery->unique_id.kind == JSON_VALUE_STRING)
                g_string_append_len(name, delivery->unique_id.text, (gssize)delivery->unique_id.length);
        if (name->len == 0) {
                g_string_free(name, TRUE);
                return NULL;
        }

        g_autofree char *hash = g_compute_checksum_for_data(G_CHECKSUM_SHA256, delivery->message->body.bytes,
                                                            delivery->message->body.len);

        g_string_append_printf(name, " %s %d", hash, delivery->origin ? delivery->origin->number : -1);
        return name;
}

void
lane_remember(Lane *lane, const Delivery *delivery, Target *target)
{
        GString *name = delivery->relay || delivery->taken ? NULL : name_of(delivery);

        if (!name)
                return;
        recall_add(lane->recall, name->str, name->len, target);
        g_string_free(name, TRUE);
}

static bool
has_name(const Delivery *delivery)
{
        return (delivery->message->properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG) ||
               delivery->unique_id.kind == JSON_VALUE_STRING;
}

static void
drop_oldest(Lane *lane)
{
        Delivery *oldest = g_queue_peek_head(&lane->kept);

        lane->kept_bytes -= oldest->message->body.len;
        delivery_free(oldest);
}

void
lane_keep(Lane *lane, Delivery *delivery)
{
        if (delivery->relay || delivery->taken || delivery->flight.state != FLIGHT_SETTLED ||
            !has_name(delivery)) {
                delivery_free(delivery);
                return;
        }
        delivery->kept_us = lane->now_us;
        delivery->holder = &lane->kept;
        lane->kept_bytes += delivery->message->body.len;
        g_queue_push_tail_link(&lane->kept, &delivery->link);
        while (lane->kept.length > lane->route->prefetch || lane->kept_bytes > KEPT_BYTES)
                drop_oldest(lane);
}

void
lane_drop_old(Lane *lane)
{
        const Delivery *oldest;

        while ((oldest = g_queue_peek_head(&lane->kept)) && lane->now_us - oldest->kept_us >= KEPT_US)
                drop_oldest(lane);
}

void
lane_remember_kept(Lane *lane, const Intake *intake)
{
        bool shared = intake_kind(intake) == INTAKE_SHARED;
        bool kept = shared || intake_kind(intake) == INTAKE_PARKING;

        for (GList *at = lane->kept.head; at && kept; at = at->next) {
                const Delivery *delivery = at->data;

                if (shared == (delivery->origin == NULL))
                        lane_remember(lane, delivery, NULL);
        }
}

/* Once received, once with an outcome: the books balance as if it had come only once. */
static void
settle_again(Lane *lane, Delivery *delivery, const Target *target)
{
        if (target) {
                lane_count_outcome(lane, delivery, target);
                stats_add(&lane->stats->reasons[delivery->reason], 1);
                if (delivery->origin)
                        lane_count_unparked(lane, delivery);
        } else if (!delivery->origin) {
                stats_add(&lane->stats->requeued, 1);
        }
        if (delivery->origin)
                delivery->origin->in_hand--;
        ledger_settle(&delivery->flight, lane->now_us);
}

bool
lane_recognise(Lane *lane, Delivery *delivery)
{
        /* What comes back from the queue of a dead host was delivered there, and is not done with. */
        GString *name = delivery->message->redelivered && !delivery->taken ? name_of(delivery) : NULL;
        void *target = NULL;
        bool known;

        if (!name)
                return false;
        known = recall_take(lane->recall, name->str, name->len, &target);
        g_string_free(name, TRUE);
        if (known)
                settle_again(lane, delivery, target);
        return known;
}
