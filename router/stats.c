/* SPDX-License-Identifier: MIT */
/*
 * Blocks of counters that are made once and never freed before the whole. That is what lets a lane add to a
 * plain pointer, without a lock, while HTTP walks the lists: a lock guards only the lists and the few
 * strings, never a counter.
 *
 * A histogram's bucket holds the durations of a quarter of a power of two: bucket = 4 * log2 + the next two
 * bits. So a percentile is at most a quarter too high, at 1 KB per histogram and one addition per message.
 */
#include "router/stats.h"

#include <string.h>

struct Stats {
        GMutex lock;       /* guards all that follows */
        GPtrArray *routes; /* of RouteStats *, sorted by name */
        Conf *conf;
        int64_t started_us;
        int64_t started_unix;
        uint64_t reloads;
        uint64_t control_requests;
        uint64_t control_refused;
        uint64_t stats_lost;
        bool reload_ok;
        int64_t reload_unix;
        char *reload_error;
};

/* --- histogram --- */

static unsigned
bucket_of(int64_t duration_us)
{
        uint64_t value = duration_us > 1 ? (uint64_t)duration_us : 1;
        unsigned octave = 63 - (unsigned)__builtin_clzll(value);
        unsigned quarter = (unsigned)(((value << 2) >> octave) & 3);
        unsigned bucket = octave * 4 + quarter;

        return MIN(bucket, HISTOGRAM_BUCKETS - 1);
}

void
histogram_add(Histogram *histogram, int64_t duration_us)
{
        stats_add(&histogram->buckets[bucket_of(duration_us)], 1);
        stats_add(&histogram->sum_us, duration_us > 0 ? (uint64_t)duration_us : 0);
        stats_add(&histogram->count, 1);
}

uint64_t
histogram_border_us(unsigned bucket)
{
        uint64_t quarters = (uint64_t)(5 + bucket % 4) << (bucket / 4);

        return (quarters + 3) / 4 - 1;
}

double
histogram_counts_percentile_us(const uint64_t counts[HISTOGRAM_BUCKETS], double percent)
{
        uint64_t total = 0, seen = 0;

        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
                total += counts[i];
        if (total == 0)
                return 0;

        double rank = (double)total * percent / 100;
        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
                seen += counts[i];
                if (seen > 0 && (double)seen >= rank)
                        return (double)histogram_border_us(i);
        }
        return (double)histogram_border_us(HISTOGRAM_BUCKETS - 1);
}

double
histogram_percentile_us(const Histogram *histogram, double percent)
{
        uint64_t counts[HISTOGRAM_BUCKETS];

        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
                counts[i] = stats_read(&histogram->buckets[i]);
        return histogram_counts_percentile_us(counts, percent);
}

/* --- clusters of a route --- */

const char *
cluster_flow_name(ClusterFlow flow)
{
        switch (flow) {
        case FLOW_PARKING:
                return "parking";
        case FLOW_UNPARKING:
                return "unparking";
        case FLOW_OPEN:
                break;
        }
        return "open";
}

const char *
cluster_consuming_text(ClusterConsuming consuming)
{
        switch (consuming) {
        case CONSUMING_NOBODY:
                return "alive but nobody consumes";
        case CONSUMING_THOUGH_DEAD:
                return "dead but consuming";
        case CONSUMING_UNKNOWN:
        case CONSUMING_AS_EXPECTED:
                break;
        }
        return NULL;
}

/*
 * A queue gives its messages in order, so what is left in it came there after the one that leaves. Lanes and
 * routers that share a queue may be a few messages out of step, and so may the age.
 */
void
cluster_stats_park(ClusterStats *cluster, int64_t now_us)
{
        if (cluster_stats_parked_now(cluster) == 0)
                atomic_store_explicit(&cluster->parked_oldest_us, now_us, memory_order_relaxed);
        stats_add(&cluster->parked, 1);
}

void
cluster_stats_unpark(ClusterStats *cluster, int64_t parked_us)
{
        if (parked_us != 0)
                atomic_store_explicit(&cluster->parked_oldest_us, parked_us, memory_order_relaxed);
        stats_add(&cluster->unparked, 1);
}

void
cluster_stats_found(ClusterStats *cluster, uint64_t messages, int64_t now_us)
{
        int64_t own = (int64_t)stats_read(&cluster->parked) - (int64_t)stats_read(&cluster->unparked);

        if (messages > 0 && cluster_stats_parked_now(cluster) == 0)
                atomic_store_explicit(&cluster->parked_oldest_us, now_us, memory_order_relaxed);
        atomic_store_explicit(&cluster->parked_found, (int64_t)messages - own, memory_order_relaxed);
}

uint64_t
cluster_stats_parked_now(const ClusterStats *cluster)
{
        int64_t now = atomic_load_explicit(&cluster->parked_found, memory_order_relaxed);

        now += (int64_t)stats_read(&cluster->parked);
        now -= (int64_t)stats_read(&cluster->unparked);
        return now > 0 ? (uint64_t)now : 0;
}

static void
cluster_stats_free(gpointer data)
{
        ClusterStats *cluster = data;

        g_free(cluster->cluster);
        g_free(cluster);
}

/* The place of @cluster in the sorted list; there may be 10,000 of them. */
static unsigned
place_of(const GPtrArray *clusters, const char *cluster)
{
        unsigned low = 0, high = clusters->len;

        while (low < high) {
                unsigned middle = low + (high - low) / 2;

                if (strcmp(((const ClusterStats *)clusters->pdata[middle])->cluster, cluster) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

ClusterStats *
route_stats_cluster(RouteStats *route, const char *cluster)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&route->lock);
        unsigned place = place_of(route->clusters, cluster);
        ClusterStats *found = place < route->clusters->len ? route->clusters->pdata[place] : NULL;

        if (found && strcmp(found->cluster, cluster) == 0)
                return found;

        ClusterStats *made = g_new0(ClusterStats, 1);

        made->cluster = g_strdup(cluster);
        atomic_init(&made->consumers, -1);
        g_ptr_array_insert(route->clusters, (int)place, made);
        return made;
}

void
route_stats_each_cluster(RouteStats *route, void (*visit)(ClusterStats *cluster, void *user_data),
                         void *user_data)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&route->lock);

        for (unsigned i = 0; i < route->clusters->len; i++)
                visit(route->clusters->pdata[i], user_data);
}

/* --- routes --- */

static RouteStats *
route_stats_new(const char *name)
{
        RouteStats *route = g_new0(RouteStats, 1);

        route->route = g_strdup(name);
        g_mutex_init(&route->lock);
        route->clusters = g_ptr_array_new_with_free_func(cluster_stats_free);
        return route;
}

static void
route_stats_free(gpointer data)
{
        RouteStats *route = data;

        g_ptr_array_unref(route->clusters);
        g_mutex_clear(&route->lock);
        g_free(route->error);
        g_free(route->route);
        g_free(route);
}

static int
compare_routes(gconstpointer a, gconstpointer b)
{
        return strcmp((*(RouteStats *const *)a)->route, (*(RouteStats *const *)b)->route);
}

void
route_stats_set_error(RouteStats *route, const char *error_or_null)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&route->lock);

        g_free(route->error);
        route->error = g_strdup(error_or_null);
}

void
route_stats_change_broker(RouteStats *route, ClusterStats *cluster, OwnBrokerState before,
                          OwnBrokerState after, int64_t now_us)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&route->lock);

        own_broker_change(&cluster->broker, before, after, now_us);
}

RouteStats *
stats_route(Stats *stats, const char *route)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&stats->lock);

        for (unsigned i = 0; i < stats->routes->len; i++) {
                RouteStats *known = stats->routes->pdata[i];

                if (strcmp(known->route, route) == 0)
                        return known;
        }

        RouteStats *made = route_stats_new(route);
        g_ptr_array_add(stats->routes, made);
        g_ptr_array_sort(stats->routes, compare_routes);
        return made;
}

void
stats_each_route(Stats *stats, void (*visit)(RouteStats *route, void *user_data), void *user_data)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&stats->lock);

        for (unsigned i = 0; i < stats->routes->len; i++)
                visit(stats->routes->pdata[i], user_data);
}

/* --- the process --- */

Stats *
stats_new(void)
{
        Stats *stats = g_new0(Stats, 1);

        g_mutex_init(&stats->lock);
        stats->routes = g_ptr_array_new_with_free_func(route_stats_free);
        stats->started_us = g_get_monotonic_time();
        stats->started_unix = g_get_real_time() / G_USEC_PER_SEC;
        stats->reload_ok = true;
        return stats;
}

void
stats_free(Stats *stats)
{
        if (stats == NULL)
                return;
        g_ptr_array_unref(stats->routes);
        conf_unref(stats->conf);
        g_free(stats->reload_error);
        g_mutex_clear(&stats->lock);
        g_free(stats);
}

void
stats_set_conf(Stats *stats, Conf *conf)
{
        g_autoptr(Conf) old = NULL;
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&stats->lock);

        old = stats->conf;
        stats->conf = conf_ref(conf);
}

Conf *
stats_get_conf(Stats *stats)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&stats->lock);

        return stats->conf ? conf_ref(stats->conf) : NULL;
}

void
stats_set_reload(Stats *stats, bool ok, const char *error_or_null)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&stats->lock);

        stats->reloads++;
        stats->reload_ok = ok;
        stats->reload_unix = g_get_real_time() / G_USEC_PER_SEC;
        g_free(stats->reload_error);
        stats->reload_error = g_strdup(error_or_null);
}

void
stats_get_process(Stats *stats, StatsProcess *out_process)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&stats->lock);

        *out_process = (StatsProcess){
            .started_us = stats->started_us,
            .started_unix = stats->started_unix,
            .reloads = stats->reloads,
            .reload_ok = stats->reload_ok,
            .reload_unix = stats->reload_unix,
            .reload_error = g_strdup(stats->reload_error),
            .control_requests = stats->control_requests,
            .control_refused = stats->control_refused,
            .stats_lost = stats->stats_lost,
        };
}

void
stats_count_control(Stats *stats, bool refused)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&stats->lock);

        stats->control_requests++;
        stats->control_refused += refused;
}

void
stats_count_lost(Stats *stats)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&stats->lock);

        stats->stats_lost++;
}
