/* SPDX-License-Identifier: MIT */
/*
 * The marks move on whether or not the rows could be written: a minute lost is better than a later one that
 * counts for two, and a write of which nobody knows whether it was done must not be made again.
 */
#include "router/chronicle.h"

#include "cluster/announcement.h"
#include "cluster/catalogue.h"
#include "cluster/minutes.h"

#include <stddef.h>

#define PURGE_EVERY_US (INT64_C(3600) * G_USEC_PER_SEC)
enum { PURGES_MAX = 100 };

/* ---- rows ---- */

typedef struct {
        const char *name;
        size_t offset; /* of an _Atomic uint64_t in RouteStats or ClusterStats */
} Counter;

#define ROUTE_ROW(name, help) {#name, offsetof(RouteStats, name)},
#define CLUSTER_ROW(name, help) {#name, offsetof(ClusterStats, name)},
static const Counter route_counters[] = {STATS_ROUTE_COUNTERS(ROUTE_ROW)};
static const Counter cluster_counters[] = {STATS_CLUSTER_COUNTERS(CLUSTER_ROW)};

struct ChronicleMarks {
        GHashTable *values; /* address of a counter -> uint64_t *; blocks live as long as their Stats */
};

ChronicleMarks *
chronicle_marks_new(void)
{
        ChronicleMarks *marks = g_new0(ChronicleMarks, 1);

        marks->values = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
        return marks;
}

void
chronicle_marks_free(ChronicleMarks *marks)
{
        if (marks == NULL)
                return;
        g_hash_table_unref(marks->values);
        g_free(marks);
}

typedef struct {
        ChronicleMarks *marks;
        GPtrArray *rows;
        const char *route;
} Look;

static void
look_at(Look *look, const char *cluster, const _Atomic uint64_t *counter, const char *name)
{
        uint64_t now = stats_read(counter);
        uint64_t *mark = g_hash_table_lookup(look->marks->values, counter);

        if (now == (mark ? *mark : 0))
                return;
        if (mark == NULL) {
                mark = g_new0(uint64_t, 1);
                g_hash_table_insert(look->marks->values, (gpointer)counter, mark);
        }

        MinutesRow *row = g_new0(MinutesRow, 1);

        row->route = g_strdup(look->route);
        row->cluster = g_strdup(cluster);
        row->statistic = g_strdup(name);
        row->value = now - *mark;
        *mark = now;
        g_ptr_array_add(look->rows, row);
}

static void
look_at_all(Look *look, const char *cluster, const void *block, const Counter *counters, size_t count)
{
        for (size_t i = 0; i < count; i++)
                look_at(look, cluster,
                        (const _Atomic uint64_t *)(const void *)((const char *)block + counters[i].offset),
                        counters[i].name);
}

static void
look_at_cluster(ClusterStats *cluster, void *user_data)
{
        look_at_all(user_data, cluster->cluster, cluster, cluster_counters, G_N_ELEMENTS(cluster_counters));
}

static void
look_at_route(RouteStats *route, void *user_data)
{
        Look *look = user_data;

        look->route = route->route;
        look_at_all(look, "", route, route_counters, G_N_ELEMENTS(route_counters));
        for (Reason reason = 0; reason < REASON_COUNT; reason++) {
                g_autofree char *name = g_strdup_printf("reasons/%s", reason_code(reason));

                look_at(look, "", &route->reasons[reason], name);
        }
        route_stats_each_cluster(route, look_at_cluster, look);
}

GPtrArray *
chronicle_rows(ChronicleMarks *marks, Stats *stats)
{
        Look look = {.marks = marks,
                     .rows = g_ptr_array_new_with_free_func((GDestroyNotify)minutes_row_free)};

        stats_each_route(stats, look_at_route, &look);
        return look.rows;
}

/* ---- the thread ---- */

struct Chronicle {
        Stats *stats;
        int64_t step_s;
        GThread *thread;
        GMutex lock; /* guards stopping */
        GCond stop;
        bool stopping;

        /* The thread's own. */
        ChronicleMarks *marks;
        int64_t since_unix; /* when the marks were made */
        Conf *conf;         /* that minutes was made from, or NULL */
        Minutes *minutes;   /* NULL: no [mysql] */
        bool losing;        /* the last write failed */
        int64_t purge_due_us;
};

/* Connections as the configuration in force says. */
static void
follow_conf(Chronicle *chronicle)
{
        g_autoptr(Conf) conf = stats_get_conf(chronicle->stats);
        g_autoptr(GError) error = NULL;

        if (conf == chronicle->conf)
                return;
        g_clear_pointer(&chronicle->minutes, minutes_free);
        conf_unref(chronicle->conf);
        chronicle->conf = g_steal_pointer(&conf);
        if (chronicle->conf && chronicle->conf->mysql_url)
                chronicle->minutes = minutes_new(chronicle->conf, &error);
        if (error)
                g_warning("%s", error->message);
}

static void
tell(Chronicle *chronicle, const GError *failure)
{
        if (failure)
                stats_count_lost(chronicle->stats);
        if (failure && !chronicle->losing)
                g_warning("statistics of each minute are not kept until MySQL takes them: %s",
                          failure->message);
        else if (!failure && chronicle->losing)
                g_message("MySQL keeps the statistics of each minute again");
        chronicle->losing = failure != NULL;
}

static void
purge(Chronicle *chronicle, int64_t now_unix)
{
        int64_t before_unix = now_unix - chronicle->conf->stats_keep_s;
        bool more = true;

        if (chronicle->losing || g_get_monotonic_time() < chronicle->purge_due_us)
                return;
        for (unsigned i = 0; more && i < PURGES_MAX; i++) {
                g_autoptr(GError) error = NULL;

                if (!minutes_purge(chronicle->minutes, before_unix, &more, &error)) {
                        g_warning("old statistics cannot be deleted: %s", error->message);
                        break;
                }
        }
        chronicle->purge_due_us = g_get_monotonic_time() + PURGE_EVERY_US;
}

static void
write_minute(Chronicle *chronicle, int64_t now_unix)
{
        int64_t minute_unix = chronicle->since_unix - chronicle->since_unix % chronicle->step_s;
        g_autoptr(GPtrArray) rows = chronicle_rows(chronicle->marks, chronicle->stats);
        g_autoptr(GError) error = NULL;

        follow_conf(chronicle);
        chronicle->since_unix = now_unix;
        if (chronicle->minutes == NULL || rows->len == 0)
                return;

        g_autofree char *router = announcement_id(chronicle->conf);
        bool done = minutes_add(chronicle->minutes, minute_unix, router, rows, &error);

        tell(chronicle, done ? NULL : error);
        purge(chronicle, now_unix);
}

/* Until the clock on the wall begins a new minute; false if the thread should end. */
static bool
wait_for_minute(Chronicle *chronicle)
{
        int64_t step_us = chronicle->step_s * G_USEC_PER_SEC;
        int64_t left_us = step_us - g_get_real_time() % step_us;
        int64_t due_us = g_get_monotonic_time() + left_us;

        g_mutex_lock(&chronicle->lock);
        while (!chronicle->stopping && g_cond_wait_until(&chronicle->stop, &chronicle->lock, due_us))
                continue;
        bool go_on = !chronicle->stopping;
        g_mutex_unlock(&chronicle->lock);
        return go_on;
}

static gpointer
chronicle_main(gpointer data)
{
        Chronicle *chronicle = data;

        while (wait_for_minute(chronicle))
                write_minute(chronicle, g_get_real_time() / G_USEC_PER_SEC);
        if (!chronicle->losing)
                write_minute(chronicle, g_get_real_time() / G_USEC_PER_SEC);
        catalogue_thread_end();
        return NULL;
}

Chronicle *
chronicle_new(Stats *stats, unsigned step_s)
{
        Chronicle *chronicle = g_new0(Chronicle, 1);

        g_mutex_init(&chronicle->lock);
        g_cond_init(&chronicle->stop);
        chronicle->stats = stats;
        chronicle->step_s = step_s;
        chronicle->marks = chronicle_marks_new();
        chronicle->since_unix = g_get_real_time() / G_USEC_PER_SEC;
        chronicle->thread = g_thread_new("chronicle", chronicle_main, chronicle);
        return chronicle;
}

void
chronicle_free(Chronicle *chronicle)
{
        if (chronicle == NULL)
                return;
        g_mutex_lock(&chronicle->lock);
        chronicle->stopping = true;
        g_cond_signal(&chronicle->stop);
        g_mutex_unlock(&chronicle->lock);
        g_thread_join(chronicle->thread);
        minutes_free(chronicle->minutes);
        conf_unref(chronicle->conf);
        chronicle_marks_free(chronicle->marks);
        g_mutex_clear(&chronicle->lock);
        g_cond_clear(&chronicle->stop);
        g_free(chronicle);
}
