/* SPDX-License-Identifier: MIT */
/*
 * /api/v1/stats: what router/statistic.c lists, and for each route and cluster what makes the books balance.
 */
#include "cluster/announcement.h"
#include "conf/build.h"
#include "router/report.h"
#include "router/report_json.h"
#include "router/snapshot.h"

/* Nulls unless the cluster has a broker of its own. */
static void
set_broker(json_t *row, const OwnBroker *broker, int64_t now_us)
{
        OwnBrokerState state = own_broker_state(broker);
        bool has = state != OWN_BROKER_NONE;
        json_t *lanes = json_object();

        for (OwnBrokerState each = OWN_BROKER_CONNECTED; each < OWN_BROKER_STATES; each++)
                json_object_set_new(lanes, own_broker_state_name(each), report_number(broker->lanes[each]));
        json_object_set(row, "broker", has ? lanes : json_null());
        json_object_set_new(row, "broker_state", report_text(own_broker_state_name(state)));
        json_object_set_new(row, "broker_state_age_s", report_age_s(now_us, has ? broker->since_us : 0));
        json_decref(lanes);
}

static json_t *
stats_of_cluster(const SnapshotCluster *cluster, int64_t now_us)
{
        json_t *row = json_object();

        json_object_set_new(row, "cluster", report_text(cluster->cluster));
#define SET(name, help) json_object_set_new(row, #name, report_number(cluster->name));
        STATS_CLUSTER_COUNTERS(SET)
#undef SET
        json_object_set_new(row, "parked_now", report_number(cluster->parked_now));
        json_object_set_new(row, "unparked_found", report_number(cluster->unparked_found));
        json_object_set_new(row, "parked_in_queue", report_number(cluster->parked_in_queue));
        json_object_set_new(row, "parked_oldest_age_s",
                            report_age_s(now_us, now_us - snapshot_parked_age_us(cluster, now_us)));
        json_object_set_new(row, "flow", report_text(cluster_flow_name(cluster->flow)));
        set_broker(row, &cluster->broker, now_us);
        return row;
}

static json_t *
stats_of_reasons(const SnapshotRoute *route)
{
        json_t *reasons = json_object();

        for (Reason reason = 0; reason < REASON_COUNT; reason++)
                json_object_set_new(reasons, reason_code(reason), report_number(route->reasons[reason]));
        return reasons;
}

static void
set_percentiles(json_t *row, const char *name, const Histogram *histogram)
{
        static const struct {
                const char *suffix;
                double percent;
        } wanted[] = {{"p50_us", 50}, {"p99_us", 99}};

        for (size_t i = 0; i < G_N_ELEMENTS(wanted); i++) {
                g_autofree char *key = g_strdup_printf("%s_%s", name, wanted[i].suffix);
                double border_us = histogram_percentile_us(histogram, wanted[i].percent);

                json_object_set_new(row, key, report_number((uint64_t)border_us));
        }
}

static json_t *
stats_of_route(const SnapshotRoute *route, int64_t now_us)
{
        json_t *row = json_object();
        json_t *clusters = json_array();

        json_object_set_new(row, "route", report_text(route->route));
        json_object_set_new(row, "in", report_number(route->in));
        json_object_set_new(row, "in_flight", report_number(route->in_flight));
#define SET(name, help) json_object_set_new(row, #name, report_number(route->name));
        STATS_ROUTE_COUNTERS(SET)
#undef SET
        json_object_set_new(row, "delivered", report_number(route->delivered));
        json_object_set_new(row, "parked", report_number(route->parked));
        json_object_set_new(row, "unparked", report_number(route->unparked));
        json_object_set_new(row, "taken_back", report_number(route->taken_back));
        json_object_set_new(row, "parked_now", report_number(route->parked_now));
        json_object_set_new(row, "unparked_found", report_number(route->unparked_found));
        json_object_set_new(row, "parked_in_queue", report_number(route->parked_in_queue));
        set_percentiles(row, "hop", route->hop);
        set_percentiles(row, "confirm", route->confirm);
        json_object_set_new(row, "last_progress_age_s", report_age_s(now_us, route->progress_us));
        json_object_set_new(row, "state", report_text(snapshot_route_state(route)));
        json_object_set_new(row, "lanes",
                            json_pack("{s:i, s:i, s:i}", "running", route->lanes, "consuming",
                                      route->lanes_consuming, "blocked", route->lanes_blocked));
        json_object_set_new(row, "error", report_text(route->error));
        for (unsigned i = 0; i < route->clusters->len; i++)
                json_array_append_new(clusters, stats_of_cluster(route->clusters->pdata[i], now_us));
        json_object_set_new(row, "clusters", clusters);
        json_object_set_new(row, "reasons", stats_of_reasons(route));
        return row;
}

static json_t *
id_of_router(const Conf *conf)
{
        g_autofree char *id = conf ? announcement_id(conf) : NULL;

        return report_text(id);
}

static json_t *
stats_of_router(const ReportInput *input)
{
        g_autoptr(Conf) conf = stats_get_conf(input->stats);
        const RegistryStatus *registry = input->registry;
        json_t *document = json_object();
        StatsProcess process;

        stats_get_process(input->stats, &process);
        g_free(process.reload_error);
        json_object_set_new(document, "router", id_of_router(conf));
        json_object_set_new(document, "version", report_text(PROJECT_VERSION));
        json_object_set_new(document, "build", report_text(build_name()));
        json_object_set_new(document, "config_fingerprint", report_text(conf ? conf->fingerprint : NULL));
        json_object_set_new(document, "started", json_integer(process.started_unix));
        json_object_set_new(document, "uptime_s", report_age_s(input->now_us, process.started_us));
        json_object_set_new(document, "config_reloads", report_number(process.reloads));
        json_object_set_new(document, "config_last_reload_success", json_boolean(process.reload_ok));
        json_object_set_new(document, "redis", report_text(report_source_state(registry->redis)));
        json_object_set_new(document, "mysql", report_text(report_source_state(registry->mysql)));
        json_object_set_new(document, "view_age_s",
                            report_age_s(input->now_us, input->now_us - report_view_age_us(input)));
        json_object_set_new(document, "view_frozen", json_boolean(registry->frozen));
        json_object_set_new(document, "control_requests", report_number(process.control_requests));
        json_object_set_new(document, "control_refused", report_number(process.control_refused));
        json_object_set_new(document, "stats_lost", report_number(process.stats_lost));
        return document;
}

char *
report_stats(const ReportInput *input)
{
        g_autoptr(GPtrArray) routes = snapshot_new(input->stats, input->view);
        json_t *document = stats_of_router(input), *rows = json_array();

        for (unsigned i = 0; i < routes->len; i++)
                json_array_append_new(rows, stats_of_route(routes->pdata[i], input->now_us));
        json_object_set_new(document, "routes", rows);
        return report_finish(document);
}
