/* SPDX-License-Identifier: MIT */

/*
 * A message comes in. It is entered into the ledger first, so that whatever happens next it either gets an
 * outcome or goes back to the broker; then its envelope is read, the decision is made, and it is handed to a
 * target.
 */

#include "router/dispatch.h"
#include "router/lane_state.h"

static void
count_received(Lane *lane, Intake *intake, const Delivery *delivery)
{
        lane->in_flight_bytes += delivery->bytes;
        if (intake_kind(intake) == INTAKE_REPLIES)
                return;
        if (delivery->message->redelivered)
                stats_add(&lane->stats->redelivered, 1);
        if (delivery->origin || intake_kind(intake) == INTAKE_HOSTS)
                return;
        stats_add(&lane->stats->received, 1);
        stats_add(&lane->stats->received_bytes, delivery->message->body.len);
}

static void
forget(Lane *lane, Delivery *delivery)
{
        lane->in_flight_bytes -= delivery->bytes;
        delivery_free(delivery);
}

/* The delivery is not in the books any more as one without outcome. */
static void
leave_origin(Delivery *delivery)
{
        if (delivery->origin)
                delivery->origin->in_hand--;
        if (delivery->relay)
                delivery->relay->in_hand--;
        if (delivery->taken)
                delivery->taken->in_hand--;
}

void
lane_count_unparked(const Lane *lane, const Delivery *delivery)
{
        int64_t parked_ms = delivery->provenance.time_unix_ms;
        int64_t ago_ms = MAX(lane->now_unix_ms - parked_ms, 0);

        cluster_stats_unpark(delivery->origin->stats, parked_ms ? lane->now_us - ago_ms * 1000 : 0);
}

void
lane_settle(Lane *lane, Delivery *delivery, Reason reason)
{
        bool orphan = delivery->flight.ledger == NULL;

        delivery_unhold(delivery);
        if (orphan) {
                /* Its channel is gone: the broker delivers it again, and that copy is counted. */
                forget(lane, delivery);
                return;
        }
        leave_origin(delivery);
        if (delivery->origin)
                lane_count_unparked(lane, delivery);
        stats_add(&lane->stats->reasons[reason], 1);
        atomic_store_explicit(&lane->stats->progress_us, lane->now_us, memory_order_relaxed);
        if (!delivery->relay)
                histogram_add(&lane->stats->hop, lane->now_us - delivery->message->received_us);
        lane->settled = true;
        ledger_settle(&delivery->flight, lane->now_us);
}

void
lane_hand_back(Lane *lane, Delivery *delivery)
{
        delivery_unhold(delivery);
        leave_origin(delivery);
        ledger_hand_back(&delivery->flight);
}

void
lane_sweep_ledger(Lane *lane, Intake *intake)
{
        Flight *flight;

        while ((flight = ledger_pop(intake_ledger(intake))) != NULL) {
                Delivery *delivery = (Delivery *)flight;

                lane->in_flight_bytes -= delivery->bytes;
                lane_keep(lane, delivery);
        }
}

static void
drop(Flight *flight, void *user_data)
{
        Delivery *delivery = (Delivery *)flight;

        if (flight->state == FLIGHT_SETTLED)
                lane_remember(user_data, delivery, NULL);
        forget(user_data, delivery);
}

/* None of the parking intake's deliveries is in hand any more. */
static void
abort_passes(Lane *lane)
{
        for (unsigned i = 0; i < lane->flows->len; i++) {
                Flow *flow = g_ptr_array_index(lane->flows, i);

                flow->in_hand = 0;
                flow->consumer = FLOW_CONSUMER_NONE;
                if (flow->passing)
                        flow_end_pass(flow, false, lane->now_us);
                lane_release_waiting(lane, flow);
        }
}

static void
forget_replies(Lane *lane, const Intake *intake)
{
        for (unsigned i = 0; i < lane->flows->len; i++) {
                const Flow *flow = g_ptr_array_index(lane->flows, i);

                for (unsigned n = 0;
                     flow->relay && flow->relay->intake == intake && n < flow->relay->queues->len; n++)
                        ((RelayQueue *)g_ptr_array_index(flow->relay->queues, n))->in_hand = 0;
        }
}

void
lane_drop_all(Lane *lane, Intake *intake)
{
        Ledger *ledger = intake_ledger(intake);

        if (intake_kind(intake) == INTAKE_SHARED)
                stats_add(&lane->stats->requeued, ledger_open_count(ledger));
        lane_remember_kept(lane, intake);
        ledger_reset(ledger, drop, lane);
        if (intake_kind(intake) == INTAKE_PARKING)
                abort_passes(lane);
        else if (intake_kind(intake) == INTAKE_REPLIES)
                forget_replies(lane, intake);
        else if (intake_kind(intake) == INTAKE_HOSTS)
                lane_abort_taking(lane, intake);
}

/* ---- from the message to its target ---- */

static void
deliver(Lane *lane, Delivery *delivery, Flow *flow, const Decision *decision)
{
        dispatch_choose_host(delivery, lane->route, decision->cluster);
        lane_check_parking(
            lane, flow); /* what lies there goes first; if it cannot be seen now, the target waits, too */
        if (flow->state == FLOW_OPEN || delivery->origin == flow)
                lane_send(lane, delivery, &flow->destination, decision->reason);
        else if (flow->closing)
                lane_wait(delivery, flow, decision->reason);
        else
                lane_park(lane, delivery, flow, flow->reason);
}

static void
park(Lane *lane, Delivery *delivery, Flow *flow, Reason reason)
{
        bool too_early = delivery->origin == flow && !flow_is_common(flow);

        /* The pass was too early: what is left stays in its queue, in order, and behind it, before this, what
         * waits for its end. */
        if (too_early || !g_queue_is_empty(&flow->waiting))
                lane_break_pass(lane, flow);
        if (too_early)
                lane_hand_back(lane, delivery);
        else
                lane_park(lane, delivery, flow, reason);
}

/* Its cluster looks usable, but takes nothing just now: to a caller that is the same as down. */
static bool
answers_at_once(const Lane *lane, const Delivery *delivery, const Flow *flow, const Envelope *envelope)
{
        return flow->state == FLOW_PARKING && !delivery->origin && envelope->is_call &&
               lane->route->on_down_call.kind == CONF_POLICY_FAIL;
}

static void
act(Lane *lane, Delivery *delivery, const Envelope *envelope, const Decision *decision)
{
        Flow *flow = decision->cluster ? lane_flow(lane, decision->cluster) : lane->common;

        switch (decision->kind) {
        case DECIDE_DELIVER:
                if (answers_at_once(lane, delivery, flow, envelope) &&
                    lane_answer(lane, delivery, envelope, flow->name, flow->reason))
                        return;
                lane_note_caller(delivery, flow, envelope);
                deliver(lane, delivery, flow, decision);
                return;
        case DECIDE_QUEUE:
                lane_send(lane, delivery, lane_queue_target(lane, decision->queue), decision->reason);
                return;
        case DECIDE_DEAD:
                lane_bury(lane, delivery, decision->reason);
                return;
        case DECIDE_FAIL:
                if (lane_answer(lane, delivery, envelope, flow->name, decision->reason))
                        return;
                park(lane, delivery, flow, decision->reason);
                return;
        case DECIDE_PARK:
                park(lane, delivery, flow, decision->reason);
                return;
        }
}

void
lane_route(Lane *lane, Delivery *delivery)
{
        Envelope envelope;

        dispatch_read(delivery, lane->reader, lane->view, &envelope, NULL);
        delivery->unique_id = envelope.unique_id;
        if (lane_recognise(lane, delivery))
                return;

        Decision decision = decide(&envelope, lane->route, lane->view, delivery->arrival);

        act(lane, delivery, &envelope, &decision);
}

/* A message that came out of a parking queue: is it to be tried now? */
static bool
admit_parked(Lane *lane, Delivery *delivery)
{
        Flow *flow = delivery->origin;
        int64_t parked_s = (lane->now_unix_ms - delivery->provenance.since_unix_ms) / 1000;

        flow->active_us = lane->now_us;
        if (!flow->passing) {
                lane_hand_back(lane, delivery);
                return false;
        }
        if (lane->route->park_ttl_s > 0 && delivery->provenance.since_unix_ms > 0 &&
            parked_s >= lane->route->park_ttl_s) {
                lane_bury(lane, delivery, REASON_EXPIRED);
                return false;
        }
        if (flow_has_tried(flow, delivery)) {
                flow->failing |= bytes_equal(delivery->provenance.reason, reason_code(REASON_UNROUTABLE));
                delivery_hold(delivery, &flow->aside);
                return false;
        }
        return true;
}

static Relay *
relay_of(const Lane *lane, const Intake *intake)
{
        for (unsigned i = 0; i < lane->flows->len; i++) {
                const Flow *flow = g_ptr_array_index(lane->flows, i);

                if (flow->relay && flow->relay->intake == intake)
                        return flow->relay;
        }
        return NULL;
}

static Flow *
origin_of(const Lane *lane, const Intake *intake, const Message *message)
{
        if (intake_kind(intake) != INTAKE_PARKING || message->consumer < 0 ||
            (unsigned)message->consumer >= lane->flows->len)
                return NULL;
        return g_ptr_array_index(lane->flows, message->consumer);
}

static void
handle(Lane *lane, Intake *intake, Delivery *delivery)
{
        switch (intake_kind(intake)) {
        case INTAKE_PARKING:
                delivery->origin->in_hand++;
                if (admit_parked(lane, delivery))
                        lane_route(lane, delivery);
                return;
        case INTAKE_HOSTS:
                lane_receive_taken(lane, delivery);
                return;
        case INTAKE_REPLIES:
                lane_receive_reply(lane, relay_of(lane, intake), delivery);
                return;
        case INTAKE_SHARED:
                if (lane_is_poison(lane, delivery))
                        lane_bury(lane, delivery, REASON_POISON);
                else
                        lane_route(lane, delivery);
                return;
        }
}

void
lane_receive(Lane *lane, Intake *intake, Message *message)
{
        Flow *origin = origin_of(lane, intake, message);
        bool stray = intake_kind(intake) == INTAKE_PARKING && !origin;
        bool own = origin || intake_kind(intake) == INTAKE_HOSTS;

        message->received_us = lane->now_us;

        Delivery *delivery = delivery_new(message, origin, own, lane->arrivals++, lane->now_unix_ms);

        if (stray || !ledger_add(intake_ledger(intake), message->tag, &delivery->flight)) {
                link_fail(intake_link(intake), "the broker's delivery tags are out of step");
                delivery_free(delivery);
                return;
        }
        count_received(lane, intake, delivery);
        handle(lane, intake, delivery);
}
