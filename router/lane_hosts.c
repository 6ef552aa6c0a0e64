/* SPDX-License-Identifier: MIT */

/*
 * The queue of a dead host is only another intake, like a parking queue: what lies there is fetched, read and
 * decided as if it had just come, and acknowledged when it stands elsewhere. A host that comes back keeps
 * what was not fetched. Few queues at a time, so that a site that lost its power does not flood the lane, and
 * only the first lane, so that the order within a queue holds.
 */

#include "router/lane_state.h"

enum {
        WALK = 256,            /* queues looked after per call */
        TAKEN_MAX = 8,         /* consumed at one time */
        IDLE_US = 500 * 1000,  /* nothing came: is it empty? */
        RETRY_US = 500 * 1000, /* no connection just now */
};

static Flow *
flow_of(const Lane *lane, const HostQueue *queue)
{
        return g_hash_table_lookup(lane->flow_names, queue->cluster);
}

/* Of the broker where it stands. */
static Outlet *
outlet_of(const Lane *lane, const HostQueue *queue)
{
        return flow_of(lane, queue)->destination.outlet;
}

/* At the broker where the queue stands. */
static Intake *
intake_of(Lane *lane, const Flow *flow)
{
        Outlet *outlet = flow->destination.outlet;
        Intake *intake = g_hash_table_lookup(lane->host_intakes, outlet);
        const ConfCluster *cluster =
            outlet != lane->outlet ? conf_find_cluster(lane->conf, flow->name) : NULL;

        if (intake)
                return intake;
        intake = intake_new(INTAKE_HOSTS, lane->conf, lane->route,
                            (const char *const *)(cluster ? cluster->amqp_urls : lane->conf->broker_urls),
                            cluster ? &cluster->tls : &lane->conf->broker_tls, &lane->home);
        g_hash_table_insert(lane->host_intakes, outlet, intake);
        g_ptr_array_add(lane->intakes, intake);
        return intake;
}

static void
cancel(Lane *lane, HostQueue *queue)
{
        if (queue->state != HOST_QUEUE_TAKEN)
                return;
        queue->state = HOST_QUEUE_ENDING;
        intake_cancel(intake_of(lane, flow_of(lane, queue)), queue->number);
}

static void
leave(Lane *lane, HostQueue *queue)
{
        if (queue->state != HOST_QUEUE_LEFT && queue->taken > 0)
                lane_log(lane, G_LOG_LEVEL_MESSAGE, queue->cluster,
                         "took back %" G_GUINT64_FORMAT " messages from %s: host %s of cluster %s is %s",
                         queue->taken, queue->queue, queue->host, queue->cluster,
                         queue->dead ? "down" : "back");
        host_queue_leave(lane->host_queues, queue, queue->taken == 0, lane->now_us);
}

void
lane_follow_hosts(Lane *lane)
{
        if (lane->host_queues)
                host_queues_follow(lane->host_queues, lane->view, lane->now_us);
        for (int i = 0; i < host_queues_numbers(lane->host_queues); i++) {
                HostQueue *queue = host_queues_by_number(lane->host_queues, i);

                if (queue && !queue->dead)
                        cancel(lane, queue);
        }
}

/* How much lies there; false: not to be told now, so later. */
static bool
look(Lane *lane, HostQueue *queue, uint32_t *out_messages)
{
        InquiryAnswer answer = {0};
        InquiryResult result = lane_ask(lane, outlet_of(lane, queue), INQUIRY_LOOK, queue->queue, &answer);

        if (result == INQUIRY_REFUSED && !queue->refused)
                lane_log(lane, G_LOG_LEVEL_WARNING, queue->cluster,
                         "what is left in %s cannot be taken back: the broker refuses it", queue->queue);
        queue->refused = result == INQUIRY_REFUSED;
        *out_messages = answer.messages;
        return result == INQUIRY_OK || result == INQUIRY_ABSENT;
}

static void
begin(Lane *lane, HostQueue *queue)
{
        uint32_t messages = 0;
        Intake *intake;

        if (!look(lane, queue, &messages) && !queue->refused) {
                queue->due_us = lane->now_us + RETRY_US;
                return;
        }
        if (messages == 0) {
                host_queue_leave(lane->host_queues, queue, true, lane->now_us);
                return;
        }
        intake = intake_of(lane, flow_of(lane, queue));
        if (link_state(intake_link(intake)) != LINK_UP) {
                queue->due_us = lane->now_us + RETRY_US;
                return;
        }
        host_queue_take(lane->host_queues, queue, lane->now_us);
        intake_consume(intake, queue->number, queue->queue, lane->route->prefetch);
}

/* Nothing came for a while: over, if nothing is left. */
static void
try_ending(Lane *lane, HostQueue *queue)
{
        uint32_t messages = 0;

        queue->active_us = lane->now_us;
        if (look(lane, queue, &messages) && messages == 0)
                cancel(lane, queue);
}

/* True if it asked the broker: once per call is enough. */
static bool
tend(Lane *lane, HostQueue *queue)
{
        bool idle = queue->in_hand == 0 && lane->now_us - queue->active_us >= IDLE_US;
        bool due = queue->dead && lane->now_us >= queue->due_us && lane->stop_us == 0 &&
                   host_queues_taken(lane->host_queues) < TAKEN_MAX;

        if (queue->state == HOST_QUEUE_TAKEN && idle)
                try_ending(lane, queue);
        else if (queue->state == HOST_QUEUE_LEFT && due)
                begin(lane, queue);
        else
                return false;
        return true;
}

void
lane_tend_hosts(Lane *lane)
{
        unsigned count = MIN(host_queues_count(lane->host_queues), WALK);

        for (unsigned i = 0; i < count; i++) {
                if (tend(lane, host_queues_next(lane->host_queues)))
                        return;
        }
}

void
lane_receive_taken(Lane *lane, Delivery *delivery)
{
        HostQueue *queue = host_queues_by_number(lane->host_queues, delivery->message->consumer);

        delivery->taken = queue;
        if (queue)
                queue->in_hand++;
        if (!queue || !queue->dead || lane->stop_us != 0) {
                lane_hand_back(lane, delivery);
                return;
        }
        queue->active_us = lane->now_us;
        queue->taken++;
        lane_route(lane, delivery);
}

void
lane_end_taking(Lane *lane, int number)
{
        HostQueue *queue = host_queues_by_number(lane->host_queues, number);

        if (queue)
                leave(lane, queue);
}

void
lane_abort_taking(Lane *lane, const Intake *intake)
{
        for (int i = 0; i < host_queues_numbers(lane->host_queues); i++) {
                HostQueue *queue = host_queues_by_number(lane->host_queues, i);

                if (!queue || intake != g_hash_table_lookup(lane->host_intakes, outlet_of(lane, queue)))
                        continue;
                queue->in_hand = 0;
                if (queue->state != HOST_QUEUE_LEFT)
                        leave(lane, queue);
        }
}

void
lane_stop_taking(Lane *lane)
{
        for (int i = 0; i < host_queues_numbers(lane->host_queues); i++) {
                HostQueue *queue = host_queues_by_number(lane->host_queues, i);

                if (queue)
                        cancel(lane, queue);
        }
}

void
lane_count_taken(Lane *lane, const Delivery *delivery)
{
        if (delivery->taken)
                stats_add(&flow_of(lane, delivery->taken)->stats->taken_back, 1);
}
