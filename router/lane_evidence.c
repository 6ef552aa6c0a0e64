/* SPDX-License-Identifier: MIT */

/*
 * Heartbeats say that a host runs, consumers that its service does. Where they differ for two looks in a row,
 * which a start or a stop does not, the operator is told once. Only the first lane looks, and only at queues
 * that are one cluster's alone.
 */
#include "router/lane_state.h"

#include <string.h>

enum { COUNT_EVERY_US = 10 * 1000 * 1000 };

static bool
has_own_queue(const Lane *lane, const Flow *flow)
{
        const ConfRoute *route = lane->route;

        return flow->has_destination && flow->cluster && route->to_queue && strstr(route->key, "{cluster}") &&
               !strstr(route->key, "{host}") && !strstr(route->key, "{key}") &&
               !strstr(route->key, "{exchange}");
}

static InquiryResult
count_consumers(Lane *lane, Flow *flow, uint32_t *out_consumers)
{
        g_autofree char *queue =
            conf_expand(lane->route->key, lane->route->queue, "", "", flow->cluster->name, "");
        InquiryAnswer answer = {0};
        InquiryResult result =
            outlet_ask(flow->destination.outlet, INQUIRY_LOOK, queue, lane->now_us, &answer);

        *out_consumers = answer.consumers;
        return result;
}

static bool
is_alive(const ViewCluster *cluster)
{
        for (unsigned i = 0; i < cluster->hosts->len; i++) {
                if (((const ViewHost *)g_ptr_array_index(cluster->hosts, i))->alive)
                        return true;
        }
        return false;
}

static ClusterConsuming
compare(const ViewCluster *cluster, uint32_t consumers)
{
        bool alive = is_alive(cluster);

        if (alive == (consumers > 0))
                return CONSUMING_AS_EXPECTED;
        return alive ? CONSUMING_NOBODY : CONSUMING_THOUGH_DEAD;
}

static void
tell(const Lane *lane, const Flow *flow, ClusterConsuming before, ClusterConsuming now)
{
        const char *text = cluster_consuming_text(now);

        if (text)
                lane_log(lane, G_LOG_LEVEL_WARNING, flow->name, "cluster %s is %s", flow->name, text);
        else if (cluster_consuming_text(before))
                lane_log(lane, G_LOG_LEVEL_MESSAGE, flow->name,
                         "cluster %s: heartbeats and consumers agree again", flow->name);
}

bool
lane_compare_evidence(Lane *lane, Flow *flow)
{
        uint32_t consumers = 0;
        InquiryResult result;

        if (lane->number != 0 || !has_own_queue(lane, flow) ||
            (flow->consumers_us != 0 && lane->now_us - flow->consumers_us < COUNT_EVERY_US))
                return true;
        result = count_consumers(lane, flow, &consumers);
        if (result == INQUIRY_PENDING)
                return false;
        flow->consumers_us = lane->now_us;
        if (result != INQUIRY_OK)
                return true;
        atomic_store_explicit(&flow->stats->consumers, consumers, memory_order_relaxed);
        if (!lane->conf->redis_url)
                return true;

        ClusterConsuming before =
            (ClusterConsuming)atomic_load_explicit(&flow->stats->consuming, memory_order_relaxed);
        ClusterConsuming now = compare(flow->cluster, consumers);
        bool sure = now == CONSUMING_AS_EXPECTED || now == flow->doubtful;

        flow->doubtful = now;
        if (!sure || now == before)
                return true;
        atomic_store_explicit(&flow->stats->consuming, (int)now, memory_order_relaxed);
        tell(lane, flow, before, now);
        return true;
}
