/* SPDX-License-Identifier: MIT */
/*
 * No lock stops the lanes, so the order of reading keeps the books: first the outcomes, then what left the
 * parking queues, then what went there, and `received` last. What moves while we read then shows as in
 * flight, for which there is room. Only a message that is just leaving a parking queue can be seen twice, as
 * delivered and as parked; it shows as more outcomes than arrivals, and is taken for what it will be in a
 * moment.
 */
#include "router/snapshot.h"

#include <stdlib.h>
#include <string.h>

static void
cluster_free(gpointer data)
{
        SnapshotCluster *cluster = data;

        g_free(cluster->cluster);
        g_free(cluster);
}

static void
route_free(gpointer data)
{
        SnapshotRoute *route = data;

        g_ptr_array_unref(route->clusters);
        g_free(route->error);
        g_free(route->route);
        g_free(route);
}

/* --- clusters --- */

static void
add_cluster(ClusterStats *stats, void *user_data)
{
        SnapshotRoute *route = user_data;
        SnapshotCluster *cluster = g_new0(SnapshotCluster, 1);

        cluster->cluster = g_strdup(stats->cluster);
#define READ(name, help) cluster->name = stats_read(&stats->name);
        STATS_CLUSTER_COUNTERS(READ)
#undef READ
        atomic_thread_fence(memory_order_acquire);
        cluster->parked = stats_read(&stats->parked);
        cluster->parked_in_queue = cluster_stats_parked_now(stats);
        cluster->parked_oldest_us = atomic_load_explicit(&stats->parked_oldest_us, memory_order_relaxed);
        cluster->flow = (ClusterFlow)atomic_load_explicit(&stats->state, memory_order_relaxed);
        cluster->consumers = atomic_load_explicit(&stats->consumers, memory_order_relaxed);
        cluster->consuming = (ClusterConsuming)atomic_load_explicit(&stats->consuming, memory_order_relaxed);
        cluster->broker = stats->broker;
        g_ptr_array_add(route->clusters, cluster);
}

static bool
has_counted(const SnapshotCluster *cluster)
{
        uint64_t any = cluster->parked_in_queue;

#define OR(name, help) any |= cluster->name;
        STATS_CLUSTER_COUNTERS(OR)
#undef OR
        return any != 0;
}

static void
add_empty_cluster(SnapshotRoute *route, GHashTable *known, const char *name)
{
        if (g_hash_table_contains(known, name))
                return;

        SnapshotCluster *cluster = g_new0(SnapshotCluster, 1);
        cluster->consumers = -1;
        cluster->cluster = g_strdup(name);
        g_ptr_array_add(route->clusters, cluster);
}

static int
compare_clusters(gconstpointer a, gconstpointer b)
{
        return strcmp((*(SnapshotCluster *const *)a)->cluster, (*(SnapshotCluster *const *)b)->cluster);
}

/* Every cluster of the view gets its row, and "" only where it says something. */
static void
complete_clusters(SnapshotRoute *route, const View *view)
{
        g_autoptr(GHashTable) known = g_hash_table_new(g_str_hash, g_str_equal);

        for (unsigned i = 0; i < route->clusters->len; i++)
                g_hash_table_add(known, ((SnapshotCluster *)route->clusters->pdata[i])->cluster);
        for (unsigned i = 0; i < view->clusters->len; i++)
                add_empty_cluster(route, known, ((ViewCluster *)view->clusters->pdata[i])->name);
        if (view->single)
                add_empty_cluster(route, known, "");
        g_ptr_array_sort(route->clusters, compare_clusters);

        SnapshotCluster *first = route->clusters->len ? route->clusters->pdata[0] : NULL;
        if (first && first->cluster[0] == '\0' && !view->single && !has_counted(first))
                g_ptr_array_remove_index(route->clusters, 0);
}

/* --- routes --- */

static void
read_state(SnapshotRoute *route, RouteStats *stats)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&stats->lock);

        route->route = g_strdup(stats->route);
        route->error = g_strdup(stats->error);
        route->lanes = atomic_load(&stats->lanes);
        route->lanes_consuming = atomic_load(&stats->lanes_consuming);
        route->lanes_blocked = atomic_load(&stats->lanes_blocked);
        route->progress_us = atomic_load(&stats->progress_us);
        route->hop = &stats->hop;
        route->confirm = &stats->confirm;
}

static void
read_counters(SnapshotRoute *route, RouteStats *stats)
{
#define READ(name, help) route->name = stats_read(&stats->name);
        STATS_ROUTE_COUNTERS(READ)
#undef READ
        for (Reason reason = 0; reason < REASON_COUNT; reason++)
                route->reasons[reason] = stats_read(&stats->reasons[reason]);
        route_stats_each_cluster(stats, add_cluster, route);
        atomic_thread_fence(memory_order_acquire);
        route->received = stats_read(&stats->received);
}

static uint64_t
difference(uint64_t a, uint64_t b)
{
        return a > b ? a - b : 0;
}

static void
sum_clusters(SnapshotRoute *route)
{
        for (unsigned i = 0; i < route->clusters->len; i++) {
                SnapshotCluster *cluster = route->clusters->pdata[i];

                cluster->parked_now = difference(cluster->parked, cluster->unparked);
                cluster->unparked_found = difference(cluster->unparked, cluster->parked);
                route->delivered += cluster->delivered;
                route->parked += cluster->parked;
                route->unparked += cluster->unparked;
                route->taken_back += cluster->taken_back;
                route->parked_now += cluster->parked_now;
                route->unparked_found += cluster->unparked_found;
                route->parked_in_queue += cluster->parked_in_queue;
        }
}

/* Counts up to @messages as gone from the parking queues: they have their outcome already. */
static void
unpark(SnapshotRoute *route, uint64_t messages)
{
        for (unsigned i = 0; i < route->clusters->len; i++) {
                SnapshotCluster *cluster = route->clusters->pdata[i];
                uint64_t gone = MIN(messages, cluster->parked_now);

                cluster->parked_now -= gone;
                cluster->unparked += gone;
                route->parked_now -= gone;
                route->unparked += gone;
                messages -= gone;
        }
}

static void
sum_up(SnapshotRoute *route)
{
        sum_clusters(route);
        route->in = difference(route->received, route->requeued);

        uint64_t outcomes = route->delivered + route->dead + route->expired + route->parked;
        uint64_t fetched = route->in + route->unparked + route->taken_back;

        unpark(route, difference(outcomes, fetched));
        route->in_flight = difference(fetched, outcomes);
}

typedef struct {
        GPtrArray *routes;
        const View *view;
} Snapshot;

static void
add_route(RouteStats *stats, void *user_data)
{
        Snapshot *snapshot = user_data;
        SnapshotRoute *route = g_new0(SnapshotRoute, 1);

        route->clusters = g_ptr_array_new_with_free_func(cluster_free);
        read_state(route, stats);
        read_counters(route, stats);
        sum_up(route);
        complete_clusters(route, snapshot->view);
        g_ptr_array_add(snapshot->routes, route);
}

GPtrArray *
snapshot_new(Stats *stats, const View *view)
{
        Snapshot snapshot = {.routes = g_ptr_array_new_with_free_func(route_free), .view = view};
        g_autoptr(Conf) conf = stats_get_conf(stats);

        /* a route whose lanes have not started yet has no block: asking for it makes one */
        for (unsigned i = 0; conf && i < conf->routes->len; i++)
                stats_route(stats, ((ConfRoute *)conf->routes->pdata[i])->name);
        stats_each_route(stats, add_route, &snapshot);
        return snapshot.routes;
}

int64_t
snapshot_parked_age_us(const SnapshotCluster *cluster, int64_t now_us)
{
        if (cluster->parked_in_queue == 0 || cluster->parked_oldest_us == 0)
                return 0;
        return MAX(now_us - cluster->parked_oldest_us, 0);
}

static int
compare_name(const void *name, const void *row)
{
        return strcmp(name, (*(const SnapshotCluster *const *)row)->cluster);
}

const SnapshotCluster *
snapshot_find_cluster(const SnapshotRoute *route, const char *cluster)
{
        const GPtrArray *rows = route->clusters;
        const SnapshotCluster *const *found =
            rows->len > 0 ? bsearch(cluster, rows->pdata, rows->len, sizeof(void *), compare_name) : NULL;

        return found ? *found : NULL;
}

OwnBrokerState
snapshot_broker(const GPtrArray *routes, const char *cluster, int64_t *out_since_us)
{
        OwnBrokerState worst = OWN_BROKER_NONE;

        for (unsigned i = 0; i < routes->len; i++) {
                const SnapshotCluster *row = snapshot_find_cluster(routes->pdata[i], cluster);
                OwnBrokerState state = row ? own_broker_state(&row->broker) : OWN_BROKER_NONE;

                if (state < worst || state == OWN_BROKER_NONE)
                        continue;
                *out_since_us =
                    state == worst ? MIN(*out_since_us, row->broker.since_us) : row->broker.since_us;
                worst = state;
        }
        return worst;
}

const char *
snapshot_route_state(const SnapshotRoute *route)
{
        if (route->lanes <= 0)
                return "stopped";
        if (route->lanes_blocked > 0)
                return "blocked";
        return route->lanes_consuming > 0 ? "running" : "connecting";
}
