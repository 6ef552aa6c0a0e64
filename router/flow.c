/* SPDX-License-Identifier: MIT */

/*
 * The state machine only; what to do in each state (consume, cancel, publish) is the lane's part, so that the
 * transitions can be read, and tested, without a broker.
 */

#include "router/flow.h"
#include "router/relay.h"
#include "router/topology.h"

#include <string.h>

enum { IDLE_US = 200 * 1000 };

Flow *
flow_new(const Conf *conf, const ConfRoute *route, const char *name, int number, Outlet *parking_outlet,
         ClusterStats *stats)
{
        Flow *flow = g_new0(Flow, 1);
        g_autofree char *queue = topology_parking_queue(route, *name ? name : NULL);

        flow->name = g_strdup(name);
        flow->number = number;
        flow->stats = stats;
        flow->reason = REASON_CLUSTER_DOWN;
        flow->window = route->prefetch;
        target_init(&flow->parking, TARGET_PARKING, flow, parking_outlet, "", queue, name, true, conf);
        backoff_init(&flow->backoff, 500, conf->retry_max_ms);
        g_queue_init(&flow->aside);
        g_queue_init(&flow->waiting);
        return flow;
}

void
flow_set_destination(Flow *flow, const Conf *conf, const ConfRoute *route, Outlet *outlet)
{
        flow->has_destination = true;
        /* A name that differs from message to message cannot be declared beforehand. */
        target_init(&flow->destination, TARGET_DESTINATION, flow, outlet, route->exchange, route->key,
                    flow->name, route->to_queue && target_name_is_fixed(route->key), conf);
}

void
flow_free(Flow *flow)
{
        if (!flow)
                return;
        g_assert(g_queue_is_empty(&flow->aside) && g_queue_is_empty(&flow->waiting));
        if (flow->has_destination)
                target_clear(&flow->destination);
        target_clear(&flow->parking);
        relay_free(flow->relay);
        g_free(flow->name);
        g_free(flow);
}

bool
flow_is_common(const Flow *flow)
{
        return !flow->has_destination;
}

bool
flow_is_usable(const Flow *flow, const View *view)
{
        if (flow_is_common(flow))
                return flow->failing || flow->seen_view != view->generation;
        return view->single || (flow->cluster && view_cluster_is_usable(flow->cluster));
}

static void
set_state(Flow *flow, ClusterFlow state)
{
        flow->state = state;
        atomic_store_explicit(&flow->stats->state, state, memory_order_relaxed);
}

void
flow_park(Flow *flow, Reason reason)
{
        if (flow->state != FLOW_OPEN)
                return;
        flow->reason = reason;
        flow->wants_pass = true;
        set_state(flow, flow->passing ? FLOW_UNPARKING : FLOW_PARKING);
}

void
flow_want_pass(Flow *flow, int64_t delay_ms, int64_t now_us)
{
        flow->wants_pass = true;
        flow->retry_us = MAX(flow->retry_us, now_us + delay_ms * 1000);
}

bool
flow_is_due(const Flow *flow, const View *view, int64_t now_us)
{
        return flow->wants_pass && !flow->passing && flow->consumer == FLOW_CONSUMER_NONE &&
               now_us >= flow->retry_us && flow_is_usable(flow, view);
}

void
flow_begin_pass(Flow *flow, const View *view, int64_t now_us, int64_t now_unix_ms)
{
        flow->passing = true;
        flow->failing = false;
        flow->wants_pass = false;
        flow->pass_unix_ms = now_unix_ms;
        flow->active_us = now_us;
        flow->seen_view = view->generation;
        if (flow->state == FLOW_PARKING)
                set_state(flow, FLOW_UNPARKING);
}

bool
flow_has_tried(const Flow *flow, const Delivery *delivery)
{
        if (delivery->provenance.time_unix_ms < flow->pass_unix_ms)
                return false;
        /* What came in during the pass was parked for the sake of order and was never tried. */
        return flow_is_common(flow) ||
               bytes_equal(delivery->provenance.reason, reason_code(REASON_UNROUTABLE));
}

bool
flow_is_idle(const Flow *flow, int64_t now_us)
{
        return flow->passing && flow->in_hand == flow->aside.length && now_us - flow->active_us >= IDLE_US;
}

void
flow_end_pass(Flow *flow, bool whole, int64_t now_us)
{
        flow->passing = flow->closing = false;
        if (whole && !flow_is_common(flow))
                set_state(flow, FLOW_OPEN);
        else if (!whole)
                set_state(flow, flow->state == FLOW_UNPARKING ? FLOW_PARKING : flow->state);
        if (whole && !flow->failing) {
                backoff_reset(&flow->backoff);
                return;
        }
        flow_want_pass(flow, backoff_next_ms(&flow->backoff), now_us);
}
