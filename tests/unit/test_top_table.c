/* SPDX-License-Identifier: MIT */
/*
 * Rates, order and fit of what clusterctl top shows.
 */
#include "router/ctl/top_table.h"

#include <string.h>

static json_t *
make_stats(double uptime_s, int in, int delivered)
{
        return json_pack(
            "{s:f, s:[{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:[{s:s, s:i, s:i, s:s}]}, {s:s, "
            "s:i, s:i, s:i, s:i, s:i, s:s, s:[]}]}",
            "uptime_s", uptime_s, "routes", "route", "b", "in", in, "delivered", delivered, "dead", 1,
            "parked_in_queue", 5, "in_flight", 2, "hop_p50_us", 900, "hop_p99_us", 1500, "state", "running",
            "clusters", "cluster", "east", "delivered", delivered, "parked_in_queue", 5, "flow", "parking",
            "route", "a", "in", 0, "delivered", 0, "dead", 0, "parked_in_queue", 0, "in_flight", 7, "state",
            "blocked", "clusters");
}

static GArray *
rows_of(const json_t *before, const json_t *after)
{
        GArray *rows = top_rows_new();

        top_add_rows(rows, NULL, before, after);
        return rows;
}

static void
test_rates(void)
{
        json_t *before = make_stats(10, 100, 50), *after = make_stats(12, 120, 51);
        g_autoptr(GArray) rows = rows_of(before, after);
        g_autoptr(GArray) first = rows_of(NULL, after);
        g_autoptr(GArray) restarted = rows_of(after, before);

        top_sort(rows, TOP_NAME, false);
        g_autofree char *text = top_text(rows, 0, 0);
        g_assert_cmpstr(text, ==,
                        "ROUTE  CLUSTER  IN/s  OUT/s  DEAD/s  PARKED  STATE    IN FLIGHT     P50     P99\n"
                        "a      all         0      0       0       0  blocked          7       -       -\n"
                        "b      all        10    0.5       0       5  running          2  900 us  1.5 ms\n"
                        "b      east        -    0.5       -       5  parking          -       -       -\n");
        g_assert_cmpfloat(g_array_index(first, TopRow, 0).values[TOP_IN], <, 0);
        g_assert_cmpfloat(g_array_index(restarted, TopRow, 0).values[TOP_IN], <, 0);
        json_decref(before);
        json_decref(after);
}

static void
test_order(void)
{
        static const struct {
                TopColumn column;
                bool reverse;
                const char *order;
        } orders[] = {{TOP_NAME, false, "a b b/east "},
                      {TOP_NAME, true, "b/east b a "},
                      {TOP_IN_FLIGHT, false, "a b b/east "},
                      {TOP_PARKED, false, "b b/east a "},
                      {TOP_PARKED, true, "a b/east b "}};
        json_t *stats = make_stats(1, 1, 1);
        g_autoptr(GArray) rows = rows_of(NULL, stats);

        for (size_t i = 0; i < G_N_ELEMENTS(orders); i++) {
                g_autoptr(GString) order = g_string_new(NULL);

                top_sort(rows, orders[i].column, orders[i].reverse);
                for (unsigned n = 0; n < rows->len; n++) {
                        const TopRow *row = &g_array_index(rows, TopRow, n);

                        g_string_append_printf(order, "%s%s%s ", row->route, row->cluster ? "/" : "",
                                               row->cluster ? row->cluster : "");
                }
                g_assert_cmpstr(order->str, ==, orders[i].order);
        }
        json_decref(stats);
}

static void
test_fit(void)
{
        json_t *stats = make_stats(1, 1, 1);
        g_autoptr(GArray) rows = rows_of(NULL, stats);

        for (size_t height = 1; height < 6; height++) {
                for (size_t width = 1; width < 90; width++) {
                        g_autofree char *text = top_text(rows, width, height);
                        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

                        g_assert_cmpuint(g_strv_length(lines) - 1, ==, MIN(height, 4));
                        for (char **line = lines; *line; line++)
                                g_assert_cmpuint(strlen(*line), <=, width);
                }
        }
        g_autofree char *cut = top_text(rows, 0, 2);
        g_assert_nonnull(strstr(cut, "... 3 more"));
        json_decref(stats);
}

static void
test_routers(void)
{
        json_t *before = make_stats(10, 100, 50), *after = make_stats(12, 120, 51);
        g_autoptr(GArray) rows = top_rows_new();

        top_add_rows(rows, "one", before, after);
        top_add_rows(rows, "two", before, after);
        top_add_rows(rows, "new", NULL, after);
        top_sort(rows, TOP_NAME, false);
        g_autofree char *each = top_text(rows, 0, 0);
        g_assert_nonnull(strstr(each, "b      east     one        -    0.5 "));
        g_assert_nonnull(strstr(each, "b      east     new        -      - "));
        top_merge(rows);
        g_autofree char *sums = top_text(rows, 0, 0);
        g_assert_cmpstr(sums, ==,
                        "ROUTE  CLUSTER  IN/s  OUT/s  DEAD/s  PARKED  STATE    IN FLIGHT     P50     P99\n"
                        "a      all         0      0       0       0  blocked         21       -       -\n"
                        "b      all        20    1.0       0       5  running          6  900 us  1.5 ms\n"
                        "b      east        -    1.0       -       5  parking          -       -       -\n");
        json_decref(before);
        json_decref(after);
}

static void
test_odd(void)
{
        static const char *const texts[] = {"{}", "{\"routes\": 1}", "{\"routes\": [1, {}, {\"route\": 5}]}",
                                            "{\"routes\": [{\"route\": \"a\", \"clusters\": [{}]}]}"};

        for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
                json_t *stats = json_loads(texts[i], 0, NULL);
                g_autoptr(GArray) rows = rows_of(stats, stats);
                g_autofree char *text = top_text(rows, 80, 24);

                g_assert_cmpuint(rows->len, ==, i == 3 ? 1 : 0);
                json_decref(stats);
        }
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/top/rates_are_differences_and_unknown_after_a_restart", test_rates);
        g_test_add_func("/top/rows_are_sorted_by_any_column_both_ways", test_order);
        g_test_add_func("/top/text_fits_any_screen", test_fit);
        g_test_add_func("/top/routers_are_summed_or_shown_each", test_routers);
        g_test_add_func("/top/odd_answers_make_no_rows", test_odd);
        return g_test_run();
}
