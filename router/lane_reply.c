/* SPDX-License-Identifier: MIT */

/*
 * Callers and their replies. A call for a cluster that is down is answered at once, if the route says so; a
 * call for a cluster with its own broker gets a reply queue there before it is forwarded, and what arrives in
 * that queue is copied to the caller: a reply relay is only one more intake, whose decision is constant.
 */

#include "router/dispatch.h"
#include "router/lane_state.h"

enum { NOTE_EVERY_US = 60 * 1000 * 1000, TEND_AT_ONCE = 16 };

bool
lane_answer(Lane *lane, Delivery *delivery, const Envelope *envelope, const char *cluster, Reason reason)
{
        /* The request is done with once its answer is confirmed. */
        if (!dispatch_answer(delivery, envelope, cluster, reason, lane->now_unix_ms))
                return false;
        lane_send(lane, delivery, &lane->caller, reason);
        return true;
}

/* A call that was answered is over: in the books it stands beside those whose time was over. */
void
lane_count_answer(Lane *lane, const Delivery *delivery)
{
        if (delivery->relay)
                return;
        stats_add(&lane->stats->failed, 1);
        stats_add(&lane->stats->expired, 1);
}

void
lane_note_caller(Delivery *delivery, const Flow *flow, const Envelope *envelope)
{
        if (flow->relay)
                delivery->reply_to = answer_address(envelope, delivery->message);
}

/* A name that AMQP reserves is direct reply-to, which works inside one broker only. */
static bool
can_be_relayed(const char *name)
{
        return *name && !g_str_has_prefix(name, "amq.");
}

static bool
declare_reply_queue(Lane *lane, Outlet *outlet, RelayQueue *queue)
{
        InquiryAnswer answer = {0};
        InquiryResult result = lane_ask(lane, outlet, INQUIRY_REPLY, queue->name, &answer);

        if (result == INQUIRY_PENDING)
                return false;
        queue->refused = result == INQUIRY_REFUSED;
        if (queue->refused)
                lane_log(lane, G_LOG_LEVEL_WARNING, NULL, "replies to %s are not copied: %s", queue->name,
                         answer.text);
        queue->declared = link_generation(outlet_link(outlet));
        return true;
}

/* Once a minute: so the book knows which names are in use. */
static void
write_down(Lane *lane, const Flow *flow, RelayQueue *queue)
{
        if (queue->noted_us != 0 && lane->now_us - queue->noted_us < NOTE_EVERY_US)
                return;
        queue->noted_us = lane->now_us;
        reply_book_note(lane->book, flow->name, queue->name);
}

bool
lane_prepare_reply(Lane *lane, Delivery *delivery)
{
        const Target *target = delivery->target;
        Flow *flow = target->flow;

        /* On its way into a parking queue it must not wait for a cluster that is away. */
        if (target->kind != TARGET_DESTINATION || !delivery->reply_to || !flow || !flow->relay ||
            !can_be_relayed(delivery->reply_to))
                return true;

        RelayQueue *queue = relay_queue(flow->relay, delivery->reply_to, lane->now_us);

        if (!queue || queue->refused)
                return true;
        write_down(lane, flow, queue);
        if (queue->declared == link_generation(outlet_link(flow->destination.outlet)))
                return true;
        if (!declare_reply_queue(lane, flow->destination.outlet, queue))
                return false;
        /* At once: the lane may take a nap between the request and its reply. */
        relay_consume(flow->relay, queue, lane->route->prefetch);
        return true;
}

/* Names that other routers, or our own earlier run, have written down. */
static void
learn_names(Lane *lane, Flow *flow)
{
        g_autoptr(GPtrArray) names = reply_book_names(lane->book, flow->name);

        flow->relay->book_generation = reply_book_generation(lane->book);
        /* None that is in use here makes room for one that may be used elsewhere. */
        for (unsigned i = 0; i < names->len; i++) {
                const char *name = g_ptr_array_index(names, i);

                if (can_be_relayed(name) && !g_hash_table_contains(flow->relay->names, name) &&
                    g_hash_table_size(flow->relay->names) < RELAY_QUEUES_MAX)
                        relay_queue(flow->relay, name, lane->now_us);
        }
}

void
lane_tend_relay(Lane *lane, Flow *flow)
{
        RelayQueue *queue;

        if (flow->relay->book_generation != reply_book_generation(lane->book))
                learn_names(lane, flow);
        /* Declared right before it is consumed: to consume a queue that has expired meanwhile would close the
         * channel. */
        for (unsigned i = 0; i < TEND_AT_ONCE && (queue = relay_next_waiting(flow->relay, lane->now_us));
             i++) {
                if (declare_reply_queue(lane, flow->destination.outlet, queue))
                        relay_consume(flow->relay, queue, lane->route->prefetch);
        }
}

void
lane_receive_reply(Lane *lane, Relay *relay, Delivery *delivery)
{
        RelayQueue *queue = relay_by_number(relay, delivery->message->consumer);

        if (!queue) {
                /* Let go meanwhile: it waits in its queue until somebody asks for it again. */
                ledger_hand_back(&delivery->flight);
                return;
        }
        queue->used_us = lane->now_us;
        queue->in_hand++;
        delivery->relay = queue;
        delivery->provenance.key = bytes_of(queue->name);
        lane_send(lane, delivery, &lane->caller, REASON_REPLY);
}

void
lane_lose_caller(Lane *lane, Delivery *delivery)
{
        for (unsigned i = 0; delivery->relay && i < lane->flows->len; i++) {
                const Flow *flow = g_ptr_array_index(lane->flows, i);

                if (!flow->relay || relay_by_number(flow->relay, delivery->relay->number) != delivery->relay)
                        continue;
                reply_book_forget(lane->book, flow->name, delivery->relay->name);
                delivery->relay->noted_us = 0;
                relay_let_go(flow->relay, delivery->relay);
        }
        if (delivery->flight.ledger)
                lane_count_answer(lane, delivery);
        lane_settle(lane, delivery, REASON_REPLY_ORPHAN);
}
