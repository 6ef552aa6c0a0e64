/* SPDX-License-Identifier: MIT */
/*
 * Two windows, each with its own copy of the counters at its last step, so that the percentiles of a 10 s
 * step are those of its messages and no average of percentiles.
 */
#include "router/recorder.h"
#include "router/changes.h"
#include "router/history.h"
#include "router/snapshot.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

typedef struct {
        uint64_t received;
        uint64_t delivered;
        uint64_t dead;
        uint64_t hops[HISTOGRAM_BUCKETS];
} RouteMark;

typedef struct {
        History *history;
        int64_t last_us;
        GHashTable *routes;   /* name -> RouteMark * */
        GHashTable *clusters; /* name -> uint64_t *: delivered */
} Window;

typedef struct {
        uint64_t delivered;
        uint64_t parked;
} ClusterSum;

struct Recorder {
        GMutex lock; /* guards all that follows */
        Window windows[2];
        Changes *changes;
};

Recorder *
recorder_new(int64_t now_us)
{
        Recorder *recorder = g_new0(Recorder, 1);

        g_mutex_init(&recorder->lock);
        recorder->changes = changes_new();
        recorder->windows[0].history = history_new(RECORDER_FINE_STEP_S, RECORDER_FINE_POINTS);
        recorder->windows[1].history = history_new(RECORDER_COARSE_STEP_S, RECORDER_COARSE_POINTS);
        for (size_t i = 0; i < G_N_ELEMENTS(recorder->windows); i++) {
                Window *window = &recorder->windows[i];

                window->last_us = now_us;
                window->routes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
                window->clusters = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        }
        return recorder;
}

void
recorder_free(Recorder *recorder)
{
        if (recorder == NULL)
                return;
        for (size_t i = 0; i < G_N_ELEMENTS(recorder->windows); i++) {
                history_free(recorder->windows[i].history);
                g_hash_table_unref(recorder->windows[i].routes);
                g_hash_table_unref(recorder->windows[i].clusters);
        }
        changes_free(recorder->changes);
        g_mutex_clear(&recorder->lock);
        g_free(recorder);
}

/* --- a step --- */

/* The block of @size zero bytes of that name; made at the first call. */
static gpointer
mark_of(GHashTable *marks, const char *name, size_t size)
{
        gpointer mark = g_hash_table_lookup(marks, name);

        if (mark == NULL) {
                mark = g_malloc0(size);
                g_hash_table_insert(marks, g_strdup(name), mark);
        }
        return mark;
}

/* Per second since the mark, which moves on. */
static double
rate(uint64_t *mark, uint64_t now, double elapsed_s)
{
        double grown = now > *mark ? (double)(now - *mark) : 0;

        *mark = now;
        return grown / elapsed_s;
}

static void
put_hops(Window *window, RouteMark *mark, const SnapshotRoute *route)
{
        uint64_t counts[HISTOGRAM_BUCKETS], total = 0;

        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
                uint64_t now = stats_read(&route->hop->buckets[i]);

                counts[i] = now - mark->hops[i];
                mark->hops[i] = now;
                total += counts[i];
        }
        history_put(window->history, HISTORY_ROUTE_HOP_P50, route->route,
                    total ? histogram_counts_percentile_us(counts, 50) : NAN);
        history_put(window->history, HISTORY_ROUTE_HOP_P99, route->route,
                    total ? histogram_counts_percentile_us(counts, 99) : NAN);
}

static void
put_route(Window *window, const SnapshotRoute *route, double elapsed_s)
{
        RouteMark *mark = mark_of(window->routes, route->route, sizeof(RouteMark));

        history_put(window->history, HISTORY_ROUTE_IN, route->route,
                    rate(&mark->received, route->received, elapsed_s));
        history_put(window->history, HISTORY_ROUTE_DELIVERED, route->route,
                    rate(&mark->delivered, route->delivered, elapsed_s));
        history_put(window->history, HISTORY_ROUTE_DEAD, route->route,
                    rate(&mark->dead, route->dead, elapsed_s));
        put_hops(window, mark, route);
}

static GHashTable *
sum_clusters(const GPtrArray *routes)
{
        GHashTable *sums = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

        for (unsigned i = 0; i < routes->len; i++) {
                const SnapshotRoute *route = routes->pdata[i];

                for (unsigned j = 0; j < route->clusters->len; j++) {
                        const SnapshotCluster *cluster = route->clusters->pdata[j];
                        ClusterSum *sum = mark_of(sums, cluster->cluster, sizeof(ClusterSum));

                        sum->delivered += cluster->delivered;
                        sum->parked += cluster->parked_in_queue;
                }
        }
        return sums;
}

static void
put_clusters(Window *window, GHashTable *sums, double elapsed_s)
{
        GHashTableIter iter;
        gpointer name, value;

        g_hash_table_iter_init(&iter, sums);
        while (g_hash_table_iter_next(&iter, &name, &value)) {
                const ClusterSum *sum = value;
                uint64_t *mark = mark_of(window->clusters, name, sizeof(uint64_t));

                history_put(window->history, HISTORY_CLUSTER_DELIVERED, name,
                            rate(mark, sum->delivered, elapsed_s));
                history_put(window->history, HISTORY_CLUSTER_PARKED, name, (double)sum->parked);
        }
}

/* A timer that comes a little early still ends its step. */
static void
window_look(Window *window, const GPtrArray *routes, GHashTable *sums, int64_t now_us, int64_t now_unix)
{
        int64_t elapsed_us = now_us - window->last_us;
        int64_t step_us = (int64_t)history_step_s(window->history) * G_USEC_PER_SEC;

        if (elapsed_us < step_us - G_USEC_PER_SEC / 2)
                return;

        int64_t steps = MAX((elapsed_us + step_us / 2) / step_us, 1);
        double elapsed_s = (double)elapsed_us / G_USEC_PER_SEC;

        history_advance(window->history, (unsigned)MIN(steps, UINT_MAX), now_unix);
        for (unsigned i = 0; i < routes->len; i++)
                put_route(window, routes->pdata[i], elapsed_s);
        put_clusters(window, sums, elapsed_s);
        window->last_us = now_us;
}

void
recorder_look(Recorder *recorder, const ReportInput *input, int64_t now_unix)
{
        g_autoptr(GPtrArray) routes = snapshot_new(input->stats, input->view);
        g_autoptr(GHashTable) sums = sum_clusters(routes);
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&recorder->lock);

        for (size_t i = 0; i < G_N_ELEMENTS(recorder->windows); i++)
                window_look(&recorder->windows[i], routes, sums, input->now_us, now_unix);
        changes_look(recorder->changes, input, routes, now_unix);
}

/* --- the document --- */

static void
append_reasons(GString *out)
{
        json_t *meanings = json_object();

        for (Reason reason = 0; reason < REASON_COUNT; reason++)
                json_object_set_new(meanings, reason_code(reason), json_string(reason_meaning(reason)));

        char *text = json_dumps(meanings, JSON_COMPACT);
        g_string_append(out, text);
        free(text);
        json_decref(meanings);
}

char *
recorder_report(Recorder *recorder)
{
        GString *out = g_string_new("{\"windows\":[");
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&recorder->lock);

        history_append_json(recorder->windows[0].history, out);
        g_string_append_c(out, ',');
        history_append_json(recorder->windows[1].history, out);
        g_string_append(out, "],\"changes\":");
        changes_append_json(recorder->changes, out);
        g_string_append(out, ",\"reasons\":");
        append_reasons(out);
        g_string_append(out, "}\n");
        return g_string_free(out, FALSE);
}
