/* SPDX-License-Identifier: MIT */
/*
 * Each document is built by one function from top to bottom, in the order in which a person would read it.
 * Every string passes through report_text(), since an error from a library need not be UTF-8 and jansson
 * would drop the whole document for it.
 */
#include "router/report.h"
#include "conf/build.h"
#include "conf/conf_policy.h"
#include "router/report_json.h"
#include "router/snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOUR_US (INT64_C(3600) * G_USEC_PER_SEC)

const char *
report_source_state(SourceState state)
{
        switch (state) {
        case SOURCE_WAITING:
                return "waiting";
        case SOURCE_OK:
                return "ok";
        case SOURCE_LOST:
                return "lost";
        case SOURCE_OFF:
                break;
        }
        return "off";
}

int64_t
report_view_age_us(const ReportInput *input)
{
        const RegistryStatus *registry = input->registry;

        if (registry->redis == SOURCE_OFF && registry->mysql == SOURCE_OFF)
                return 0;
        return MAX(input->now_us - registry->view_checked_us, 0);
}

/* --- status --- */

/* "" means there is none, as in RegistryStatus. */
static json_t *
text_unless_empty(const char *string)
{
        return string[0] ? report_text(string) : json_null();
}

static json_t *
status_of_conf(const Conf *conf, const StatsProcess *process)
{
        json_t *reload = json_pack("{s:b, s:o, s:o, s:o}", "ok", process->reload_ok, "error",
                                   report_text(process->reload_error), "at",
                                   process->reload_unix ? json_integer(process->reload_unix) : json_null(),
                                   "count", report_number(process->reloads));

        return json_pack("{s:o, s:o, s:o}", "path", report_text(conf ? conf->path : NULL), "fingerprint",
                         report_text(conf ? conf->fingerprint : NULL), "reload", reload);
}

static json_t *
status_of_source(SourceState state, const char *error, int64_t ok_us, int64_t now_us)
{
        return json_pack("{s:s, s:o, s:o}", "state", report_source_state(state), "error",
                         text_unless_empty(error), "ok_age_s", report_age_s(now_us, ok_us));
}

static json_t *
status_of_view(const ReportInput *input)
{
        const View *view = input->view;
        unsigned usable = 0;

        for (unsigned i = 0; i < view->clusters->len; i++)
                usable += view_cluster_is_usable(view->clusters->pdata[i]);
        return json_pack("{s:o, s:o, s:b, s:i, s:i, s:o}", "generation", report_number(view->generation),
                         "age_s", report_age_s(input->now_us, input->now_us - report_view_age_us(input)),
                         "frozen", input->registry->frozen, "clusters", (int)view->clusters->len, "usable",
                         (int)usable, "usable_hosts", report_number(view->usable_total));
}

static json_t *
status_of_route(const SnapshotRoute *route, int64_t now_us)
{
        return json_pack("{s:o, s:s, s:i, s:i, s:i, s:o, s:o, s:o}", "route", report_text(route->route),
                         "state", snapshot_route_state(route), "lanes", route->lanes, "lanes_consuming",
                         route->lanes_consuming, "lanes_blocked", route->lanes_blocked, "in_flight",
                         report_number(route->in_flight), "error", report_text(route->error),
                         "last_progress_age_s", report_age_s(now_us, route->progress_us));
}

static json_t *
status_of_brokers(const View *view, const GPtrArray *routes, int64_t now_us)
{
        json_t *brokers = json_array();

        for (unsigned i = 0; i < view->clusters->len; i++) {
                const char *cluster = ((const ViewCluster *)view->clusters->pdata[i])->name;
                int64_t since_us = 0;
                OwnBrokerState state = snapshot_broker(routes, cluster, &since_us);

                if (state != OWN_BROKER_NONE)
                        json_array_append_new(
                            brokers, json_pack("{s:o, s:s, s:o}", "cluster", report_text(cluster),
                                               "broker_state", own_broker_state_name(state),
                                               "broker_state_age_s", report_age_s(now_us, since_us)));
        }
        return brokers;
}

char *
report_status(const ReportInput *input)
{
        g_autoptr(GPtrArray) routes = snapshot_new(input->stats, input->view);
        g_autoptr(Conf) conf = stats_get_conf(input->stats);
        const RegistryStatus *registry = input->registry;
        StatsProcess process;
        json_t *rows = json_array(), *document = json_object();

        stats_get_process(input->stats, &process);
        for (unsigned i = 0; i < routes->len; i++)
                json_array_append_new(rows, status_of_route(routes->pdata[i], input->now_us));
        json_object_set_new(document, "version", report_text(PROJECT_VERSION));
        json_object_set_new(document, "build", report_text(build_name()));
        json_object_set_new(document, "pid", json_integer(getpid()));
        json_object_set_new(document, "started", json_integer(process.started_unix));
        json_object_set_new(document, "uptime_s", report_age_s(input->now_us, process.started_us));
        json_object_set_new(document, "config", status_of_conf(conf, &process));
        json_object_set_new(document, "single_cluster", json_boolean(input->view->single));
        json_object_set_new(
            document, "redis",
            status_of_source(registry->redis, registry->redis_error, registry->redis_ok_us, input->now_us));
        json_object_set_new(
            document, "mysql",
            status_of_source(registry->mysql, registry->mysql_error, registry->mysql_ok_us, input->now_us));
        json_object_set_new(document, "brokers", status_of_brokers(input->view, routes, input->now_us));
        json_object_set_new(document, "view", status_of_view(input));
        json_object_set_new(document, "control",
                            json_pack("{s:o, s:o}", "requests", report_number(process.control_requests),
                                      "refused", report_number(process.control_refused)));
        json_object_set_new(document, "routes", rows);
        g_free(process.reload_error);
        return report_finish(document);
}

/* --- readiness --- */

static void
add_missing(json_t *missing, char *sentence)
{
        json_array_append_new(missing, report_text(sentence));
        g_free(sentence);
}

/* Routes gone from the configuration do not count: they have no lanes for good reason. */
static void
add_missing_routes(json_t *missing, const ReportInput *input, const Conf *conf)
{
        g_autoptr(GPtrArray) routes = snapshot_new(input->stats, input->view);

        for (unsigned i = 0; i < routes->len; i++) {
                const SnapshotRoute *route = routes->pdata[i];

                if (route->lanes_consuming <= 0 && conf_find_route(conf, route->route))
                        add_missing(missing, g_strdup_printf("route %s: no lane consumes%s%s", route->route,
                                                             route->error ? ": " : "",
                                                             route->error ? route->error : ""));
        }
}

char *
report_readiness(const ReportInput *input, bool *out_ready)
{
        g_autoptr(Conf) conf = stats_get_conf(input->stats);
        json_t *missing = json_array();

        if (conf)
                add_missing_routes(missing, input, conf);
        else
                add_missing(missing, g_strdup("configuration: none is in force yet"));
        *out_ready = json_array_size(missing) == 0;
        return report_finish(json_pack("{s:b, s:o}", "ready", *out_ready, "missing", missing));
}

/* --- routes --- */

static json_t *
text_of_policy(const ConfPolicy *policy)
{
        g_autofree char *spelled = conf_policy_spell(policy);

        return report_text(spelled);
}

static json_t *
binds_of_route(const ConfRoute *route)
{
        json_t *binds = json_array();

        for (unsigned i = 0; i < route->binds->len; i++) {
                const ConfBind *bind = route->binds->pdata[i];
                json_t *row = json_pack("{s:o, s:o}", "exchange", report_text(bind->exchange), "key",
                                        report_text(bind->key));

                json_array_append_new(binds, row);
        }
        return binds;
}

static json_t *
sources_of_route(const ConfRoute *route)
{
        json_t *sources = json_array();

        for (unsigned i = 0; i < route->sources->len; i++)
                json_array_append_new(sources,
                                      report_text(((ConfSource *)route->sources->pdata[i])->spelling));
        return sources;
}

static json_t *
destination_of_route(const ConfRoute *route)
{
        g_autofree char *spelled = route->to_queue
                                       ? g_strdup_printf("queue:%s", route->key)
                                       : g_strdup_printf("exchange:%s/%s", route->exchange, route->key);

        return report_text(spelled);
}

static json_t *
conf_of_route(const ConfRoute *route)
{
        json_t *row = json_object();
        json_t *down = json_pack("{s:o, s:o}", "cast", text_of_policy(&route->on_down_cast), "call",
                                 text_of_policy(&route->on_down_call));

        json_object_set_new(row, "route", report_text(route->name));
        json_object_set_new(row, "queue", report_text(route->queue));
        json_object_set_new(row, "bind", binds_of_route(route));
        json_object_set_new(row, "cluster_from", sources_of_route(route));
        json_object_set_new(row, "destination", destination_of_route(route));
        json_object_set_new(row, "mode", report_text(route->mode == CONF_MODE_TAG ? "tag" : "reroute"));
        json_object_set_new(row, "on_no_cluster", text_of_policy(&route->on_no_cluster));
        json_object_set_new(row, "on_unknown_cluster", text_of_policy(&route->on_unknown_cluster));
        json_object_set_new(row, "on_cluster_down", down);
        json_object_set_new(row, "replies", json_boolean(route->replies));
        json_object_set_new(row, "prefetch", report_number(route->prefetch));
        json_object_set_new(row, "lanes", report_number(route->lanes));
        return row;
}

char *
report_routes(const ReportInput *input)
{
        g_autoptr(Conf) conf = stats_get_conf(input->stats);
        json_t *rows = json_array();

        for (unsigned i = 0; conf && i < conf->routes->len; i++)
                json_array_append_new(rows, conf_of_route(conf->routes->pdata[i]));
        return report_finish(json_pack("{s:o}", "routes", rows));
}

/* --- clusters --- */

static unsigned
count_flaps(const ViewHost *host, int64_t now_us)
{
        unsigned flaps = 0;

        for (unsigned i = 0; i < VIEW_CHANGES; i++)
                flaps += host->changes_us[i] != 0 && now_us - host->changes_us[i] < HOUR_US;
        return flaps;
}

static json_t *
hosts_of_cluster(const ViewCluster *cluster, int64_t now_us)
{
        json_t *hosts = json_array();

        for (unsigned i = 0; i < cluster->hosts->len; i++) {
                const ViewHost *host = cluster->hosts->pdata[i];

                json_array_append_new(
                    hosts, json_pack("{s:o, s:b, s:b, s:b, s:b, s:b, s:o, s:i, s:o}", "host",
                                     report_text(host->name), "usable", host->usable, "alive", host->alive,
                                     "drained", host->drained, "configured", host->configured, "registered",
                                     host->registered, "since_s", report_age_s(now_us, host->since_us),
                                     "flaps_last_hour", (int)count_flaps(host, now_us), "evidence",
                                     report_text(host->evidence)));
        }
        return hosts;
}

static json_t *
flows_of_cluster(const ViewCluster *cluster, const GPtrArray *routes)
{
        json_t *flows = json_array();

        for (unsigned i = 0; i < routes->len; i++) {
                const SnapshotRoute *route = routes->pdata[i];
                const SnapshotCluster *row = snapshot_find_cluster(route, cluster->name);

                if (!row)
                        continue;
                json_array_append_new(
                    flows,
                    json_pack("{s:o, s:s, s:o, s:o, s:o, s:o}", "route", report_text(route->route), "flow",
                              cluster_flow_name(row->flow), "parked_in_queue",
                              report_number(row->parked_in_queue), "consumers",
                              row->consumers < 0 ? json_null() : report_number((uint64_t)row->consumers),
                              "warning", report_text(cluster_consuming_text(row->consuming)), "broker_state",
                              report_text(own_broker_state_name(own_broker_state(&row->broker)))));
        }
        return flows;
}

static json_t *
clusters_row(const ViewCluster *cluster, const GPtrArray *routes, int64_t now_us)
{
        bool usable = view_cluster_is_usable(cluster);
        const char *state = cluster->drained ? "drained" : usable ? "up" : "down";
        const char *reason = cluster->drained ? cluster->drain_reason
                             : usable         ? NULL
                                              : reason_meaning(REASON_CLUSTER_DOWN);
        int64_t broker_us = 0;
        OwnBrokerState broker = snapshot_broker(routes, cluster->name, &broker_us);
        json_t *row = json_object(), *aliases = json_array();

        for (unsigned i = 0; cluster->aliases && cluster->aliases[i]; i++)
                json_array_append_new(aliases, report_text(cluster->aliases[i]));
        json_object_set_new(row, "cluster", report_text(cluster->name));
        json_object_set_new(row, "state", report_text(state));
        json_object_set_new(row, "reason", report_text(reason));
        json_object_set_new(row, "drain_since", report_text(cluster->drain_since));
        json_object_set_new(row, "drain_by", report_text(cluster->drain_by));
        json_object_set_new(row, "drain_to", report_text(cluster->drain_to));
        json_object_set_new(row, "usable", report_number(cluster->usable->len));
        json_object_set_new(row, "hosts_total", report_number(cluster->hosts->len));
        json_object_set_new(row, "aliases", aliases);
        json_object_set_new(row, "hosts", hosts_of_cluster(cluster, now_us));
        json_object_set_new(row, "broker_state", report_text(own_broker_state_name(broker)));
        json_object_set_new(row, "broker_state_age_s", report_age_s(now_us, broker_us));
        json_object_set_new(row, "routes", flows_of_cluster(cluster, routes));
        return row;
}

/* Row by row: as one tree, the hosts of a large site would take many times the memory of the text. */
char *
report_clusters(const ReportInput *input)
{
        g_autoptr(GPtrArray) routes = snapshot_new(input->stats, input->view);
        GString *text = g_string_new("{\"clusters\":[");

        for (unsigned i = 0; i < input->view->clusters->len; i++) {
                if (i > 0)
                        g_string_append_c(text, ',');
                report_append(text, clusters_row(input->view->clusters->pdata[i], routes, input->now_us));
        }
        g_string_append(text, "]}\n");
        return g_string_free(text, FALSE);
}
