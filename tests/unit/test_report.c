/* SPDX-License-Identifier: MIT */
#include "conf/build.h"
#include "router/metrics.h"
#include "router/report.h"

#include <jansson.h>
#include <string.h>

static const char conf_text[] = "[broker]\n"
                                "url = amqp://guest:hidden-word@127.0.0.1:5672/%2f\n"
                                "[east]\n"
                                "cluster_member_ips = 10.0.0.1,10.0.0.2\n"
                                "[west]\n"
                                "cluster_member_ips = 10.0.1.1\n"
                                "[route:volume]\n"
                                "queue = cinder-volume\n"
                                "cluster_from = header:cluster, json:/cluster\n"
                                "destination = queue:{queue}.{cluster}\n"
                                "on_no_cluster = cluster:east\n"
                                "on_cluster_down = cast:dead, call:park\n";

typedef struct {
        Stats *stats;
        View *view;
        RegistryStatus registry;
        ReportInput input;
} Fixture;

static View *
make_view(void)
{
        ViewHost east[] = {
            {.name = (char *)"10.0.0.1", .usable = true, .alive = true, .configured = true, .since_us = 1},
            {.name = (char *)"10.0.0.2", .configured = true, .since_us = 1}};
        ViewHost west[] = {{.name = (char *)"10.0.1.1", .alive = true, .drained = true, .since_us = 1}};
        static const char *const aliases[] = {"zone-1", NULL};
        ViewInput inputs[] = {
            {.name = "east", .aliases = aliases, .hosts = east, .n_hosts = 2},
            {.name = "west", .drained = true, .drain_reason = "new \"disks\"", .hosts = west, .n_hosts = 1},
        };

        return view_new(inputs, G_N_ELEMENTS(inputs), false, NULL);
}

static void
set_up(Fixture *fixture, gconstpointer data)
{
        fixture->stats = stats_new();
        fixture->view = make_view();
        fixture->registry = (RegistryStatus){
            .redis = SOURCE_OK, .redis_ok_us = 5000000, .mysql = SOURCE_OFF, .view_checked_us = 5000000};
        fixture->input = (ReportInput){fixture->stats, fixture->view, &fixture->registry, 7500000};
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
        view_unref(fixture->view);
        stats_free(fixture->stats);
}

static void
load_conf(Fixture *fixture)
{
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(Conf) conf = conf_parse("router.conf", conf_text, strlen(conf_text), errors);

        g_assert_cmpstr(errors->len ? errors->pdata[0] : NULL, ==, NULL);
        g_assert_nonnull(conf);
        stats_set_conf(fixture->stats, conf);
}

static json_t *
parse(char *document)
{
        json_error_t error;
        json_t *root = json_loads(document, 0, &error);

        g_test_message("%s", document);
        g_assert_nonnull(root);
        g_assert_true(g_str_has_suffix(document, "\n"));
        g_free(document);
        return root;
}

/* PATH: keys and array indices separated by "/". */
static json_t *
at(json_t *root, const char *path)
{
        g_auto(GStrv) steps = g_strsplit(path, "/", -1);

        for (int i = 0; steps[i]; i++) {
                root = json_is_array(root) ? json_array_get(root, g_ascii_strtoull(steps[i], NULL, 10))
                                           : json_object_get(root, steps[i]);
                g_assert_nonnull(root);
        }
        return root;
}

static int64_t
int_at(json_t *root, const char *path)
{
        g_assert_true(json_is_integer(at(root, path)));
        return json_integer_value(at(root, path));
}

static const char *
text_at(json_t *root, const char *path)
{
        return json_string_value(at(root, path));
}

static void
assert_balanced(json_t *route)
{
        int64_t outcomes = int_at(route, "dead") + int_at(route, "expired") + int_at(route, "in_flight");
        json_t *cluster;
        size_t i;

        json_array_foreach(json_object_get(route, "clusters"), i, cluster)
        {
                outcomes += int_at(cluster, "delivered") + int_at(cluster, "parked_now");
        }
        g_assert_cmpint(int_at(route, "in") + int_at(route, "unparked_found"), ==, outcomes);
}

/* --- stats --- */

static void
test_balance(Fixture *fixture, gconstpointer data)
{
        RouteStats *route = stats_route(fixture->stats, "volume");
        ClusterStats *east = route_stats_cluster(route, "east");
        ClusterStats *none = route_stats_cluster(route, "");

        stats_add(&route->received, 100);
        stats_add(&route->requeued, 7);
        stats_add(&route->dead, 3);
        stats_add(&route->expired, 2);
        stats_add(&east->delivered, 50);
        stats_add(&east->parked, 20);
        stats_add(&east->unparked, 15);
        stats_add(&none->delivered, 4);
        stats_add(&route->reasons[REASON_LIVE], 50);

        json_t *root = parse(report_stats(&fixture->input));
        json_t *row = at(root, "routes/0");
        assert_balanced(row);
        g_assert_cmpint(int_at(row, "in"), ==, 93);
        g_assert_cmpint(int_at(row, "unparked_found"), ==, 0);
        g_assert_cmpint(int_at(row, "in_flight"), ==, 93 - 50 - 4 - 3 - 2 - 5);
        g_assert_cmpint(int_at(row, "delivered"), ==, 54);
        g_assert_cmpint(int_at(row, "reasons/live"), ==, 50);
        g_assert_cmpint(int_at(row, "reasons/bad_message"), ==, 0);
        g_assert_cmpstr(text_at(row, "clusters/0/cluster"), ==, "");
        g_assert_cmpstr(text_at(row, "clusters/1/cluster"), ==, "east");
        g_assert_cmpint(int_at(row, "clusters/1/parked_now"), ==, 5);
        g_assert_cmpstr(text_at(row, "clusters/2/cluster"), ==, "west");
        g_assert_cmpint(int_at(row, "clusters/2/delivered"), ==, 0);
        json_decref(root);
}

/* What an earlier process parked is told apart: it never came in here. */
static void
test_found_messages(Fixture *fixture, gconstpointer data)
{
        ClusterStats *east = route_stats_cluster(stats_route(fixture->stats, "volume"), "east");

        atomic_store(&east->parked_found, 30);
        json_t *root = parse(report_stats(&fixture->input));
        assert_balanced(at(root, "routes/0"));
        g_assert_cmpint(int_at(root, "routes/0/clusters/0/parked_now"), ==, 0);
        g_assert_cmpint(int_at(root, "routes/0/clusters/0/parked_in_queue"), ==, 30);
        json_decref(root);

        stats_add(&east->delivered, 10);
        stats_add(&east->unparked, 10);
        root = parse(report_stats(&fixture->input));
        assert_balanced(at(root, "routes/0"));
        g_assert_cmpint(int_at(root, "routes/0/in_flight"), ==, 0);
        g_assert_cmpint(int_at(root, "routes/0/unparked_found"), ==, 10);
        g_assert_cmpint(int_at(root, "routes/0/clusters/0/parked_now"), ==, 0);
        g_assert_cmpint(int_at(root, "routes/0/clusters/0/parked_in_queue"), ==, 20);
        json_decref(root);
}

/* A lane as it counts: arrival, then outcome; parked, then delivered, then unparked. */
static gpointer
count_like_a_lane(gpointer data)
{
        RouteStats *route = data;
        ClusterStats *east = route_stats_cluster(route, "east");

        for (unsigned i = 0; i < 300000; i++) {
                stats_add(&route->received, 1);
                switch (i % 4) {
                case 0:
                        stats_add(&east->parked, 1);
                        stats_add(&east->delivered, 1);
                        stats_add(&east->unparked, 1);
                        break;
                case 1:
                        stats_add(&route->dead, 1);
                        break;
                case 2:
                        stats_add(&route->requeued, 1);
                        break;
                default:
                        stats_add(&east->delivered, 1);
                }
        }
        return NULL;
}

static void
test_balance_under_load(Fixture *fixture, gconstpointer data)
{
        RouteStats *route = stats_route(fixture->stats, "volume");
        GThread *lane = g_thread_new("lane", count_like_a_lane, route);

        for (int i = 0; i < 200; i++) {
                json_t *root = parse(report_stats(&fixture->input));

                assert_balanced(at(root, "routes/0"));
                json_decref(root);
        }
        g_thread_join(lane);

        json_t *root = parse(report_stats(&fixture->input));
        assert_balanced(at(root, "routes/0"));
        g_assert_cmpint(int_at(root, "routes/0/in"), ==, 225000);
        g_assert_cmpint(int_at(root, "routes/0/unparked_found"), ==, 0);
        g_assert_cmpint(int_at(root, "routes/0/in_flight"), ==, 0);
        json_decref(root);
}

static void
test_rows_shown(Fixture *fixture, gconstpointer data)
{
        route_stats_cluster(stats_route(fixture->stats, "volume"), "");
        json_t *root = parse(report_stats(&fixture->input));
        g_assert_cmpuint(json_array_size(at(root, "routes/0/clusters")), ==, 2);
        json_decref(root);

        g_autoptr(View) single = view_new(NULL, 0, true, NULL);
        fixture->input.view = single;
        root = parse(report_stats(&fixture->input));
        g_assert_cmpuint(json_array_size(at(root, "routes/0/clusters")), ==, 1);
        g_assert_cmpstr(text_at(root, "routes/0/clusters/0/cluster"), ==, "");
        json_decref(root);
}

/* --- other documents --- */

static void
test_odd_strings(Fixture *fixture, gconstpointer data)
{
        RouteStats *route = stats_route(fixture->stats, "a\"b\\c\nd");

        route_stats_set_error(route, "socket \xff said \"no\"\n");
        json_t *root = parse(report_stats(&fixture->input));
        g_assert_cmpstr(text_at(root, "routes/0/route"), ==, "a\"b\\c\nd");
        g_assert_cmpstr(text_at(root, "routes/0/error"), ==, "socket \xef\xbf\xbd said \"no\"\n");
        json_decref(root);

        g_autofree char *metrics = metrics_text(&fixture->input);
        g_assert_nonnull(strstr(metrics, "cluster_router_received_total{route=\"a\\\"b\\\\c\\nd\"} 0\n"));
}

static void
test_status(Fixture *fixture, gconstpointer data)
{
        load_conf(fixture);
        stats_set_reload(fixture->stats, false, "router.conf:3: unknown key");
        g_strlcpy(fixture->registry.redis_error, "no route to host", sizeof(fixture->registry.redis_error));
        fixture->registry.redis = SOURCE_LOST;

        json_t *root = parse(report_status(&fixture->input));
        g_assert_cmpstr(text_at(root, "version"), ==, PROJECT_VERSION);
        g_assert_cmpstr(text_at(root, "build"), ==, build_name());
        g_assert_cmpstr(text_at(root, "config/path"), ==, "router.conf");
        g_assert_true(json_is_false(at(root, "config/reload/ok")));
        g_assert_cmpstr(text_at(root, "config/reload/error"), ==, "router.conf:3: unknown key");
        g_assert_cmpstr(text_at(root, "redis/state"), ==, "lost");
        g_assert_cmpstr(text_at(root, "redis/error"), ==, "no route to host");
        g_assert_cmpfloat(json_real_value(at(root, "redis/ok_age_s")), ==, 2.5);
        g_assert_cmpstr(text_at(root, "mysql/state"), ==, "off");
        g_assert_true(json_is_null(at(root, "mysql/ok_age_s")));
        g_assert_cmpfloat(json_real_value(at(root, "view/age_s")), ==, 2.5);
        g_assert_cmpint(int_at(root, "view/clusters"), ==, 2);
        g_assert_cmpint(int_at(root, "view/usable"), ==, 1);
        g_assert_cmpstr(text_at(root, "routes/0/route"), ==, "volume");
        g_assert_cmpstr(text_at(root, "routes/0/state"), ==, "stopped");
        json_decref(root);
}

/* The file cannot grow old. */
static void
test_view_of_file(Fixture *fixture, gconstpointer data)
{
        fixture->registry.redis = SOURCE_OFF;
        json_t *root = parse(report_status(&fixture->input));

        g_assert_cmpfloat(json_real_value(at(root, "view/age_s")), ==, 0);
        json_decref(root);
}

static void
test_route_states(Fixture *fixture, gconstpointer data)
{
        RouteStats *route = stats_route(fixture->stats, "volume");
        const struct {
                int lanes, consuming, blocked;
                const char *state;
        } rows[] = {
            {0, 0, 0, "stopped"}, {2, 0, 0, "connecting"}, {2, 1, 0, "running"}, {2, 2, 1, "blocked"}};

        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
                atomic_store(&route->lanes, rows[i].lanes);
                atomic_store(&route->lanes_consuming, rows[i].consuming);
                atomic_store(&route->lanes_blocked, rows[i].blocked);
                json_t *root = parse(report_status(&fixture->input));
                g_assert_cmpstr(text_at(root, "routes/0/state"), ==, rows[i].state);
                json_decref(root);
        }
}

static void
test_readiness(Fixture *fixture, gconstpointer data)
{
        bool ready = true;
        json_t *root = parse(report_readiness(&fixture->input, &ready));
        g_assert_false(ready);
        g_assert_cmpuint(json_array_size(at(root, "missing")), ==, 1);
        json_decref(root);

        load_conf(fixture);
        RouteStats *route = stats_route(fixture->stats, "volume");
        stats_route(fixture->stats, "gone");
        route_stats_set_error(route, "connection refused");
        root = parse(report_readiness(&fixture->input, &ready));
        g_assert_false(ready);
        g_assert_cmpuint(json_array_size(at(root, "missing")), ==, 1);
        g_assert_cmpstr(text_at(root, "missing/0"), ==, "route volume: no lane consumes: connection refused");
        json_decref(root);

        atomic_store(&route->lanes_consuming, 1);
        root = parse(report_readiness(&fixture->input, &ready));
        g_assert_true(ready);
        g_assert_true(json_is_true(at(root, "ready")));
        json_decref(root);
}

static void
test_routes(Fixture *fixture, gconstpointer data)
{
        load_conf(fixture);
        json_t *root = parse(report_routes(&fixture->input));
        json_t *route = at(root, "routes/0");

        g_assert_cmpstr(text_at(route, "queue"), ==, "cinder-volume");
        g_assert_cmpstr(text_at(route, "destination"), ==, "queue:{queue}.{cluster}");
        g_assert_cmpstr(text_at(route, "cluster_from/1"), ==, "json:/cluster");
        g_assert_cmpstr(text_at(route, "on_no_cluster"), ==, "cluster:east");
        g_assert_cmpstr(text_at(route, "on_cluster_down/cast"), ==, "dead");
        g_assert_cmpstr(text_at(route, "on_cluster_down/call"), ==, "park");
        json_decref(root);
}

static void
test_clusters(Fixture *fixture, gconstpointer data)
{
        ClusterStats *east = route_stats_cluster(stats_route(fixture->stats, "volume"), "east");

        atomic_store(&east->state, FLOW_UNPARKING);
        json_t *root = parse(report_clusters(&fixture->input));
        g_assert_cmpstr(text_at(root, "clusters/0/state"), ==, "up");
        g_assert_cmpint(int_at(root, "clusters/0/usable"), ==, 1);
        g_assert_cmpint(int_at(root, "clusters/0/hosts_total"), ==, 2);
        g_assert_cmpstr(text_at(root, "clusters/0/aliases/0"), ==, "zone-1");
        g_assert_true(json_is_false(at(root, "clusters/0/hosts/1/alive")));
        g_assert_cmpstr(text_at(root, "clusters/0/routes/0/flow"), ==, "unparking");
        g_assert_cmpstr(text_at(root, "clusters/1/state"), ==, "drained");
        g_assert_cmpstr(text_at(root, "clusters/1/reason"), ==, "new \"disks\"");
        json_decref(root);
}

static void
test_no_secrets(Fixture *fixture, gconstpointer data)
{
        static char *(*const documents[])(const ReportInput *input) = {
            report_stats, report_status, report_routes, report_clusters, metrics_text};

        load_conf(fixture);
        for (size_t i = 0; i < G_N_ELEMENTS(documents); i++) {
                g_autofree char *document = documents[i](&fixture->input);

                g_assert_null(strstr(document, "hidden-word"));
        }
}

/* --- metrics --- */

static void
test_metrics(Fixture *fixture, gconstpointer data)
{
        RouteStats *route = stats_route(fixture->stats, "volume");
        ClusterStats *east = route_stats_cluster(route, "east");

        stats_add(&route->received, 12);
        stats_add(&east->delivered, 9);
        histogram_add(&route->hop, 40);
        histogram_add(&route->hop, 64);
        histogram_add(&route->hop, INT64_C(3600) * G_USEC_PER_SEC);
        g_autofree char *text = metrics_text(&fixture->input);

        static const char *const lines[] = {
            "# TYPE cluster_router_received_total counter\n",
            "cluster_router_received_total{route=\"volume\"} 12\n",
            "cluster_router_delivered_total{route=\"volume\",cluster=\"east\"} 9\n",
            "cluster_router_outcomes_total{route=\"volume\",reason=\"live\"} 0\n",
            "cluster_router_cluster_hosts{cluster=\"east\",state=\"down\"} 1\n",
            "cluster_router_cluster_hosts{cluster=\"west\",state=\"drained\"} 1\n",
            "cluster_router_cluster_usable{cluster=\"west\"} 0\n",
            "cluster_router_view_age_seconds 2.500000\n",
            "cluster_router_redis_up 1\n",
            "cluster_router_in_flight_messages{route=\"volume\"} 3\n",
            "cluster_router_hop_seconds_bucket{route=\"volume\",le=\"0.000063\"} 1\n",
            "cluster_router_hop_seconds_bucket{route=\"volume\",le=\"0.000255\"} 2\n",
            "cluster_router_hop_seconds_bucket{route=\"volume\",le=\"268.435455\"} 2\n",
            "cluster_router_hop_seconds_bucket{route=\"volume\",le=\"+Inf\"} 3\n",
            "cluster_router_hop_seconds_sum{route=\"volume\"} 3600.000104\n",
            "cluster_router_hop_seconds_count{route=\"volume\"} 3\n",
        };
        for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
                g_test_message("wanted: %s", lines[i]);
                g_assert_nonnull(strstr(text, lines[i]));
        }
        g_assert_null(strstr(text, "mysql_up"));

        if (g_getenv("METRICS_FILE"))
                g_file_set_contents(g_getenv("METRICS_FILE"), text, -1, NULL);
}

int
main(int argc, char **argv)
{
        static const struct {
                const char *name;
                void (*test)(Fixture *fixture, gconstpointer data);
        } tests[] = {
            {"/report/stats_balance", test_balance},
            {"/report/found_messages_do_not_disturb_the_balance", test_found_messages},
            {"/report/stats_balance_while_a_lane_counts", test_balance_under_load},
            {"/report/every_cluster_of_the_view_has_a_row", test_rows_shown},
            {"/report/odd_strings_are_escaped", test_odd_strings},
            {"/report/status_tells_reload_and_sources", test_status},
            {"/report/view_of_the_file_alone_has_no_age", test_view_of_file},
            {"/report/route_state_follows_its_lanes", test_route_states},
            {"/report/ready_once_every_route_consumes", test_readiness},
            {"/report/routes_show_the_configuration", test_routes},
            {"/report/clusters_show_hosts_and_flow", test_clusters},
            {"/report/no_document_holds_a_secret", test_no_secrets},
            {"/metrics/lines_are_there_and_exact", test_metrics},
        };

        g_test_init(&argc, &argv, NULL);
        for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
                g_test_add(tests[i].name, Fixture, NULL, set_up, tests[i].test, tear_down);
        return g_test_run();
}
