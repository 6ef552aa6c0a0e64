/* SPDX-License-Identifier: MIT */

/*
 * A message goes out, and the broker says what became of it. Every outcome is one publish: delivered, parked
 * and dead differ only in the target. What the broker did not take comes back here, and either waits in its
 * target's list (refused for now, or unsure) or changes its target (returned, refused for good).
 */

#include "router/dispatch.h"
#include "router/lane_state.h"

#include <amqp_framing.h>
#include <string.h>

enum { SILENCE_US = 1000 * 1000, SLOW_US = 50 * 1000 };

/* ---- towards the broker ---- */

/*
 * It came from the parking queue and keeps its place there: behind what is parked meanwhile it would lose its
 * order. Only a windowful does, so that a pass gets to what lies behind it; and who counts attempts needs
 * them written into the message.
 */
static bool
can_stay(const Lane *lane, const Delivery *delivery, const Flow *flow)
{
        return flow->passing && delivery->origin == flow && !flow_is_common(flow) &&
               lane->route->max_attempts == 0 && flow->aside.length < lane->route->prefetch;
}

/* Its own place does not exist, or not for us; others of its cluster may: it is parked alone. */
static void
park_alone(Lane *lane, Delivery *delivery, Reason reason)
{
        Flow *flow = delivery->target->flow ? delivery->target->flow : lane->common;

        if (lane->route->max_attempts > 0 && delivery->provenance.attempt >= lane->route->max_attempts) {
                lane_bury(lane, delivery, reason);
                return;
        }
        flow->failing = true;
        if (can_stay(lane, delivery, flow)) {
                delivery_hold(delivery, &flow->aside);
                return;
        }
        lane_log_message(lane, delivery, reason, "a message is parked alone");
        if (!flow->passing && !flow->wants_pass)
                flow_want_pass(flow, backoff_next_ms(&flow->backoff), lane->now_us);
        lane_park(lane, delivery, flow, reason);
}

static void
publish(Lane *lane, Delivery *delivery, bool bare)
{
        Target *target = delivery->target;
        PublicationNotes notes = dispatch_notes(delivery, lane->route, outlet_next_seq(target->outlet),
                                                lane->now_us, lane->now_unix_ms);
        amqp_bytes_t exchange, key;

        if (!target_address(target, delivery, lane->route, lane->scratch, &exchange, &key)) {
                lane_bury(lane, delivery, REASON_UNROUTABLE);
                return;
        }
        if (target->kind == TARGET_DESTINATION &&
            refusals_hold(lane->refusals, target->outlet, exchange, lane->now_us)) {
                park_alone(lane, delivery, REASON_UNROUTABLE);
                return;
        }
        delivery_unhold(delivery);
        delivery->published_us = lane->now_us;
        lane_note_sent(lane, delivery);
        outlet_publish(target->outlet, &delivery->flight, bare, exchange, key,
                       publication_build(lane->publication, delivery->message, &delivery->provenance, &notes),
                       delivery->message->body);
}

/* False if it has to wait. */
static bool
try_publish(Lane *lane, Delivery *delivery)
{
        Target *target = delivery->target;
        const char *hosts = dispatch_is_tagged(delivery, lane->route) ? delivery->tag_hosts : NULL;
        bool bare = publication_is_bare(delivery->message, hosts);

        if (lane->now_us < target->retry_us || lane_is_full(lane, target) || !lane_prepare(lane, target) ||
            !lane_prepare_reply(lane, delivery) || !outlet_is_ready(target->outlet, bare))
                return false;
        if (target->kind != TARGET_DEAD && delivery_is_expired(delivery, lane->now_us)) {
                lane_count_taken(lane, delivery);
                stats_add(&lane->stats->expired, 1);
                lane_settle(lane, delivery, REASON_EXPIRED);
                return true;
        }
        publish(lane, delivery, bare);
        return true;
}

/*
 * Destinations that take nothing may not use up what all others need, too: they keep a quarter of the lane's
 * load waiting, for the hold time, and then what is for them is parked.
 */
static void
check_patience(Lane *lane, Target *target)
{
        bool too_long = lane->now_us - target->trouble_us >= lane->conf->hold_time_ms * 1000;

        if (target->kind == TARGET_DESTINATION && target->trouble_us != 0 &&
            (too_long || lane_is_crowded(lane, target)))
                lane_give_up(lane, target->flow);
}

static void
hold(Lane *lane, Delivery *delivery)
{
        Target *target = delivery->target;

        if (!target->stalled)
                g_ptr_array_add(lane->stalled, target);
        target->stalled = true;
        delivery_hold(delivery, &target->held);
}

void
lane_send(Lane *lane, Delivery *delivery, Target *target, Reason reason)
{
        delivery->target = target;
        delivery->reason = reason;
        if (!g_queue_is_empty(&target->held) || !try_publish(lane, delivery))
                hold(lane, delivery);
}

void
lane_bury(Lane *lane, Delivery *delivery, Reason reason)
{
        lane_send(lane, delivery, &lane->dead, reason);
}

/* A message that waits for its destination goes to the parking queue instead once its flow is not open any
 * more. */
static bool
retarget(Lane *lane, Delivery *delivery)
{
        Target *target = delivery->target;
        Flow *flow = target->flow;

        if (target->kind != TARGET_DESTINATION || !lane_check_parking(lane, flow) || flow->state == FLOW_OPEN)
                return false;
        if (delivery->origin != flow) {
                delivery_unhold(delivery);
                lane_park(lane, delivery, flow, flow->reason);
                return true;
        }
        if (flow->state == FLOW_UNPARKING)
                return false;
        lane_hand_back(lane, delivery);
        return true;
}

void
lane_release_waiting(Lane *lane, Flow *flow)
{
        Delivery *delivery;

        while ((delivery = g_queue_peek_head(&flow->waiting)) != NULL) {
                delivery_unhold(delivery);
                if (flow->state == FLOW_OPEN)
                        lane_send(lane, delivery, &flow->destination, delivery->reason);
                else
                        lane_park(lane, delivery, flow, flow->reason);
        }
}

static void
flush_target(Lane *lane, Target *target)
{
        while (!g_queue_is_empty(&target->held)) {
                Delivery *delivery = g_queue_peek_head(&target->held);

                if (retarget(lane, delivery))
                        continue;
                if (!try_publish(lane, delivery))
                        return;
        }
}

void
lane_park(Lane *lane, Delivery *delivery, Flow *flow, Reason reason)
{
        bool closes = flow->state == FLOW_OPEN && !flow_is_common(flow) && reason != REASON_UNROUTABLE;

        if (flow_is_common(flow))
                flow->wants_pass = true;
        if (closes) {
                flow_park(flow, reason);
                /* What still waits for the destination came before, and so goes to the parking queue before.
                 */
                flush_target(lane, &flow->destination);
        }
        lane_send(lane, delivery, &flow->parking, reason);
}

void
lane_give_up(Lane *lane, Flow *flow)
{
        Target *target = &flow->destination;

        target->trouble_us = target->retry_us = 0;
        backoff_reset(&target->backoff);
        lane_break_pass(lane, flow);
        if (log_budget_take(&lane->log_budget))
                lane_log(lane, G_LOG_LEVEL_WARNING, flow_is_common(flow) ? NULL : flow->name,
                         "cluster %s takes nothing: parking what is for it", flow->name);
        flow_park(flow, REASON_NACKED);
        flow_want_pass(flow, backoff_next_ms(&flow->backoff), lane->now_us);
}

/* The broker has left a question open for that long. */
static bool
owes_answer(const Lane *lane, const Outlet *outlet, int64_t time_us)
{
        int64_t asked_us = outlet_asked_us(outlet);

        return asked_us != 0 && lane->now_us - asked_us >= time_us;
}

/*
 * Its own broker is away, does not answer, or confirms nothing although it has as much as it may have, or as
 * its socket takes. How long that may last depends on whether others have to wait meanwhile.
 */
bool
lane_is_out_of_order(const Lane *lane, const Target *target)
{
        Link *link = outlet_link(target->outlet);
        const Delivery *oldest = (const Delivery *)outlet_oldest(target->outlet);

        if (target->outlet == lane->outlet)
                return false;

        bool takes = !lane_is_full(lane, target) && outlet_is_ready(target->outlet, false);
        int64_t patience_us = lane_is_crowded(lane, target) ? SLOW_US : SILENCE_US;

        if (link_state(link) != LINK_UP || link_is_blocked(link) ||
            owes_answer(lane, target->outlet, SILENCE_US))
                return true;
        return !takes && oldest && lane->now_us - oldest->published_us >= patience_us;
}

void
lane_flush(Lane *lane)
{
        lane_count_held(lane);
        for (unsigned i = 0; i < lane->stalled->len;) {
                Target *target = g_ptr_array_index(lane->stalled, i);

                if (target->trouble_us == 0 && lane_is_out_of_order(lane, target))
                        target->trouble_us = lane->now_us;
                check_patience(lane, target);
                flush_target(lane, target);
                target->stalled = !g_queue_is_empty(&target->held);
                if (target->stalled)
                        i++;
                else
                        g_ptr_array_remove_index_fast(lane->stalled, i);
        }
}

/* ---- from the broker ---- */

void
lane_count_outcome(Lane *lane, const Delivery *delivery, const Target *target)
{
        ClusterStats *cluster = target->flow ? target->flow->stats : lane->common->stats;

        lane_count_taken(lane, delivery);
        switch (target->kind) {
        case TARGET_CALLER:
                lane_count_answer(lane, delivery);
                return;
        case TARGET_DEAD:
                stats_add(&lane->stats->dead, 1);
                lane_log_message(lane, delivery, delivery->reason, "a message went to the dead queue");
                return;
        case TARGET_PARKING:
                cluster_stats_park(cluster, lane->now_us);
                return;
        case TARGET_DESTINATION:
        case TARGET_QUEUE:
                stats_add(&cluster->delivered, 1);
                stats_add(&cluster->delivered_bytes, delivery->message->body.len);
                stats_add(&cluster->tagged,
                          delivery->target && dispatch_is_tagged(delivery, lane->route) ? 1 : 0);
                return;
        }
}

static void
on_confirmed(Lane *lane, Delivery *delivery)
{
        Target *target = delivery->target;

        histogram_add(&lane->stats->confirm, lane->now_us - delivery->published_us);
        backoff_reset(&target->backoff);
        if (g_queue_is_empty(&target->held))
                target->trouble_us = 0;
        /* It may be on its way back to us already: a pass does not end just now. */
        if (target->kind == TARGET_PARKING)
                target->flow->active_us = lane->now_us;
        if (delivery->flight.ledger)
                lane_count_outcome(lane, delivery, target);
        else
                lane_remember(lane, delivery, target);
        lane_settle(lane, delivery, delivery->reason);
}

static void
try_later(Lane *lane, Delivery *delivery)
{
        Target *target = delivery->target;

        if (target->trouble_us == 0)
                target->trouble_us = lane->now_us;
        if (lane->now_us >= target->retry_us)
                target->retry_us = lane->now_us + backoff_next_ms(&target->backoff) * 1000;
        hold(lane, delivery);
}

static void
on_returned(Lane *lane, Delivery *delivery)
{
        Target *target = delivery->target;

        stats_add(&lane->stats->returned, 1);
        if (target->kind == TARGET_DESTINATION || target->kind == TARGET_QUEUE) {
                park_alone(lane, delivery, REASON_UNROUTABLE);
                return;
        }
        if (target->kind == TARGET_CALLER) {
                lane_lose_caller(lane, delivery);
                return;
        }
        /* A queue of our own was deleted: make it again. */
        target->declared = false;
        lane->prepared = 0;
        try_later(lane, delivery);
}

/*
 * The exchange is not there, or not for us. There is no use in trying each message that goes to that one:
 * every try closes the channel and makes a windowful of possible duplicates. These are all of the cluster, or
 * those that name it.
 */
static void
park_refused(Lane *lane, Delivery *delivery, uint16_t code)
{
        Target *target = delivery->target;
        amqp_bytes_t exchange, key;
        bool all = code == AMQP_NOT_FOUND || code == AMQP_ACCESS_REFUSED;

        if (all && target->kind == TARGET_DESTINATION && target_name_is_fixed(target->exchange)) {
                if (target->flow->state == FLOW_OPEN || target->flow->passing)
                        lane_give_up(lane, target->flow);
                if (delivery->origin == target->flow) {
                        lane_hand_back(lane, delivery);
                        return;
                }
        } else if (code == AMQP_NOT_FOUND &&
                   target_address(target, delivery, lane->route, lane->scratch, &exchange, &key)) {
                refusals_note(lane->refusals, target->outlet, exchange, lane->now_us);
        }
        park_alone(lane, delivery, REASON_UNROUTABLE);
}

static void
log_refused(Lane *lane, const Delivery *delivery, const char *why)
{
        amqp_bytes_t exchange, key;

        /* It was published, so it has an address. */
        if (!target_address(delivery->target, delivery, lane->route, lane->scratch, &exchange, &key))
                return;

        g_autofree char *names =
            g_strdup_printf("%.*s%s%.*s", (int)exchange.len, (const char *)exchange.bytes,
                            exchange.len > 0 ? "/" : "", (int)key.len, (const char *)key.bytes);
        g_autofree char *shown = g_utf8_make_valid(names, -1);

        lane_log(lane, G_LOG_LEVEL_WARNING, NULL, "a publish to %s was refused: %s", shown, why);
}

static void
on_refused(Lane *lane, Delivery *delivery, const OutletEvent *event)
{
        Target *target = delivery->target;
        bool too_large = strstr(event->text, "larger than") != NULL;

        log_refused(lane, delivery, event->text);
        if (target->kind == TARGET_CALLER)
                lane_lose_caller(lane, delivery);
        else if (target->kind == TARGET_PARKING || target->kind == TARGET_DEAD)
                try_later(lane, delivery);
        else if (too_large)
                lane_bury(lane, delivery, REASON_TOO_LARGE);
        else
                park_refused(lane, delivery, event->code);
}

static void
on_event(Lane *lane, const OutletEvent *event)
{
        Delivery *delivery = (Delivery *)event->flight;

        lane_note_answered(lane, delivery);
        if (!delivery->flight.ledger && event->kind != OUTLET_CONFIRMED) {
                /* The broker has its original again. */
                lane_settle(lane, delivery, delivery->reason);
                return;
        }
        if (event->kind != OUTLET_CONFIRMED)
                stats_add(&lane->stats->republished, 1);
        switch (event->kind) {
        case OUTLET_CONFIRMED:
                on_confirmed(lane, delivery);
                return;
        case OUTLET_RETURNED:
                on_returned(lane, delivery);
                return;
        case OUTLET_NACKED:
                stats_add(&lane->stats->nacked, 1);
                try_later(lane, delivery);
                return;
        case OUTLET_REFUSED:
                on_refused(lane, delivery, event);
                return;
        case OUTLET_UNSURE:
                delivery->doubtful = true;
                hold(lane, delivery);
                return;
        case OUTLET_NOTHING:
                return;
        }
}

static bool
collect_from(Lane *lane, Outlet *outlet)
{
        OutletEvent event;
        bool any = false;

        while (outlet_next(outlet, &event) != OUTLET_NOTHING) {
                on_event(lane, &event);
                any = true;
        }
        return any;
}

/* A broker that confirms or answers nothing for the hold time is as good as gone: what it has is unsure. */
static void
check_silence(Lane *lane, Outlet *outlet)
{
        const Delivery *oldest = (const Delivery *)outlet_oldest(outlet);

        if (oldest && lane->now_us - oldest->published_us >= lane->conf->hold_time_ms * 1000)
                outlet_abandon(outlet, "the broker does not confirm what it was sent");
        else if (owes_answer(lane, outlet, lane->conf->hold_time_ms * 1000))
                outlet_abandon(outlet, "the broker does not answer");
}

bool
lane_collect(Lane *lane)
{
        bool any = false;

        for (unsigned i = 0; i < lane->outlets->len; i++) {
                any |= collect_from(lane, g_ptr_array_index(lane->outlets, i));
                check_silence(lane, g_ptr_array_index(lane->outlets, i));
        }
        return any;
}
