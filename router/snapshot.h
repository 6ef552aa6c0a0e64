/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/view.h"
#include "router/stats.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The counters of all routes, copied at one moment while lanes go on counting, so that every number shown
 * comes from the same copy and
 *
 *     in = delivered + dead + expired + parked_now + in_flight
 *
 * holds in it (sums over the clusters of a route), as long as this process fetches only from parking queues
 * what it put there; what it fetched beyond that stands in unparked_found, to be added on the left like
 * taken_back, what came out of the queues of dead hosts and so is delivered a second time. All values are the
 * caller's; any thread.
 */

#define SNAPSHOT_FIELD(name, help) uint64_t name;

typedef struct {
        char *cluster; /* "" for messages that reached no one cluster's queue */
        STATS_CLUSTER_COUNTERS(SNAPSHOT_FIELD)
        uint64_t parked_now;      /* of those this process parked: parked - unparked, at least 0 */
        uint64_t unparked_found;  /* fetched that others parked: unparked - parked, at least 0 */
        uint64_t parked_in_queue; /* all that stand in its parking queue, as far as this process knows */
        int64_t parked_oldest_us; /* monotonic: when the oldest of these came there, 0: not known */
        ClusterFlow flow;
        int64_t consumers; /* of its queue, -1: not known */
        ClusterConsuming consuming;
        OwnBroker broker;
} SnapshotCluster;

typedef struct {
        char *route;
        STATS_ROUTE_COUNTERS(SNAPSHOT_FIELD)
        uint64_t in; /* received and not handed back */
        uint64_t in_flight;
        uint64_t delivered; /* these seven: sums over clusters */
        uint64_t parked;
        uint64_t unparked;
        uint64_t taken_back;
        uint64_t parked_now;
        uint64_t unparked_found;
        uint64_t parked_in_queue;
        uint64_t reasons[REASON_COUNT];
        int lanes;
        int lanes_consuming;
        int lanes_blocked;
        int64_t progress_us;  /* monotonic, 0: none yet */
        char *error;          /* or NULL */
        const Histogram *hop; /* live, as old as Stats */
        const Histogram *confirm;
        GPtrArray *clusters; /* of SnapshotCluster *, sorted by name: all of the view and all that counted */
} SnapshotRoute;

#undef SNAPSHOT_FIELD

/*
 * An array of SnapshotRoute *, sorted by name: every route of the configuration in force, and those gone from
 * it that have counted. The cluster "" has a row in single-cluster mode, else only if it counted.
 */
GPtrArray *snapshot_new(Stats *stats, const View *view) G_GNUC_WARN_UNUSED_RESULT;

/* The row of that cluster, or NULL. */
const SnapshotCluster *snapshot_find_cluster(const SnapshotRoute *route, const char *cluster);

/* The worst that a route says of the cluster's own broker; *@out_since_us: monotonic, since when. */
OwnBrokerState snapshot_broker(const GPtrArray *routes, const char *cluster, int64_t *out_since_us);

/* How long the oldest message of the parking queue has stood there; 0 if there is none, or nobody knows. */
int64_t snapshot_parked_age_us(const SnapshotCluster *cluster, int64_t now_us);

/* What the route is doing: "running", "connecting", "blocked" or "stopped". */
const char *snapshot_route_state(const SnapshotRoute *route);
