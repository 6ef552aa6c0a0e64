/* SPDX-License-Identifier: MIT */
/*
 * One function per family: its HELP and TYPE lines, which the list in statistic.c gives, then a line for each
 * thing it is about. Counters come straight from the lists in stats.h, so one added there appears here.
 */
#include "router/metrics.h"
#include "conf/build.h"
#include "router/snapshot.h"
#include "router/statistic.h"

#include <stddef.h>
#include <string.h>

typedef struct {
        const char *name; /* without the prefix */
        size_t offset;    /* of a uint64_t in SnapshotRoute or SnapshotCluster */
} Counter;

#define ROUTE_ROW(name, help) {#name "_total", offsetof(SnapshotRoute, name)},
static const Counter route_counters[] = {STATS_ROUTE_COUNTERS(ROUTE_ROW)};
#undef ROUTE_ROW

#define CLUSTER_ROW(name, help) {#name "_total", offsetof(SnapshotCluster, name)},
static const Counter cluster_counters[] = {STATS_CLUSTER_COUNTERS(CLUSTER_ROW)};
#undef CLUSTER_ROW

static uint64_t
value_at(gconstpointer block, size_t offset)
{
        return *(const uint64_t *)((const char *)block + offset);
}

void
metrics_append_label(GString *out, const char *value)
{
        g_autofree char *valid = g_utf8_make_valid(value, -1);

        for (const char *c = valid; *c; c++) {
                if (*c == '\\' || *c == '"')
                        g_string_append_c(out, '\\');
                if (*c == '\n')
                        g_string_append(out, "\\n");
                else
                        g_string_append_c(out, *c);
        }
}

/* @name as in the list. */
static void
append_family(GString *out, const char *name)
{
        const Statistic *row = statistic_find(name);

        g_assert(row);
        g_string_append_printf(out, "# HELP cluster_router_%s %s.\n# TYPE cluster_router_%s %s\n", name,
                               row->help, name, statistic_kind_name(row->kind));
}

/* Opens a sample: its name and labels, given as name, value pairs up to a NULL. The number comes next. */
static void G_GNUC_NULL_TERMINATED
append_sample(GString *out, const char *name, ...)
{
        const char *separator = "{";
        const char *label;
        va_list labels;

        g_string_append_printf(out, "cluster_router_%s", name);
        va_start(labels, name);
        while ((label = va_arg(labels, const char *))) {
                g_string_append_printf(out, "%s%s=\"", separator, label);
                metrics_append_label(out, va_arg(labels, const char *));
                g_string_append_c(out, '"');
                separator = ",";
        }
        va_end(labels);
        g_string_append(out, *separator == ',' ? "} " : " ");
}

static void
append_integer(GString *out, int64_t value)
{
        g_string_append_printf(out, "%" G_GINT64_FORMAT "\n", value);
}

static void
append_seconds(GString *out, int64_t us)
{
        g_string_append_printf(out, "%" G_GINT64_FORMAT ".%06u\n", us / G_USEC_PER_SEC,
                               (unsigned)(us % G_USEC_PER_SEC));
}

/* A family of one sample without labels. */
static void
append_one(GString *out, const char *name, int64_t value)
{
        append_family(out, name);
        append_sample(out, name, NULL);
        append_integer(out, value);
}

/* --- routes --- */

static void
append_route_counters(GString *out, const GPtrArray *routes)
{
        for (size_t i = 0; i < G_N_ELEMENTS(route_counters); i++) {
                const Counter *counter = &route_counters[i];

                append_family(out, counter->name);
                for (unsigned r = 0; r < routes->len; r++) {
                        const SnapshotRoute *route = routes->pdata[r];

                        append_sample(out, counter->name, "route", route->route, NULL);
                        append_integer(out, (int64_t)value_at(route, counter->offset));
                }
        }
}

static void
append_per_cluster(GString *out, const GPtrArray *routes, const char *name, size_t offset)
{
        for (unsigned r = 0; r < routes->len; r++) {
                const SnapshotRoute *route = routes->pdata[r];

                for (unsigned c = 0; c < route->clusters->len; c++) {
                        const SnapshotCluster *cluster = route->clusters->pdata[c];

                        append_sample(out, name, "route", route->route, "cluster", cluster->cluster, NULL);
                        append_integer(out, (int64_t)value_at(cluster, offset));
                }
        }
}

static void
append_cluster_counters(GString *out, const GPtrArray *routes)
{
        for (size_t i = 0; i < G_N_ELEMENTS(cluster_counters); i++) {
                append_family(out, cluster_counters[i].name);
                append_per_cluster(out, routes, cluster_counters[i].name, cluster_counters[i].offset);
        }
        append_family(out, "parked_messages");
        append_per_cluster(out, routes, "parked_messages", offsetof(SnapshotCluster, parked_in_queue));
}

static void
append_oldest(GString *out, const GPtrArray *routes, int64_t now_us)
{
        append_family(out, "parked_oldest_age_seconds");
        for (unsigned r = 0; r < routes->len; r++) {
                const SnapshotRoute *route = routes->pdata[r];

                for (unsigned c = 0; c < route->clusters->len; c++) {
                        const SnapshotCluster *cluster = route->clusters->pdata[c];

                        append_sample(out, "parked_oldest_age_seconds", "route", route->route, "cluster",
                                      cluster->cluster, NULL);
                        append_seconds(out, snapshot_parked_age_us(cluster, now_us));
                }
        }
}

static void
append_broker_lanes(GString *out, const char *route, const SnapshotCluster *cluster)
{
        for (OwnBrokerState state = OWN_BROKER_CONNECTED; state < OWN_BROKER_STATES; state++) {
                append_sample(out, "cluster_broker_lanes", "route", route, "cluster", cluster->cluster,
                              "state", own_broker_state_name(state), NULL);
                append_integer(out, cluster->broker.lanes[state]);
        }
}

static void
append_broker_age(GString *out, const char *route, const SnapshotCluster *cluster, int64_t now_us)
{
        append_sample(out, "cluster_broker_state_age_seconds", "route", route, "cluster", cluster->cluster,
                      NULL);
        append_seconds(out, MAX(now_us - cluster->broker.since_us, 0));
}

/* Of each cluster with a broker of its own. */
static void
append_brokers(GString *out, const GPtrArray *routes, int64_t now_us, bool ages)
{
        append_family(out, ages ? "cluster_broker_state_age_seconds" : "cluster_broker_lanes");
        for (unsigned r = 0; r < routes->len; r++) {
                const SnapshotRoute *route = routes->pdata[r];

                for (unsigned c = 0; c < route->clusters->len; c++) {
                        const SnapshotCluster *cluster = route->clusters->pdata[c];

                        if (own_broker_state(&cluster->broker) == OWN_BROKER_NONE)
                                continue;
                        if (ages)
                                append_broker_age(out, route->route, cluster, now_us);
                        else
                                append_broker_lanes(out, route->route, cluster);
                }
        }
}

static void
append_outcomes(GString *out, const GPtrArray *routes)
{
        append_family(out, "outcomes_total");
        for (unsigned r = 0; r < routes->len; r++) {
                const SnapshotRoute *route = routes->pdata[r];

                for (Reason reason = 0; reason < REASON_COUNT; reason++) {
                        append_sample(out, "outcomes_total", "route", route->route, "reason",
                                      reason_code(reason), NULL);
                        append_integer(out, (int64_t)route->reasons[reason]);
                }
        }
}

static void
append_route_gauges(GString *out, const GPtrArray *routes)
{
        append_family(out, "in_flight_messages");
        for (unsigned r = 0; r < routes->len; r++) {
                const SnapshotRoute *route = routes->pdata[r];

                append_sample(out, "in_flight_messages", "route", route->route, NULL);
                append_integer(out, (int64_t)route->in_flight);
        }
        append_family(out, "route_lanes");
        for (unsigned r = 0; r < routes->len; r++) {
                const SnapshotRoute *route = routes->pdata[r];
                const struct {
                        const char *state;
                        int lanes;
                } rows[] = {{"running", route->lanes},
                            {"consuming", route->lanes_consuming},
                            {"blocked", route->lanes_blocked}};

                for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
                        append_sample(out, "route_lanes", "route", route->route, "state", rows[i].state,
                                      NULL);
                        append_integer(out, rows[i].lanes);
                }
        }
}

static void
append_progress(GString *out, const GPtrArray *routes, int64_t now_us)
{
        append_family(out, "last_progress_age_seconds");
        for (unsigned r = 0; r < routes->len; r++) {
                const SnapshotRoute *route = routes->pdata[r];

                if (route->progress_us == 0)
                        continue;
                append_sample(out, "last_progress_age_seconds", "route", route->route, NULL);
                append_seconds(out, MAX(now_us - route->progress_us, 0));
        }
}

/* --- histograms --- */

/* Every eighth border of the finer histogram, from 63 us to 268 s: a factor of four, and exact. */
enum { FIRST_BORDER = 23, BORDER_STEP = 8, BORDERS = 12 };

static void
append_histogram(GString *out, const char *name, const char *route, const Histogram *histogram)
{
        g_autofree char *bucket_name = g_strdup_printf("%s_bucket", name);
        g_autofree char *sum_name = g_strdup_printf("%s_sum", name);
        g_autofree char *count_name = g_strdup_printf("%s_count", name);
        uint64_t seen = 0;

        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
                seen += stats_read(&histogram->buckets[i]);
                if (i % BORDER_STEP != FIRST_BORDER % BORDER_STEP || i < FIRST_BORDER ||
                    i > FIRST_BORDER + BORDER_STEP * (BORDERS - 1))
                        continue;

                uint64_t border_us = histogram_border_us(i);
                char border[32];
                g_snprintf(border, sizeof(border), "%u.%06u", (unsigned)(border_us / G_USEC_PER_SEC),
                           (unsigned)(border_us % G_USEC_PER_SEC));
                append_sample(out, bucket_name, "route", route, "le", border, NULL);
                append_integer(out, (int64_t)seen);
        }
        append_sample(out, bucket_name, "route", route, "le", "+Inf", NULL);
        append_integer(out, (int64_t)seen);
        append_sample(out, sum_name, "route", route, NULL);
        append_seconds(out, (int64_t)stats_read(&histogram->sum_us));
        append_sample(out, count_name, "route", route, NULL);
        append_integer(out, (int64_t)seen);
}

static void
append_histograms(GString *out, const GPtrArray *routes)
{
        append_family(out, "hop_seconds");
        for (unsigned r = 0; r < routes->len; r++) {
                const SnapshotRoute *route = routes->pdata[r];

                append_histogram(out, "hop_seconds", route->route, route->hop);
        }
        append_family(out, "confirm_seconds");
        for (unsigned r = 0; r < routes->len; r++) {
                const SnapshotRoute *route = routes->pdata[r];

                append_histogram(out, "confirm_seconds", route->route, route->confirm);
        }
}

/* --- clusters --- */

static void
append_hosts(GString *out, const ViewCluster *cluster)
{
        static const char *const states[] = {"up", "down", "drained"};
        int64_t counts[G_N_ELEMENTS(states)] = {0};

        for (unsigned i = 0; i < cluster->hosts->len; i++) {
                const ViewHost *host = cluster->hosts->pdata[i];

                counts[host->drained ? 2 : host->usable ? 0 : 1]++;
        }
        for (size_t i = 0; i < G_N_ELEMENTS(states); i++) {
                append_sample(out, "cluster_hosts", "cluster", cluster->name, "state", states[i], NULL);
                append_integer(out, counts[i]);
        }
}

static void
append_view(GString *out, const ReportInput *input)
{
        const View *view = input->view;

        append_family(out, "cluster_hosts");
        for (unsigned i = 0; i < view->clusters->len; i++)
                append_hosts(out, view->clusters->pdata[i]);
        append_family(out, "cluster_usable");
        for (unsigned i = 0; i < view->clusters->len; i++) {
                const ViewCluster *cluster = view->clusters->pdata[i];

                append_sample(out, "cluster_usable", "cluster", cluster->name, NULL);
                append_integer(out, view_cluster_is_usable(cluster));
        }
        append_family(out, "view_age_seconds");
        append_sample(out, "view_age_seconds", NULL);
        append_seconds(out, report_view_age_us(input));
        append_one(out, "view_frozen", input->registry->frozen);
}

/* --- the process --- */

static void
append_process(GString *out, const ReportInput *input)
{
        g_autoptr(Conf) conf = stats_get_conf(input->stats);
        StatsProcess process;

        stats_get_process(input->stats, &process);
        append_family(out, "build_info");
        append_sample(out, "build_info", "version", PROJECT_VERSION, "build", build_name(), NULL);
        append_integer(out, 1);
        if (conf) {
                append_family(out, "config_info");
                append_sample(out, "config_info", "fingerprint", conf->fingerprint, NULL);
                append_integer(out, 1);
        }
        append_one(out, "start_time_seconds", process.started_unix);
        append_one(out, "config_last_reload_success", process.reload_ok);
        append_one(out, "config_reloads_total", (int64_t)process.reloads);
        append_one(out, "control_requests_total", (int64_t)process.control_requests);
        append_one(out, "control_refused_total", (int64_t)process.control_refused);
        append_one(out, "stats_lost_total", (int64_t)process.stats_lost);
        g_free(process.reload_error);
        if (input->registry->redis != SOURCE_OFF)
                append_one(out, "redis_up", input->registry->redis == SOURCE_OK);
        if (input->registry->mysql != SOURCE_OFF)
                append_one(out, "mysql_up", input->registry->mysql == SOURCE_OK);
}

char *
metrics_text(const ReportInput *input)
{
        g_autoptr(GPtrArray) routes = snapshot_new(input->stats, input->view);
        GString *out = g_string_new(NULL);

        append_process(out, input);
        append_view(out, input);
        append_route_counters(out, routes);
        append_cluster_counters(out, routes);
        append_oldest(out, routes, input->now_us);
        append_brokers(out, routes, input->now_us, false);
        append_brokers(out, routes, input->now_us, true);
        append_outcomes(out, routes);
        append_route_gauges(out, routes);
        append_progress(out, routes, input->now_us);
        append_histograms(out, routes);
        return g_string_free(out, FALSE);
}
