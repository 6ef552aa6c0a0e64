/* SPDX-License-Identifier: MIT */
#include "router/changes.h"
#include "router/recorder.h"

#include <jansson.h>
#include <string.h>

/* What the recorder makes of counters, views and the states of sources, looked at once a second. */

typedef struct {
        Stats *stats;
        View *view;
        RegistryStatus registry;
        Recorder *recorder;
        int64_t now_us;
} Fixture;

static const int64_t START_US = 1000 * (int64_t)G_USEC_PER_SEC;

/* East with two hosts, so many of them usable. */
static void
set_view(Fixture *fixture, unsigned usable, bool drained)
{
        ViewHost hosts[] = {{.name = (char *)"10.0.0.1", .usable = usable > 0, .since_us = 1},
                            {.name = (char *)"10.0.0.2", .usable = usable > 1, .since_us = 1}};
        ViewInput input = {
            .name = "east", .drained = drained, .drain_reason = "new disks", .hosts = hosts, .n_hosts = 2};
        View *before = fixture->view;

        fixture->view = view_new(&input, 1, false, before);
        view_unref(before);
}

static void
set_up(Fixture *fixture, gconstpointer data)
{
        fixture->stats = stats_new();
        fixture->now_us = START_US;
        fixture->recorder = recorder_new(START_US);
        fixture->registry = (RegistryStatus){.redis = SOURCE_OK, .mysql = SOURCE_OFF};
        set_view(fixture, 2, false);
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
        recorder_free(fixture->recorder);
        view_unref(fixture->view);
        stats_free(fixture->stats);
}

static void
look_after(Fixture *fixture, int64_t milliseconds)
{
        fixture->now_us += milliseconds * 1000;
        recorder_look(fixture->recorder,
                      &(ReportInput){fixture->stats, fixture->view, &fixture->registry, fixture->now_us},
                      fixture->now_us / G_USEC_PER_SEC);
}

static json_t *
document_of(Fixture *fixture)
{
        g_autofree char *text = recorder_report(fixture->recorder);
        json_t *document = json_loads(text, 0, NULL);

        g_test_message("%s", text);
        g_assert_nonnull(document);
        return document;
}

/* The newest value of route volume or cluster east; -1 if there is no such series, -2 for null. */
static double
newest(Fixture *fixture, size_t window, const char *owner, const char *measure)
{
        json_t *document = document_of(fixture), *series;
        json_t *rows =
            json_object_get(json_array_get(json_object_get(document, "windows"), window), "series");
        double found = -1;
        size_t i;

        json_array_foreach(rows, i, series)
        {
                json_t *values = json_object_get(series, "values");
                json_t *last = json_array_get(values, json_array_size(values) - 1);

                if (json_object_get(series, owner) &&
                    strcmp(json_string_value(json_object_get(series, "measure")), measure) == 0)
                        found = json_is_null(last) ? -2 : json_number_value(last);
        }
        json_decref(document);
        return found;
}

/* The kinds of all changes in order, joined by blanks. */
static char *
kinds_of(Fixture *fixture)
{
        json_t *document = document_of(fixture), *change;
        GString *kinds = g_string_new(NULL);
        size_t i;

        json_array_foreach(json_object_get(document, "changes"), i, change)
        {
                g_string_append_printf(kinds, "%s%s", i ? " " : "",
                                       json_string_value(json_object_get(change, "kind")));
        }
        json_decref(document);
        return g_string_free(kinds, FALSE);
}

static void
assert_kinds(Fixture *fixture, const char *expected)
{
        g_autofree char *kinds = kinds_of(fixture);

        g_assert_cmpstr(kinds, ==, expected);
}

static void
test_rates_are_per_second(Fixture *fixture, gconstpointer data)
{
        RouteStats *route = stats_route(fixture->stats, "volume");
        ClusterStats *east = route_stats_cluster(route, "east");

        for (unsigned i = 0; i < 10; i++) {
                stats_add(&route->received, i == 9 ? 100 : 20);
                stats_add(&east->delivered, 10);
                look_after(fixture, 1000);
        }
        g_assert_cmpfloat_with_epsilon(newest(fixture, 0, "route", "in"), 100, 0.01);
        g_assert_cmpfloat_with_epsilon(newest(fixture, 1, "route", "in"), 28, 0.01);
        g_assert_cmpfloat_with_epsilon(newest(fixture, 0, "cluster", "delivered"), 10, 0.01);
        look_after(fixture, 1000);
        g_assert_cmpfloat_with_epsilon(newest(fixture, 0, "route", "in"), 0, 0.01);
}

static void
test_late_timer_shows_the_average(Fixture *fixture, gconstpointer data)
{
        RouteStats *route = stats_route(fixture->stats, "volume");

        look_after(fixture, 1000);
        stats_add(&route->received, 40);
        look_after(fixture, 4000);
        g_assert_cmpfloat_with_epsilon(newest(fixture, 0, "route", "in"), 10, 0.01);
        json_t *document = document_of(fixture);
        json_t *window = json_array_get(json_object_get(document, "windows"), 0);
        g_assert_cmpint(json_integer_value(json_object_get(window, "points")), ==, 5);
        json_decref(document);
}

static void
test_percentiles_are_of_their_step_alone(Fixture *fixture, gconstpointer data)
{
        RouteStats *route = stats_route(fixture->stats, "volume");

        for (unsigned i = 0; i < 1000; i++)
                histogram_add(&route->hop, 1000000);
        look_after(fixture, 1000);
        g_assert_cmpfloat(newest(fixture, 0, "route", "hop_p50"), >=, 1000000);
        for (unsigned i = 0; i < 10; i++)
                histogram_add(&route->hop, 100);
        look_after(fixture, 1000);
        g_assert_cmpfloat(newest(fixture, 0, "route", "hop_p50"), <, 150);
        look_after(fixture, 1000);
        g_assert_cmpfloat(newest(fixture, 0, "route", "hop_p50"), ==, -2);
}

static void
test_parked_is_what_stands_in_the_queue(Fixture *fixture, gconstpointer data)
{
        ClusterStats *east = route_stats_cluster(stats_route(fixture->stats, "volume"), "east");

        stats_add(&east->parked, 7);
        look_after(fixture, 1000);
        g_assert_cmpfloat(newest(fixture, 0, "cluster", "parked"), ==, 7);
        stats_add(&east->unparked, 7);
        look_after(fixture, 1000);
        g_assert_cmpfloat(newest(fixture, 0, "cluster", "parked"), ==, 0);
}

static void
test_clusters_going_up_and_down_are_noted(Fixture *fixture, gconstpointer data)
{
        look_after(fixture, 1000);
        look_after(fixture, 1000);
        assert_kinds(fixture, "start");
        set_view(fixture, 0, false);
        look_after(fixture, 1000);
        look_after(fixture, 1000);
        set_view(fixture, 2, false);
        look_after(fixture, 1000);
        set_view(fixture, 2, true);
        look_after(fixture, 1000);
        assert_kinds(fixture, "start cluster_down cluster_up cluster_drained");
}

static void
test_hosts_lost_and_found_are_noted(Fixture *fixture, gconstpointer data)
{
        look_after(fixture, 1000);
        set_view(fixture, 1, false);
        look_after(fixture, 1000);
        set_view(fixture, 2, false);
        look_after(fixture, 1000);
        assert_kinds(fixture, "start hosts_lost hosts_found");
}

static void
test_lost_sources_brokers_and_reloads_are_noted(Fixture *fixture, gconstpointer data)
{
        RouteStats *route = stats_route(fixture->stats, "volume");

        look_after(fixture, 1000);
        fixture->registry.redis = SOURCE_LOST;
        look_after(fixture, 1000);
        fixture->registry.redis = SOURCE_OK;
        look_after(fixture, 1000);
        route_stats_set_error(route, "cannot connect");
        stats_add(&route->reconnects, 1);
        look_after(fixture, 1000);
        look_after(fixture, 1000);
        route_stats_set_error(route, NULL);
        look_after(fixture, 1000);
        stats_set_reload(fixture->stats, false, "line 3");
        look_after(fixture, 1000);
        stats_set_reload(fixture->stats, true, NULL);
        look_after(fixture, 1000);
        assert_kinds(fixture,
                     "start source_lost source_found broker_lost broker_found reload_refused reload");
}

static void
test_connection_lost_between_two_looks_is_noted(Fixture *fixture, gconstpointer data)
{
        RouteStats *route = stats_route(fixture->stats, "volume");

        look_after(fixture, 1000);
        stats_add(&route->reconnects, 1);
        look_after(fixture, 1000);
        assert_kinds(fixture, "start broker_lost broker_found");
}

static void
test_only_the_newest_changes_stay(Fixture *fixture, gconstpointer data)
{
        g_autofree char *huge = g_strnfill(100000, 'x');

        for (unsigned i = 0; i < 3 * CHANGES_MAX; i++) {
                stats_set_reload(fixture->stats, false, huge);
                look_after(fixture, 1000);
        }
        g_autofree char *text = recorder_report(fixture->recorder);
        json_t *document = json_loads(text, 0, NULL);
        g_assert_cmpuint(json_array_size(json_object_get(document, "changes")), ==, CHANGES_MAX);
        g_assert_cmpuint(strlen(text), <, 100 * 1024);
        json_decref(document);
}

int
main(int argc, char **argv)
{
        static const struct {
                const char *name;
                void (*test)(Fixture *fixture, gconstpointer data);
        } tests[] = {
            {"/recorder/rates_are_per_second", test_rates_are_per_second},
            {"/recorder/late_timer_shows_the_average", test_late_timer_shows_the_average},
            {"/recorder/percentiles_are_of_their_step_alone", test_percentiles_are_of_their_step_alone},
            {"/recorder/parked_is_what_stands_in_the_queue", test_parked_is_what_stands_in_the_queue},
            {"/recorder/clusters_going_up_and_down_are_noted", test_clusters_going_up_and_down_are_noted},
            {"/recorder/hosts_lost_and_found_are_noted", test_hosts_lost_and_found_are_noted},
            {"/recorder/lost_sources_brokers_and_reloads_are_noted",
             test_lost_sources_brokers_and_reloads_are_noted},
            {"/recorder/connection_lost_between_two_looks_is_noted",
             test_connection_lost_between_two_looks_is_noted},
            {"/recorder/only_the_newest_changes_stay", test_only_the_newest_changes_stay},
        };

        g_test_init(&argc, &argv, NULL);
        for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
                g_test_add(tests[i].name, Fixture, NULL, set_up, tests[i].test, tear_down);
        return g_test_run();
}
