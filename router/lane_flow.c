/* SPDX-License-Identifier: MIT */

/*
 * Clusters as a lane sees them. Queues are made in small portions between the messages, or when a message
 * needs one first; parking queues are consumed while their cluster is usable, and looked at now and then
 * while nothing is known to be in them, because another router may have parked something and gone.
 */

#include "router/lane_state.h"

#include <string.h>

enum {
        PREPARE_PORTION_US = 5 * 1000,
        LOOK_EVERY_US = 10 * 1000 * 1000,
        LOOK_PAUSE_US = 200 * 1000,
        LOOK_BUSY_US = 200 * 1000,
        EVIDENCE_PATIENCE_US = 1000 * 1000, /* then the next cluster has its turn */
        TEND_PORTION = 512,
        TEND_QUIET = 64 /* while no flow waits for anything */
};

/* ---- making flows ---- */

/* A cluster with a broker of its own gets connections of its own, so that one dead broker stops one cluster
 * only. */
static void
connect_own_broker(Lane *lane, Flow *flow, const ConfCluster *cluster)
{
        const char *const *urls = (const char *const *)cluster->amqp_urls;
        Outlet *outlet = outlet_new(lane->conf, lane->route, urls, &cluster->tls, &lane->home);

        g_ptr_array_add(lane->outlets, outlet);
        g_ptr_array_add(lane->own, flow);
        flow_set_destination(flow, lane->conf, lane->route, outlet);
        if (!lane->route->replies)
                return;
        flow->relay =
            relay_new(intake_new(INTAKE_REPLIES, lane->conf, lane->route, urls, &cluster->tls, &lane->home));
        g_ptr_array_add(lane->intakes, flow->relay->intake);
}

static Flow *
add_flow(Lane *lane, const char *name, bool with_destination)
{
        const ConfCluster *cluster = conf_find_cluster(lane->conf, name);
        ClusterStats *stats = route_stats_cluster(lane->stats, name);
        Flow *flow = flow_new(lane->conf, lane->route, name, (int)lane->flows->len, lane->outlet, stats);

        if (with_destination && cluster && cluster->amqp_urls[0])
                connect_own_broker(lane, flow, cluster);
        else if (with_destination)
                flow_set_destination(flow, lane->conf, lane->route, lane->outlet);
        g_ptr_array_add(lane->flows, flow);
        g_hash_table_insert(lane->flow_names, flow->name, flow);
        return flow;
}

Flow *
lane_flow(Lane *lane, const ViewCluster *cluster)
{
        Flow **slot = &lane->flow_of[cluster->index];

        if (*slot)
                return *slot;
        *slot = g_hash_table_lookup(lane->flow_names, cluster->name);
        if (!*slot)
                *slot = add_flow(lane, cluster->name, true);
        (*slot)->cluster = cluster;
        return *slot;
}

Target *
lane_queue_target(Lane *lane, const char *queue)
{
        Target *target = g_hash_table_lookup(lane->queues, queue);

        if (target)
                return target;
        target = g_new0(Target, 1);
        target_init(target, TARGET_QUEUE, NULL, lane->outlet, "", queue, "", true, lane->conf);
        g_hash_table_insert(lane->queues, target->key, target);
        return target;
}

void
lane_follow_view(Lane *lane)
{
        const GPtrArray *clusters = lane->view->clusters;

        if (!lane->common)
                lane->common = add_flow(lane, "", lane->view->single);
        for (unsigned i = 0; i < lane->flows->len; i++)
                ((Flow *)g_ptr_array_index(lane->flows, i))->cluster = NULL;
        lane->n_flow_of = clusters->len;
        lane->flow_of = g_renew(Flow *, lane->flow_of, MAX(clusters->len, 1));
        memset(lane->flow_of, 0, sizeof(Flow *) * clusters->len);
        for (unsigned i = 0; i < clusters->len; i++)
                lane_flow(lane, g_ptr_array_index(clusters, i));
}

/* ---- queues ---- */

/* A new connection may lead to a broker that knows none of the queues. */
static bool
is_declared(Target *target)
{
        if (target->declare && target->generation != link_generation(outlet_link(target->outlet)))
                target->declared = false;
        return target->declared;
}

static bool
declare(Lane *lane, Target *target, uint32_t *out_messages)
{
        Delivery nobody = {0};
        InquiryAnswer answer = {0};
        InquiryResult result;
        amqp_bytes_t exchange, key;

        target->generation = link_generation(outlet_link(target->outlet));
        /* A name too long for AMQP is found out again when something is published there. */
        if (!target_address(target, &nobody, lane->route, lane->scratch, &exchange, &key))
                return target->declared = true;

        g_autofree char *queue = g_strndup(key.bytes, key.len);

        result = lane_ask(lane, target->outlet, INQUIRY_ENSURE, queue, &answer);
        if (result == INQUIRY_PENDING)
                return false;
        /* It may be there all the same; publishing will tell. */
        if (result == INQUIRY_REFUSED)
                lane_log(lane, G_LOG_LEVEL_WARNING, NULL, "%s", answer.text);
        if (out_messages)
                *out_messages = answer.messages;
        return target->declared = true;
}

/* What lies in the parking queue already belongs before what comes now. */
static void
found_parked(Lane *lane, Flow *flow, uint32_t messages)
{
        flow->look_us = lane->now_us;
        if (lane->number == 0)
                cluster_stats_found(flow->stats, messages, lane->now_us);
        if (messages == 0)
                return;
        flow->wants_pass = true;
        if (!flow->checked && !flow_is_common(flow))
                flow_park(flow, REASON_CLUSTER_DOWN);
}

bool
lane_check_parking(Lane *lane, Flow *flow)
{
        uint32_t messages = 0;

        if (is_declared(&flow->parking))
                return true;
        flow->checked = false;
        if (!declare(lane, &flow->parking, &messages))
                return false;
        found_parked(lane, flow, messages);
        flow->checked = true;
        return true;
}

bool
lane_prepare(Lane *lane, Target *target)
{
        if (target->flow && !lane_check_parking(lane, target->flow))
                return false;
        return is_declared(target) || declare(lane, target, NULL);
}

/* ---- passes ---- */

void
lane_wait(Delivery *delivery, Flow *flow, Reason reason)
{
        delivery->target = &flow->destination;
        delivery->reason = reason;
        delivery_hold(delivery, &flow->waiting);
}

static void
begin_consumer(Lane *lane, Flow *flow)
{
        flow->consumer = FLOW_CONSUMER_ACTIVE;
        flow->active_us = lane->now_us;
        intake_consume(lane->parking, flow->number, flow->parking.key, flow->window);
}

static void
cancel_consumer(Lane *lane, Flow *flow)
{
        if (flow->consumer != FLOW_CONSUMER_ACTIVE)
                return;
        flow->consumer = FLOW_CONSUMER_ENDING;
        intake_cancel(lane->parking, flow->number);
}

void
lane_end_consumer(Lane *lane, int number)
{
        if (number >= 0 && (unsigned)number < lane->flows->len)
                ((Flow *)g_ptr_array_index(lane->flows, number))->consumer = FLOW_CONSUMER_NONE;
}

/* What was put aside goes back to its queue, and what was kept waiting goes on. */
static void
end_pass(Lane *lane, Flow *flow, bool whole)
{
        cancel_consumer(lane, flow);
        while (!g_queue_is_empty(&flow->aside))
                lane_hand_back(lane, g_queue_peek_head(&flow->aside));
        flow_end_pass(flow, whole, lane->now_us);
        lane_release_waiting(lane, flow);
}

void
lane_break_pass(Lane *lane, Flow *flow)
{
        if (flow->passing)
                end_pass(lane, flow, false);
}

static void
begin_pass(Lane *lane, Flow *flow)
{
        if (link_state(intake_link(lane->parking)) != LINK_UP || !lane_check_parking(lane, flow))
                return;
        if (flow->has_destination && (!outlet_is_ready(flow->destination.outlet, false) ||
                                      lane_is_out_of_order(lane, &flow->destination)))
                return;
        flow_begin_pass(flow, lane->view, lane->now_us, lane->now_unix_ms);
        begin_consumer(lane, flow);
}

/* How much lies in the parking queue; UINT32_MAX if nobody can tell now. Where the broker refuses to tell, a
 * pass would never see its end: it is broken off. */
static uint32_t
count_parked(Lane *lane, Flow *flow, InquiryResult result, const InquiryAnswer *answer)
{
        flow->look_us = lane->now_us;
        switch (result) {
        case INQUIRY_OK:
                return answer->messages;
        case INQUIRY_ABSENT:
                flow->parking.declared = false;
                lane->prepared = 0;
                return 0;
        case INQUIRY_REFUSED:
                lane_log(lane, G_LOG_LEVEL_WARNING, NULL, "%s", answer->text);
                lane_break_pass(lane, flow);
                break;
        case INQUIRY_PENDING:
                break;
        }
        return UINT32_MAX;
}

static uint32_t
look(Lane *lane, Flow *flow)
{
        InquiryAnswer answer = {0};
        InquiryResult result = lane_ask(lane, lane->outlet, INQUIRY_LOOK, flow->parking.key, &answer);

        return count_parked(lane, flow, result, &answer);
}

/* Nothing came for a while: is the parking queue empty? */
static void
try_ending(Lane *lane, Flow *flow)
{
        uint32_t messages;

        if (lane->now_us - flow->look_us < LOOK_PAUSE_US && flow->look_us > flow->active_us)
                return;
        messages = look(lane, flow);
        if (messages > 0 || target_pending(&flow->parking) > 0)
                return;
        flow->closing = flow->state == FLOW_UNPARKING;
        cancel_consumer(lane, flow);
}

/* Nothing more comes: if the parking queue is empty now, it was emptied. */
static void
finish_pass(Lane *lane, Flow *flow)
{
        uint32_t messages;

        if (flow->in_hand > flow->aside.length || target_pending(&flow->parking) > 0)
                return;
        messages = look(lane, flow);
        if (messages == 0)
                end_pass(lane, flow, true);
        else if (messages != UINT32_MAX)
                begin_consumer(lane, flow);
}

/* New messages keep coming in behind the parked ones: close up once few of these are left. */
static void
try_closing(Lane *lane, Flow *flow)
{
        uint32_t messages;

        if (flow->closing || flow->state != FLOW_UNPARKING || lane->now_us - flow->look_us < LOOK_PAUSE_US)
                return;
        messages = look(lane, flow);
        flow->closing = messages <= lane->route->prefetch;
}

/* What was put aside leaves no room for what comes behind it. */
static bool
is_full(const Lane *lane, const Flow *flow)
{
        if (flow->in_hand > flow->aside.length || flow->aside.length == 0)
                return false;
        return flow->aside.length >= flow->window ||
               delivery_list_load(&flow->aside).bytes > lane->conf->in_flight_bytes / 2;
}

static void
tend_pass(Lane *lane, Flow *flow)
{
        if (!flow_is_common(flow) && !flow_is_usable(flow, lane->view)) {
                lane_break_pass(lane, flow);
        } else if (is_full(lane, flow)) {
                flow->window = MIN(2 * flow->window, UINT16_MAX);
                lane_break_pass(lane, flow);
        } else if (flow->consumer == FLOW_CONSUMER_NONE) {
                finish_pass(lane, flow);
        } else if (flow->consumer == FLOW_CONSUMER_ACTIVE) {
                try_closing(lane, flow);
                if (flow_is_idle(flow, lane->now_us))
                        try_ending(lane, flow);
        }
}

static void
tend(Lane *lane, Flow *flow)
{
        if (flow->relay && lane->stop_us == 0)
                lane_tend_relay(lane, flow);
        if (flow->passing)
                tend_pass(lane, flow);
        else if (lane->stop_us == 0 && flow_is_due(flow, lane->view, lane->now_us))
                begin_pass(lane, flow);
}

/* Nothing was parked here while we looked. */
static bool
is_quiet(const Lane *lane, const Flow *flow)
{
        return flow->checked && !flow->passing && target_pending(&flow->parking) == 0 && flow->in_hand == 0 &&
               flow->active_us < lane->looked_us;
}

/* An idle flow's parking queue may have got something from another router. False while that is not known. */
static bool
look_for_parked(Lane *lane, Flow *flow)
{
        bool due = is_quiet(lane, flow) && lane->now_us - flow->look_us >= LOOK_EVERY_US;
        InquiryAnswer answer = {0};
        InquiryResult result;
        uint32_t messages;

        if (!lane->looking && !due)
                return true;
        result = outlet_ask(lane->outlet, INQUIRY_LOOK, flow->parking.key, lane->now_us, &answer);
        lane->looking = result == INQUIRY_PENDING;
        if (lane->looking || !is_quiet(lane, flow))
                return !lane->looking;
        messages = count_parked(lane, flow, result, &answer);
        if (messages != UINT32_MAX)
                found_parked(lane, flow, messages);
        return true;
}

/*
 * One flow at a time. Fewer while messages are in hand, since a look wakes a queue that slept, which costs
 * the broker as much as many messages. Nobody waits for these answers, not even the shared broker's: it may
 * have raised an alarm with our last publish, and then it does not answer.
 */
static void
look_around(Lane *lane)
{
        bool busy = ledger_open_count(intake_ledger(lane->shared)) > 0;
        int64_t since_us = lane->now_us - lane->looked_us;

        if (lane->flows->len == 0)
                return;

        Flow *flow = g_ptr_array_index(lane->flows, lane->look_cursor % lane->flows->len);
        bool known = lane_compare_evidence(lane, flow) || since_us >= EVIDENCE_PATIENCE_US;

        if (!look_for_parked(lane, flow) || !known || (busy && since_us < LOOK_BUSY_US))
                return;
        lane->looked_us = lane->now_us;
        lane->look_cursor = (lane->look_cursor + 1) % lane->flows->len;
}

/* Grows with every flow, and with every channel that may lead to a broker without our queues. */
static uint64_t
count_changes(const Lane *lane)
{
        uint64_t count = lane->flows->len;

        for (unsigned i = 0; i < lane->outlets->len; i++)
                count += link_generation(outlet_link(g_ptr_array_index(lane->outlets, i)));
        return count;
}

/*
 * Eagerly, so that services find their queues; in portions, so that messages do not wait for 10,000 of them;
 * and not at all once everything is there.
 */
static void
prepare_some(Lane *lane)
{
        int64_t until_us = lane->now_us + PREPARE_PORTION_US;
        uint64_t changes = count_changes(lane);
        bool all = true;

        if (lane->prepared == changes)
                return;
        for (unsigned i = 0; i < lane->flows->len; i++) {
                Flow *flow = g_ptr_array_index(lane->flows, i);

                all &= flow->has_destination ? lane_prepare(lane, &flow->destination)
                                             : lane_check_parking(lane, flow);
                if (g_get_monotonic_time() >= until_us)
                        return;
        }
        if (lane_prepare(lane, &lane->dead) && all)
                lane->prepared = changes;
}

void
lane_prepare_flows(Lane *lane)
{
        Link *link = outlet_link(lane->outlet);

        if (link_state(link) == LINK_UP && !link_is_blocked(link))
                prepare_some(lane);
}

static void
count_waiting(Lane *lane, Flow *flow)
{
        bool waiting = flow->passing || flow->wants_pass || !flow->checked;

        if (waiting != flow->in_wait)
                lane->waiting += waiting ? 1 : -1;
        flow->in_wait = waiting;
}

void
lane_tend_flows(Lane *lane)
{
        bool quiet = lane->waiting == 0 && lane->outlets->len == 1;
        unsigned portion = MIN(lane->flows->len, quiet ? TEND_QUIET : TEND_PORTION);

        for (unsigned i = 0; i < portion; i++) {
                lane->tend_cursor = (lane->tend_cursor + 1) % lane->flows->len;

                Flow *flow = g_ptr_array_index(lane->flows, lane->tend_cursor);

                tend(lane, flow);
                count_waiting(lane, flow);
        }
        lane->tended += portion;
        look_around(lane);
}
