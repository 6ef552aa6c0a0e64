/* SPDX-License-Identifier: MIT */
/*
 * The list of statistics, the documents made from it and what the router says are the same. After a change of
 * the list: test_statistic --print >docs/statistics.md
 */
#include "router/metrics.h"
#include "router/report.h"
#include "router/statistic.h"

#include <gio/gio.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* A router of one route and one cluster, that has seen something. */
typedef struct {
        Stats *stats;
        View *view;
        RegistryStatus registry;
        ReportInput input;
} Router;

static void
router_init(Router *router)
{
        static const char text[] =
            "[east]\ncluster_member_ips = e\namqp_url = amqp://east/\n[route:volume]\nqueue = volume\n"
            "cluster_from = header:cluster\ndestination = queue:{queue}.{cluster}\n";
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(Conf) conf = conf_parse("router.conf", text, strlen(text), errors);
        ViewHost host = {.name = (char *)"e", .usable = true, .alive = true};
        ViewInput input = {.name = "east", .hosts = &host, .n_hosts = 1};

        g_assert_nonnull(conf);
        router->stats = stats_new();
        stats_set_conf(router->stats, conf);

        RouteStats *route = stats_route(router->stats, "volume");
        atomic_store(&route->progress_us, 1);
        route_stats_change_broker(route, route_stats_cluster(route, "east"), OWN_BROKER_NONE,
                                  OWN_BROKER_CONNECTED, g_get_monotonic_time());
        router->view = view_new(&input, 1, false, NULL);
        router->registry = (RegistryStatus){.redis = SOURCE_OK, .mysql = SOURCE_OK};
        router->input = (ReportInput){router->stats, router->view, &router->registry, g_get_monotonic_time()};
}

static void
router_clear(Router *router)
{
        view_unref(router->view);
        stats_free(router->stats);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Router, router_clear)

static void
test_metrics_are_those_of_the_list(void)
{
        g_auto(Router) router = {0};
        size_t count, families = 0;
        const Statistic *table = statistic_table(&count);

        router_init(&router);
        g_autofree char *text = metrics_text(&router.input);
        for (size_t i = 0; i < count; i++) {
                const char *of = table[i].scope == STATISTIC_ROUTE     ? "{route=\"volume\""
                                 : table[i].scope == STATISTIC_CLUSTER ? "{route=\"volume\",cluster=\"east\""
                                 : table[i].scope == STATISTIC_VIEW    ? "{cluster=\"east\""
                                                                       : "";
                const char *suffix = table[i].kind == STATISTIC_HISTOGRAM ? "_bucket" : "";
                g_autofree char *sample =
                    g_strdup_printf("\ncluster_router_%s%s%s", table[i].metric, suffix, of);
                g_autofree char *type = g_strdup_printf("\n# TYPE cluster_router_%s %s\n", table[i].metric,
                                                        statistic_kind_name(table[i].kind));

                g_test_message("%s", table[i].metric);
                g_assert_nonnull(strstr(text, sample));
                g_assert_nonnull(strstr(text, type));
        }
        for (const char *at = text; (at = strstr(at, "# TYPE ")); at++)
                families++;
        g_assert_cmpuint(families, ==, count);
}

static void
assert_has(const json_t *object, const Statistic *row)
{
        g_autofree char *key =
            row->kind == STATISTIC_HISTOGRAM ? g_strdup_printf("%s_p99_us", row->key) : g_strdup(row->key);

        g_test_message("%s", key);
        g_assert_nonnull(json_object_get(object, key));
}

static void
test_json_has_all_of_the_list(void)
{
        g_auto(Router) router = {0};
        size_t count;
        const Statistic *table = statistic_table(&count);

        router_init(&router);
        g_autofree char *stats_text = report_stats(&router.input);
        g_autofree char *clusters_text = report_clusters(&router.input);
        json_t *stats = json_loads(stats_text, 0, NULL), *clusters = json_loads(clusters_text, 0, NULL);
        const json_t *route = json_array_get(json_object_get(stats, "routes"), 0);
        const json_t *objects[STATISTIC_SCOPES] = {stats, route,
                                                   json_array_get(json_object_get(route, "clusters"), 0),
                                                   json_array_get(json_object_get(clusters, "clusters"), 0)};

        for (size_t i = 0; i < count; i++)
                assert_has(objects[table[i].scope], &table[i]);
        json_decref(stats);
        json_decref(clusters);
}

static void
test_document_is_generated(void)
{
        g_autofree char *path = g_build_filename(g_getenv("PROJECT_ROOT"), "docs", "statistics.md", NULL);
        g_autofree char *committed = NULL;
        g_autofree char *generated = statistic_document();

        g_assert_true(g_file_get_contents(path, &committed, NULL, NULL));
        g_assert_cmpstr(committed, ==, generated);
}

/* Prometheus itself has nothing to say against it. */
static void
test_promtool_finds_nothing(void)
{
        g_auto(Router) router = {0};
        g_autoptr(GError) error = NULL;
        g_autofree char *said = NULL;

        router_init(&router);
        g_autofree char *text = metrics_text(&router.input);
        g_autoptr(GSubprocess) promtool = g_subprocess_new(
            G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_MERGE,
            &error, "promtool", "check", "metrics", NULL);

        g_assert_no_error(error);
        g_subprocess_communicate_utf8(promtool, text, NULL, &said, NULL, &error);
        g_assert_no_error(error);
        g_assert_cmpstr(said, ==, "");
        g_assert_true(g_subprocess_get_successful(promtool));
}

int
main(int argc, char **argv)
{
        if (argc == 2 && strcmp(argv[1], "--print") == 0) {
                g_autofree char *document = statistic_document();

                fputs(document, stdout);
                return 0;
        }
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/statistic/metrics-are-those-of-the-list", test_metrics_are_those_of_the_list);
        g_test_add_func("/statistic/json-has-all-of-the-list", test_json_has_all_of_the_list);
        g_test_add_func("/statistic/document-is-generated", test_document_is_generated);
        g_test_add_func("/statistic/promtool-finds-nothing", test_promtool_finds_nothing);
        return g_test_run();
}
