/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stddef.h>

/*
 * The one list of all that the router counts and measures. /metrics takes names, types and sentences from it,
 * clusterctl stats --all prints it, docs/statistics.md is made from it, and a test compares it with
 * /api/v1/stats. Counters come from the lists in router/stats.h. Constant; any thread.
 */
typedef enum {
        STATISTIC_ROUTER,
        STATISTIC_ROUTE,
        STATISTIC_CLUSTER, /* of a route */
        STATISTIC_VIEW,    /* of a cluster as such, whatever the route: in /api/v1/clusters */
        STATISTIC_SCOPES,
} StatisticScope;

typedef enum {
        STATISTIC_COUNTER, /* since the router started */
        STATISTIC_GAUGE,   /* now */
        STATISTIC_HISTOGRAM,
} StatisticKind;

typedef struct {
        StatisticScope scope;
        StatisticKind kind;
        const char *metric; /* in /metrics, behind "cluster_router_" */
        const char *key;    /* in /api/v1/stats; of a histogram, what stands before "_p50_us" and "_p99_us" */
        const char *labels; /* beyond those of its scope, for people; or "" */
        const char *help;   /* a sentence without a full stop */
} Statistic;

const Statistic *statistic_table(size_t *out_count);
const Statistic *statistic_find(const char *metric); /* NULL: there is none */

const char *statistic_kind_name(StatisticKind kind);    /* as Prometheus has it */
const char *statistic_scope_name(StatisticScope scope); /* a title for people */

/* docs/statistics.md, new. */
char *statistic_document(void) G_GNUC_WARN_UNUSED_RESULT;
