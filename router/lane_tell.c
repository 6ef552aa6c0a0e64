/* SPDX-License-Identifier: MIT */
/*
 * The lane knows what it told last, so that a connection that changes is one line in the log and one step of
 * the counts that all lanes of the route share.
 */
#include "router/lane_state.h"

static void
report(Lane *lane, const char *error)
{
        if (g_strcmp0(error, lane->reported) == 0)
                return;
        if (error && !lane->reported) {
                lane_log(lane, G_LOG_LEVEL_WARNING, NULL, "%s", error);
                stats_add(&lane->stats->reconnects, 1);
        } else if (!error) {
                lane_log(lane, G_LOG_LEVEL_MESSAGE, NULL, "connected again");
        }
        g_free(lane->reported);
        lane->reported = g_strdup(error);
        route_stats_set_error(lane->stats, error);
}

static OwnBrokerState
state_of_broker(const Link *link)
{
        if (link_state(link) == LINK_UP)
                return link_is_blocked(link) ? OWN_BROKER_BLOCKED : OWN_BROKER_CONNECTED;
        return link_error(link) ? OWN_BROKER_DOWN : OWN_BROKER_CONNECTING;
}

static void
tell_broker(const Lane *lane, Flow *flow, OwnBrokerState state)
{
        if (state == flow->broker)
                return;
        route_stats_change_broker(lane->stats, flow->stats, flow->broker, state, lane->now_us);
        flow->broker = state;
}

void
lane_tell(Lane *lane)
{
        bool consuming = link_state(intake_link(lane->shared)) == LINK_UP && lane->stop_us == 0;
        bool blocked = link_is_blocked(outlet_link(lane->outlet));
        const char *error = link_error(intake_link(lane->shared));

        for (unsigned i = lane->outlets->len; i-- > 0;) {
                const char *of_outlet = link_error(outlet_link(g_ptr_array_index(lane->outlets, i)));

                error = of_outlet ? of_outlet : error;
        }
        for (unsigned i = 0; i < lane->own->len; i++) {
                Flow *flow = g_ptr_array_index(lane->own, i);

                tell_broker(lane, flow, state_of_broker(outlet_link(flow->destination.outlet)));
        }
        if (consuming != lane->consuming)
                atomic_fetch_add(&lane->stats->lanes_consuming, consuming ? 1 : -1);
        if (blocked != lane->blocked)
                atomic_fetch_add(&lane->stats->lanes_blocked, blocked ? 1 : -1);
        if (consuming && !lane->consuming && !lane->reported)
                lane_log(lane, G_LOG_LEVEL_MESSAGE, NULL, "consuming %s", lane->route->queue);
        lane->consuming = consuming;
        lane->blocked = blocked;
        if (lane->stop_us == 0)
                report(lane, error);
}

void
lane_tell_end(Lane *lane)
{
        lane_tell(lane);
        for (unsigned i = 0; i < lane->own->len; i++)
                tell_broker(lane, g_ptr_array_index(lane->own, i), OWN_BROKER_NONE);
        atomic_store(&lane->stats->in_flight, 0);
        atomic_fetch_sub(&lane->stats->lanes, 1);
}
