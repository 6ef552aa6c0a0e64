/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"
#include "router/own_broker.h"
#include "router/reason.h"

#include <glib.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What the router counts. Lanes add with relaxed atomics; HTTP reads whenever it likes; nobody waits for
 * anybody.
 *
 * The blocks live as long as the Stats, so that a lane keeps a pointer and a reload loses no count. The lists
 * below are the one place where a counter is named: /metrics, /api/v1/stats and clusterctl are made from
 * them.
 */

/* Per route: name, what it counts. Bytes are body bytes. */
#define STATS_ROUTE_COUNTERS(X)                                                                              \
        X(received, "Messages taken from the shared queue")                                                  \
        X(received_bytes, "Body bytes of the messages taken from the shared queue")                          \
        X(requeued, "Messages handed back to the shared queue without an outcome")                           \
        X(redelivered, "Messages that the broker delivered for a second time")                               \
        X(dead, "Messages put into the dead queue")                                                          \
        X(expired, "Messages whose time was over, and calls that were answered with a failure")              \
        X(failed, "Calls answered with a failure because their cluster cannot serve them")                   \
        X(returned, "Publishes that the broker returned as unroutable")                                      \
        X(nacked, "Publishes that the broker refused")                                                       \
        X(republished, "Publishes made again after a refusal, a return or a lost connection")                \
        X(reconnects, "Connections to a broker made again after one was lost")

/* Per route and cluster. The cluster "" stands for messages that reached no one cluster's queue. */
#define STATS_CLUSTER_COUNTERS(X)                                                                            \
        X(delivered, "Messages delivered, tagged ones included")                                             \
        X(delivered_bytes, "Body bytes of the messages delivered")                                           \
        X(tagged, "Messages delivered in tag mode")                                                          \
        X(parked, "Messages put into the parking queue")                                                     \
        X(unparked, "Messages that left the parking queue")                                                  \
        X(taken_back, "Messages taken back from the queues of dead hosts")

enum { HISTOGRAM_BUCKETS = 128 }; /* four per power of two, from 1 us: up to about 70 minutes */

/* Counts of durations; bucket borders grow by a quarter of a power of two. */
typedef struct {
        _Atomic uint64_t buckets[HISTOGRAM_BUCKETS];
        _Atomic uint64_t count;
        _Atomic uint64_t sum_us;
} Histogram;

void histogram_add(Histogram *histogram, int64_t duration_us);
double histogram_percentile_us(const Histogram *histogram,
                               double percent); /* upper border of the bucket; 0 if empty */
/* The same of counts per bucket that the caller has. */
double histogram_counts_percentile_us(const uint64_t counts[HISTOGRAM_BUCKETS], double percent);
uint64_t histogram_border_us(unsigned bucket); /* upper border of that bucket */

typedef struct {
        char *cluster; /* "" for none */
#define STATS_FIELD(name, help) _Atomic uint64_t name;
        STATS_CLUSTER_COUNTERS(STATS_FIELD)
        _Atomic int64_t parked_found; /* found in the parking queue beyond what this process parked itself */
        _Atomic int64_t
            parked_oldest_us; /* monotonic: when the oldest in the parking queue came there, 0: not known */
        _Atomic int state;    /* ClusterFlow, of the first lane */
        _Atomic int64_t consumers; /* of its queue when last looked at, -1: not known */
        _Atomic int consuming;     /* ClusterConsuming */
        OwnBroker broker;          /* guarded by the lock of its route */
} ClusterStats;

/* How messages of one cluster flow just now. */
typedef enum { FLOW_OPEN, FLOW_PARKING, FLOW_UNPARKING } ClusterFlow;
const char *cluster_flow_name(ClusterFlow flow); /* "open", "parking", "unparking" */

/* Do heartbeats and consumers of the cluster's queue tell the same? */
typedef enum {
        CONSUMING_UNKNOWN,
        CONSUMING_AS_EXPECTED,
        CONSUMING_NOBODY,      /* hosts are alive, but nobody consumes */
        CONSUMING_THOUGH_DEAD, /* no host is alive, but somebody consumes */
} ClusterConsuming;
const char *cluster_consuming_text(ClusterConsuming consuming); /* for people, NULL unless they differ */

/* One more message was put into the parking queue; one left it, that was put there at @parked_us (0: not
 * known); the queue was looked at and holds @messages. Times are monotonic. */
void cluster_stats_park(ClusterStats *cluster, int64_t now_us);
void cluster_stats_unpark(ClusterStats *cluster, int64_t parked_us);
void cluster_stats_found(ClusterStats *cluster, uint64_t messages, int64_t now_us);

/* Messages in its parking queue now, as far as this process knows: found + parked - unparked, at least 0. */
uint64_t cluster_stats_parked_now(const ClusterStats *cluster);

typedef struct {
        char *route;
        STATS_ROUTE_COUNTERS(STATS_FIELD)
#undef STATS_FIELD
        _Atomic uint64_t reasons[REASON_COUNT]; /* outcomes by reason */
        _Atomic int64_t in_flight;              /* taken from the shared queue, no outcome yet */
        _Atomic int lanes;                      /* running now; 0: the route is gone from the configuration */
        _Atomic int lanes_consuming;
        _Atomic int lanes_blocked;   /* broker said connection.blocked */
        _Atomic int64_t progress_us; /* monotonic time of the last outcome, 0: none yet */
        Histogram hop;               /* delivery to us until our ack */
        Histogram confirm;           /* publish until its confirm */

        GMutex lock;         /* guards what follows */
        GPtrArray *clusters; /* of ClusterStats *, sorted by name */
        char *error;         /* last connection error, NULL while all is well */
} RouteStats;

typedef struct Stats Stats;

Stats *stats_new(void);
void stats_free(Stats *stats); /* NULL is fine; all blocks are freed with it */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Stats, stats_free)

/* The block of that route; made at the first call. Any thread. */
RouteStats *stats_route(Stats *stats, const char *route);
/* The block of that cluster; made at the first call. Any thread. Keep the pointer: this takes a lock. */
ClusterStats *route_stats_cluster(RouteStats *route, const char *cluster);

/* A lane's connection to the cluster's own broker changed. Any thread. */
void route_stats_change_broker(RouteStats *route, ClusterStats *cluster, OwnBrokerState before,
                               OwnBrokerState after, int64_t now_us);

void route_stats_set_error(RouteStats *route, const char *error_or_null);

/* Calls @visit for each block, in order of name. Any thread; holds a lock during the call. */
void stats_each_route(Stats *stats, void (*visit)(RouteStats *route, void *user_data), void *user_data);
void route_stats_each_cluster(RouteStats *route, void (*visit)(ClusterStats *cluster, void *user_data),
                              void *user_data);

/* The configuration in force and how the last reload went; shown by HTTP. Any thread. */
void stats_set_conf(Stats *stats, Conf *conf); /* takes its own reference */
void stats_set_reload(Stats *stats, bool ok, const char *error_or_null);
Conf *stats_get_conf(Stats *stats); /* new reference, or NULL */

typedef struct {
        int64_t started_us; /* monotonic */
        int64_t started_unix;
        uint64_t reloads;
        bool reload_ok;
        int64_t reload_unix;       /* 0: never reloaded */
        char *reload_error;        /* or NULL; free with g_free */
        uint64_t control_requests; /* that came to the control queue */
        uint64_t control_refused;
        uint64_t stats_lost; /* whose statistics could not be written to MySQL */
} StatsProcess;
void stats_get_process(Stats *stats, StatsProcess *out_process);
void stats_count_control(Stats *stats, bool refused);
void stats_count_lost(Stats *stats);

static inline void
stats_add(_Atomic uint64_t *counter, uint64_t n)
{
        atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline uint64_t
stats_read(const _Atomic uint64_t *counter)
{
        return atomic_load_explicit(counter, memory_order_relaxed);
}
