/* SPDX-License-Identifier: MIT */

/*
 * Callers and their replies. A call for a cluster that is down is answered at once, if the route says so; a
 * call for a cluster with its own broker gets a reply queue there before it is forwarded, and what arrives in
 * that queue is copied to the caller: a reply relay is only one more intake, whose decision is constant.
 */

#include "router/dial.h"
#include "router/dispatch.h"
#include "router/lane_state.h"
#include "router/topology.h"

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
        Link *link = outlet_link(outlet);
        g_autoptr(GError) error = NULL;

        if (link_state(link) != LINK_UP || link_is_blocked(link) || !link_open_side(link))
                return false;
        switch (topology_ensure_reply_queue(link_connection(link), LINK_SIDE_CHANNEL, queue->name, &error)) {
        case TOPOLOGY_LOST:
                link_fail(link, "%s", error->message);
                return false;
        case TOPOLOGY_OK:
                queue->refused = false;
                break;
        default:
                queue->refused = true;
                g_warning("route %s: replies to %s are not copied: %s", lane->route->name, queue->name,
                          error->message);
        }
        queue->declared = link_generation(link);
        return true;
}

bool
lane_prepare_reply(Lane *lane, Delivery *delivery)
{
        Flow *flow = delivery->target->flow;

        if (!delivery->reply_to || !flow || !flow->relay || !can_be_relayed(delivery->reply_to))
                return true;

        RelayQueue *queue = relay_queue(flow->relay, delivery->reply_to, lane->now_us);

        if (!queue || queue->refused)
                return true;
        if (queue->declared == link_generation(outlet_link(flow->destination.outlet)))
                return true;
        if (!declare_reply_queue(lane, flow->destination.outlet, queue))
                return false;
        /* Now, since nothing might wake the lane between the request and its reply. */
        relay_consume(flow->relay, queue, lane->route->prefetch);
        return true;
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

                if (flow->relay && relay_by_number(flow->relay, delivery->relay->number) == delivery->relay)
                        relay_let_go(flow->relay, delivery->relay);
        }
        if (delivery->flight.ledger)
                lane_count_answer(lane, delivery);
        lane_settle(lane, delivery, REASON_REPLY_ORPHAN);
}
