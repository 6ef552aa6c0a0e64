/* SPDX-License-Identifier: MIT */
#include "router/stats.h"

#include <string.h>

static void
test_percentiles(void)
{
        g_autofree Histogram *histogram = g_new0(Histogram, 1);

        g_assert_cmpfloat(histogram_percentile_us(histogram, 50), ==, 0);
        for (int64_t us = 1; us <= 10000; us++)
                histogram_add(histogram, us);

        /* never too low, and at most a quarter too high */
        static const double percents[] = {1, 10, 50, 90, 99, 100};
        for (size_t i = 0; i < G_N_ELEMENTS(percents); i++) {
                double exact = percents[i] * 100;
                double got = histogram_percentile_us(histogram, percents[i]);

                g_assert_cmpfloat(got, >=, exact);
                g_assert_cmpfloat(got, <=, exact * 1.25);
        }
        g_assert_cmpuint(stats_read(&histogram->count), ==, 10000);
        g_assert_cmpuint(stats_read(&histogram->sum_us), ==, 10000 * 10001 / 2);
}

static void
test_borders(void)
{
        static const int64_t durations[] = {1, 2, 3, 4, 5, 7, 8, 63, 64, 1000, 1023, 1024, 123456789};

        for (size_t i = 0; i < G_N_ELEMENTS(durations); i++) {
                g_autofree Histogram *histogram = g_new0(Histogram, 1);

                histogram_add(histogram, durations[i]);
                double got = histogram_percentile_us(histogram, 50);
                g_assert_cmpfloat(got, >=, (double)durations[i]);
                g_assert_cmpfloat(got, <=, (double)durations[i] * 1.25);
        }
        for (unsigned i = 1; i < HISTOGRAM_BUCKETS; i++)
                g_assert_cmpuint(histogram_border_us(i), >=, histogram_border_us(i - 1));
        g_assert_cmpuint(histogram_border_us(HISTOGRAM_BUCKETS - 1), >, (uint64_t)60 * 60 * G_USEC_PER_SEC);
}

static void
test_odd_durations(void)
{
        g_autofree Histogram *histogram = g_new0(Histogram, 1);

        histogram_add(histogram, 0);
        histogram_add(histogram, -5);
        histogram_add(histogram, INT64_MAX);
        g_assert_cmpuint(stats_read(&histogram->buckets[0]), ==, 2);
        g_assert_cmpuint(stats_read(&histogram->buckets[HISTOGRAM_BUCKETS - 1]), ==, 1);
}

static void
test_parked_now(void)
{
        g_autoptr(Stats) stats = stats_new();
        ClusterStats *east = route_stats_cluster(stats_route(stats, "volume"), "east");

        stats_add(&east->parked, 5);
        g_assert_cmpuint(cluster_stats_parked_now(east), ==, 5);
        stats_add(&east->unparked, 9);
        g_assert_cmpuint(cluster_stats_parked_now(east), ==, 0);
        atomic_store(&east->parked_found, 6);
        g_assert_cmpuint(cluster_stats_parked_now(east), ==, 2);
        atomic_store(&east->parked_found, -6);
        g_assert_cmpuint(cluster_stats_parked_now(east), ==, 0);
}

static void
append_route(RouteStats *route, void *user_data)
{
        g_string_append_printf(user_data, "%s ", route->route);
}

static void
append_cluster(ClusterStats *cluster, void *user_data)
{
        g_string_append_printf(user_data, "[%s]", cluster->cluster);
}

static void
test_pointers_stay(void)
{
        g_autoptr(Stats) stats = stats_new();
        g_autoptr(GString) names = g_string_new(NULL);
        RouteStats *middle = stats_route(stats, "m");
        ClusterStats *none = route_stats_cluster(middle, "");

        for (char c = 'z'; c >= 'a'; c--) {
                const char name[] = {c, '\0'};

                stats_route(stats, name);
                route_stats_cluster(middle, name);
        }
        g_assert_true(stats_route(stats, "m") == middle);
        g_assert_true(route_stats_cluster(middle, "") == none);

        stats_each_route(stats, append_route, names);
        g_assert_cmpstr(names->str, ==, "a b c d e f g h i j k l m n o p q r s t u v w x y z ");
        g_string_truncate(names, 0);
        route_stats_each_cluster(middle, append_cluster, names);
        g_assert_true(g_str_has_prefix(names->str, "[][a][b]"));
}

enum { ADDERS = 4, ADDS = 20000 };

static gpointer
add_much(gpointer data)
{
        Stats *stats = data;

        for (unsigned i = 0; i < ADDS; i++) {
                RouteStats *route = stats_route(stats, i % 2 ? "odd" : "even");
                ClusterStats *cluster = route_stats_cluster(route, i % 3 ? "east" : "west");

                stats_add(&route->received, 1);
                stats_add(&cluster->delivered, 1);
                histogram_add(&route->hop, i);
                if (i % 1000 == 0)
                        route_stats_set_error(route, i % 2000 ? "gone" : NULL);
        }
        return NULL;
}

static void
test_concurrent_adds(void)
{
        g_autoptr(Stats) stats = stats_new();
        GThread *threads[ADDERS];

        for (int i = 0; i < ADDERS; i++)
                threads[i] = g_thread_new("adder", add_much, stats);
        for (int i = 0; i < ADDERS; i++)
                g_thread_join(threads[i]);

        RouteStats *odd = stats_route(stats, "odd"), *even = stats_route(stats, "even");
        uint64_t delivered = 0;
        delivered += stats_read(&route_stats_cluster(odd, "east")->delivered);
        delivered += stats_read(&route_stats_cluster(odd, "west")->delivered);
        delivered += stats_read(&route_stats_cluster(even, "east")->delivered);
        delivered += stats_read(&route_stats_cluster(even, "west")->delivered);
        g_assert_cmpuint(delivered, ==, ADDERS * ADDS);
        g_assert_cmpuint(stats_read(&odd->received), ==, ADDERS * ADDS / 2);
        g_assert_cmpuint(stats_read(&even->hop.count), ==, ADDERS * ADDS / 2);
}

static void
test_reload_outcome(void)
{
        g_autoptr(Stats) stats = stats_new();
        StatsProcess process;

        stats_get_process(stats, &process);
        g_assert_true(process.reload_ok);
        g_assert_cmpint(process.reload_unix, ==, 0);
        g_assert_null(process.reload_error);

        stats_set_reload(stats, false, "router.conf:7: unknown key");
        stats_get_process(stats, &process);
        g_assert_false(process.reload_ok);
        g_assert_cmpuint(process.reloads, ==, 1);
        g_assert_cmpstr(process.reload_error, ==, "router.conf:7: unknown key");
        g_free(process.reload_error);

        stats_set_reload(stats, true, NULL);
        stats_get_process(stats, &process);
        g_assert_true(process.reload_ok);
        g_assert_null(process.reload_error);
        g_assert_null(stats_get_conf(stats));
}

static void
test_oldest_parked(void)
{
        g_autoptr(Stats) stats = stats_new();
        ClusterStats *east = route_stats_cluster(stats_route(stats, "volume"), "east");

        cluster_stats_park(east, 100);
        cluster_stats_park(east, 200);
        g_assert_cmpint(atomic_load(&east->parked_oldest_us), ==, 100);
        cluster_stats_unpark(east, 100); /* what is left is younger than that */
        cluster_stats_unpark(east, 200);
        cluster_stats_park(east, 900); /* the first in an empty queue */
        g_assert_cmpint(atomic_load(&east->parked_oldest_us), ==, 900);
        cluster_stats_found(east, 0, 950);
        cluster_stats_found(east, 5, 1000); /* somebody else's */
        g_assert_cmpint(atomic_load(&east->parked_oldest_us), ==, 1000);
        cluster_stats_found(east, 6, 1100);
        g_assert_cmpint(atomic_load(&east->parked_oldest_us), ==, 1000);
        g_assert_cmpuint(cluster_stats_parked_now(east), ==, 6);
        cluster_stats_unpark(east, 50); /* it tells itself since when it was there */
        g_assert_cmpint(atomic_load(&east->parked_oldest_us), ==, 50);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/histogram/percentile_is_at_most_a_quarter_too_high", test_percentiles);
        g_test_add_func("/histogram/border_holds_its_duration", test_borders);
        g_test_add_func("/histogram/odd_durations_land_at_the_ends", test_odd_durations);
        g_test_add_func("/stats/parked_now_is_never_negative", test_parked_now);
        g_test_add_func("/stats/pointers_stay_and_names_are_sorted", test_pointers_stay);
        g_test_add_func("/stats/concurrent_adds_lose_nothing", test_concurrent_adds);
        g_test_add_func("/stats/last_reload_is_told", test_reload_outcome);
        g_test_add_func("/stats/age_of_the_oldest_parked_is_known", test_oldest_parked);
        return g_test_run();
}
