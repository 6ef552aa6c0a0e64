/* SPDX-License-Identifier: MIT */
#include "router/chronicle.h"

#include "cluster/minutes.h"

/* What goes into the rows of a minute; that they reach MySQL is in tests/live. */

static char *
spell(ChronicleMarks *marks, Stats *stats)
{
        g_autoptr(GPtrArray) rows = chronicle_rows(marks, stats);
        GString *out = g_string_new(NULL);

        for (unsigned i = 0; i < rows->len; i++) {
                const MinutesRow *row = rows->pdata[i];

                g_string_append_printf(out, "%s,%s,%s,%" G_GUINT64_FORMAT " ", row->route, row->cluster,
                                       row->statistic, row->value);
        }
        return g_string_free(out, FALSE);
}

static void
test_rows_are_what_has_grown(void)
{
        g_autoptr(Stats) stats = stats_new();
        g_autoptr(ChronicleMarks) marks = chronicle_marks_new();
        RouteStats *route = stats_route(stats, "volume");
        ClusterStats *east = route_stats_cluster(route, "east");

        g_autofree char *none = spell(marks, stats);
        g_assert_cmpstr(none, ==, "");
        stats_add(&route->received, 5);
        stats_add(&route->reasons[REASON_LIVE], 4);
        stats_add(&east->delivered, 4);
        g_autofree char *first = spell(marks, stats);
        g_assert_cmpstr(first, ==, "volume,,received,5 volume,,reasons/live,4 volume,east,delivered,4 ");
        stats_add(&east->delivered, 3);
        g_autofree char *second = spell(marks, stats);
        g_assert_cmpstr(second, ==, "volume,east,delivered,3 ");
        g_autofree char *idle = spell(marks, stats);
        g_assert_cmpstr(idle, ==, "");
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/chronicle/rows-are-what-has-grown", test_rows_are_what_has_grown);
        return g_test_run();
}
