/* SPDX-License-Identifier: MIT */
/*
 * To add a counter, add it to a list in stats.h: it is then in the table, in both documents and in the rows
 * kept in MySQL. A gauge needs a row here and a line each in report.c and metrics.c; the tests tell which is
 * missing.
 */
#include "router/statistic.h"

#include "router/reason.h"
#include "router/stats.h"

#include <string.h>

#define COUNTER(scope, name, help) {STATISTIC_##scope, STATISTIC_COUNTER, #name "_total", #name, "", help},
#define ROUTE_COUNTER(name, help) COUNTER(ROUTE, name, help)
#define CLUSTER_COUNTER(name, help) COUNTER(CLUSTER, name, help)

static const Statistic table[] = {
    {STATISTIC_ROUTER, STATISTIC_GAUGE, "build_info", "build", "version, build",
     "Build of the router: its version, and the git commit if it was built from one; in /metrics a label of "
     "the number 1"},
    {STATISTIC_ROUTER, STATISTIC_GAUGE, "config_info", "config_fingerprint", "fingerprint",
     "SHA-256 of the configuration file in force; in /metrics a label of the number 1"},
    {STATISTIC_ROUTER, STATISTIC_GAUGE, "start_time_seconds", "started", "",
     "Unix time at which the router started"},
    COUNTER(ROUTER, config_reloads, "Reloads asked for"){
        STATISTIC_ROUTER, STATISTIC_GAUGE, "config_last_reload_success", "config_last_reload_success", "",
        "1 unless the last reload was refused and the old configuration stays in force"},
    {STATISTIC_ROUTER, STATISTIC_GAUGE, "redis_up", "redis", "",
     "1 if the last poll of redis went well; missing without [redis]"},
    {STATISTIC_ROUTER, STATISTIC_GAUGE, "mysql_up", "mysql", "",
     "1 if the last reading of the catalogue went well; missing without [mysql]"},
    {STATISTIC_ROUTER, STATISTIC_GAUGE, "view_age_seconds", "view_age_s", "",
     "Time since the picture of clusters and hosts was last known to be true"},
    {STATISTIC_ROUTER, STATISTIC_GAUGE, "view_frozen", "view_frozen", "",
     "1 while a mass death of hosts is not believed yet"},
    COUNTER(ROUTER, control_requests, "Requests that came to the control queue")
        COUNTER(ROUTER, control_refused, "Requests to the control queue that were refused")
            COUNTER(ROUTER, stats_lost, "Minutes whose statistics could not be written to MySQL")

                STATS_ROUTE_COUNTERS(ROUTE_COUNTER){STATISTIC_ROUTE, STATISTIC_COUNTER, "outcomes_total",
                                                    "reasons", "reason",
                                                    "Outcomes of messages by reason; reply and reply_orphan "
                                                    "are replies that were relayed, and those whose "
                                                    "caller was gone"},
    {STATISTIC_ROUTE, STATISTIC_GAUGE, "in_flight_messages", "in_flight", "",
     "Messages taken from the shared queue that have no outcome yet"},
    {STATISTIC_ROUTE, STATISTIC_GAUGE, "route_lanes", "lanes", "state",
     "Lanes of the route: running, of these consuming, of these blocked by the broker"},
    {STATISTIC_ROUTE, STATISTIC_GAUGE, "last_progress_age_seconds", "last_progress_age_s", "",
     "Time since the last outcome of a message; missing until there is one"},
    {STATISTIC_ROUTE, STATISTIC_HISTOGRAM, "hop_seconds", "hop", "",
     "Time from a delivery to the router to its ack"},
    {STATISTIC_ROUTE, STATISTIC_HISTOGRAM, "confirm_seconds", "confirm", "",
     "Time from a publish to the broker's confirm"},

    STATS_CLUSTER_COUNTERS(CLUSTER_COUNTER){STATISTIC_CLUSTER, STATISTIC_GAUGE, "parked_messages",
                                            "parked_in_queue", "",
                                            "Messages in the parking queue now, as far as this router knows"},
    {STATISTIC_CLUSTER, STATISTIC_GAUGE, "parked_oldest_age_seconds", "parked_oldest_age_s", "",
     "Time since the oldest of them was put there, or was found there at the router's start; 0 for none"},
    {STATISTIC_CLUSTER, STATISTIC_GAUGE, "cluster_broker_lanes", "broker", "state",
     "Lanes by how they are connected to the cluster's own broker: connected, connecting, blocked, down; "
     "missing without amqp_url"},
    {STATISTIC_CLUSTER, STATISTIC_GAUGE, "cluster_broker_state_age_seconds", "broker_state_age_s", "",
     "Time since the worst of these states began; missing without amqp_url"},

    {STATISTIC_VIEW, STATISTIC_GAUGE, "cluster_hosts", "hosts", "state",
     "Hosts of the cluster by state: up, down, drained"},
    {STATISTIC_VIEW, STATISTIC_GAUGE, "cluster_usable", "usable", "", "1 if the cluster takes messages now"},
};

const Statistic *
statistic_table(size_t *out_count)
{
        *out_count = G_N_ELEMENTS(table);
        return table;
}

const Statistic *
statistic_find(const char *metric)
{
        for (size_t i = 0; i < G_N_ELEMENTS(table); i++)
                if (strcmp(table[i].metric, metric) == 0)
                        return &table[i];
        return NULL;
}

const char *
statistic_kind_name(StatisticKind kind)
{
        static const char *const names[] = {[STATISTIC_COUNTER] = "counter",
                                            [STATISTIC_GAUGE] = "gauge",
                                            [STATISTIC_HISTOGRAM] = "histogram"};

        return names[kind];
}

const char *
statistic_scope_name(StatisticScope scope)
{
        static const char *const names[STATISTIC_SCOPES] = {[STATISTIC_ROUTER] = "The router",
                                                            [STATISTIC_ROUTE] = "Each route",
                                                            [STATISTIC_CLUSTER] = "Each cluster of a route",
                                                            [STATISTIC_VIEW] = "Each cluster"};

        return names[scope];
}

/* ---- the document ---- */

static void
append_key(GString *out, const Statistic *row)
{
        if (row->scope == STATISTIC_VIEW)
                g_string_append_printf(out, "`%s` in `clusters`", row->key);
        else if (row->kind == STATISTIC_HISTOGRAM)
                g_string_append_printf(out, "`%s_p50_us`, `%s_p99_us`", row->key, row->key);
        else
                g_string_append_printf(out, "`%s`", row->key);
}

static void
append_scope(GString *out, StatisticScope scope)
{
        static const char *const labels[STATISTIC_SCOPES] = {
            "", "; label `route`", "; labels `route` and `cluster`", "; label `cluster`"};

        g_string_append_printf(
            out, "\n## %s%s\n\n| in `/metrics` | in `/api/v1` | what it tells |\n| --- | --- | --- |\n",
            statistic_scope_name(scope), labels[scope]);
        for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
                if (table[i].scope != scope)
                        continue;
                g_string_append_printf(out, "| `%s`%s%s%s | ", table[i].metric,
                                       table[i].labels[0] ? " by `" : "", table[i].labels,
                                       table[i].labels[0] ? "`" : "");
                append_key(out, &table[i]);
                g_string_append_printf(out, " | %s |\n", table[i].help);
        }
}

char *
statistic_document(void)
{
        GString *out = g_string_new(
            "# Statistics\n\n"
            "Made from the list in router/statistic.c: `test_statistic --print >docs/statistics.md`.\n\n"
            "Names in `/metrics` begin with `cluster_router_`; those that end in `_total` count since the "
            "router\n"
            "started. The same numbers are in `/api/v1/stats`, and `clusterctl stats --all` shows them with "
            "these\n"
            "sentences. With `[mysql]` the counters of routes and clusters are kept for each minute, and\n"
            "`clusterctl stats --since 24h` sums them over all routers (schema/catalogue.md).\n");

        for (StatisticScope scope = 0; scope < STATISTIC_SCOPES; scope++)
                append_scope(out, scope);
        g_string_append(out, "\n## Reasons\n\n| code | meaning |\n| --- | --- |\n");
        for (Reason reason = 0; reason < REASON_COUNT; reason++)
                g_string_append_printf(out, "| `%s` | %s |\n", reason_code(reason), reason_meaning(reason));
        return g_string_free(out, FALSE);
}
