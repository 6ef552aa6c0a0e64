/* SPDX-License-Identifier: MIT */
/*
 * The rows of the database hold only what is not 0, so each route and cluster begins with all counters of the
 * list at 0. Rows come in order of route and cluster, the route as a whole first.
 */
#include "router/ctl/stats_since.h"

#include "cluster/minutes.h"
#include "router/ctl/command.h"
#include "router/ctl/inventory.h"
#include "router/ctl/print.h"
#include "router/reason.h"
#include "router/statistic.h"

#include <stdio.h>
#include <string.h>

#define REASONS_PREFIX "reasons/"

/* ---- the document ---- */

static void
set_zeros(json_t *object, StatisticScope scope)
{
        size_t count;
        const Statistic *table = statistic_table(&count);

        for (size_t i = 0; i < count; i++)
                if (table[i].scope == scope && table[i].kind == STATISTIC_COUNTER && !table[i].labels[0])
                        json_object_set_new(object, table[i].key, json_integer(0));
}

static json_t *
new_route(const char *name)
{
        json_t *route = json_object(), *reasons = json_object();

        json_object_set_new(route, "route", print_string(name));
        json_object_set_new(route, "in", json_integer(0));
        set_zeros(route, STATISTIC_ROUTE);
        set_zeros(route, STATISTIC_CLUSTER);
        json_object_set_new(route, "clusters", json_array());
        for (Reason reason = 0; reason < REASON_COUNT; reason++)
                json_object_set_new(reasons, reason_code(reason), json_integer(0));
        json_object_set_new(route, "reasons", reasons);
        return route;
}

static json_t *
new_cluster(const char *name)
{
        json_t *cluster = json_object();

        json_object_set_new(cluster, "cluster", print_string(name));
        set_zeros(cluster, STATISTIC_CLUSTER);
        return cluster;
}

static void
add_to(json_t *object, const char *key, uint64_t value)
{
        json_int_t before = json_integer_value(json_object_get(object, key));

        json_object_set_new(object, key, json_integer(before + (json_int_t)value));
}

/* The last item of @list if it is of that name, else a new one behind it. */
static json_t *
last_or_new(json_t *list, const char *key, const char *name, json_t *(*make)(const char *name))
{
        json_t *last = json_array_get(list, json_array_size(list) - 1);

        if (g_strcmp0(json_string_value(json_object_get(last, key)), name) == 0)
                return last;
        json_array_append_new(list, make(name));
        return json_array_get(list, json_array_size(list) - 1);
}

/* Counters of clusters alone have rows with cluster "" too, for messages that reached no one's queue. */
static bool
is_of_cluster(const MinutesRow *row)
{
        g_autofree char *metric = g_strconcat(row->statistic, "_total", NULL);
        const Statistic *statistic = statistic_find(metric);

        return row->cluster[0] || (statistic && statistic->scope == STATISTIC_CLUSTER);
}

static void
add_row(json_t *routes, const MinutesRow *row)
{
        json_t *route = last_or_new(routes, "route", row->route, new_route);

        if (g_str_has_prefix(row->statistic, REASONS_PREFIX)) {
                add_to(json_object_get(route, "reasons"), row->statistic + strlen(REASONS_PREFIX),
                       row->value);
                return;
        }
        add_to(route, row->statistic, row->value);
        if (is_of_cluster(row))
                add_to(last_or_new(json_object_get(route, "clusters"), "cluster", row->cluster, new_cluster),
                       row->statistic, row->value);
}

static json_t *
make_document(const MinutesSum *sum, int64_t since_unix)
{
        json_t *routes = json_array(), *route;
        size_t i;

        for (unsigned n = 0; n < sum->rows->len; n++)
                add_row(routes, sum->rows->pdata[n]);
        json_array_foreach(routes, i, route)
        {
                json_int_t received = json_integer_value(json_object_get(route, "received"));
                json_int_t requeued = json_integer_value(json_object_get(route, "requeued"));

                json_object_set_new(route, "in", json_integer(received - requeued));
        }
        return json_pack("{s:I, s:o, s:o, s:i, s:o}", "since", (json_int_t)since_unix, "first_minute",
                         sum->first_unix ? json_integer(sum->first_unix) : json_null(), "last_minute",
                         sum->last_unix ? json_integer(sum->last_unix) : json_null(), "routers",
                         (int)sum->routers, "routes", routes);
}

json_t *
stats_since(const Conf *conf, int64_t ago_s, int *out_status)
{
        int64_t since_unix = g_get_real_time() / G_USEC_PER_SEC - ago_s;
        g_autoptr(GError) error = NULL;
        g_auto(MinutesSum) sum = {0};

        *out_status = EXIT_CONFIG;
        if (conf->mysql_url == NULL) {
                command_warn("%s has no group [mysql], so no minutes are kept; without --since the running "
                             "router tells what it counted itself",
                             conf->path);
                return NULL;
        }
        g_autoptr(Minutes) minutes = minutes_new(conf, &error);
        if (minutes == NULL || !minutes_sum(minutes, since_unix, &sum, &error)) {
                *out_status = inventory_fail(conf->mysql_url, error);
                return NULL;
        }
        *out_status = EXIT_DONE;
        return make_document(&sum, since_unix);
}

/* ---- tables ---- */

static char *
minute_text(const json_t *minute)
{
        g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(json_integer_value(minute));

        return g_date_time_format(time, "%Y-%m-%d %H:%M");
}

static void
add_counts(Table *table, const char *route, const char *cluster, const json_t *object)
{
        static const char *const keys[] = {"in",   "delivered", "delivered_bytes", "parked", "unparked",
                                           "dead", "expired",   "failed",          NULL};
        char *cells[G_N_ELEMENTS(keys)] = {NULL};

        for (size_t i = 0; keys[i]; i++)
                cells[i] = print_member(object, keys[i]);
        table_add(table, route, cluster, cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6],
                  cells[7], NULL);
        for (size_t i = 0; keys[i]; i++)
                g_free(cells[i]);
}

static void
add_reasons(Table *table, const char *route, const json_t *reasons)
{
        for (Reason reason = 0; reason < REASON_COUNT; reason++) {
                g_autofree char *count = print_member(reasons, reason_code(reason));

                if (strcmp(count, "0") != 0)
                        table_add(table, route, reason_code(reason), count, reason_meaning(reason), NULL);
        }
}

void
stats_since_print(const json_t *document)
{
        g_autoptr(Table) counts = table_new("ROUTE", "CLUSTER", "IN", "DELIVERED", "BYTES", "PARKED",
                                            "UNPARKED", "DEAD", "EXPIRED", "FAILED", NULL);
        g_autoptr(Table) reasons = table_new("ROUTE", "REASON", "MESSAGES", "MEANING", NULL);
        g_autofree char *first = minute_text(json_object_get(document, "first_minute"));
        g_autofree char *last = minute_text(json_object_get(document, "last_minute"));
        g_autofree char *routers = print_member(document, "routers");
        const json_t *route, *cluster;
        size_t i, j;

        if (json_is_null(json_object_get(document, "first_minute"))) {
                puts("nothing was counted since then");
                return;
        }
        printf("Minutes %s to %s UTC, routers: %s\n\n", first, last, routers);
        json_array_foreach(json_object_get(document, "routes"), i, route)
        {
                const char *name = json_string_value(json_object_get(route, "route"));

                add_counts(counts, name, "all", route);
                json_array_foreach(json_object_get(route, "clusters"), j, cluster)
                {
                        const char *of = json_string_value(json_object_get(cluster, "cluster"));

                        add_counts(counts, name, of, cluster);
                }
                add_reasons(reasons, name, json_object_get(route, "reasons"));
        }
        table_print(counts);
        puts("");
        table_print(reasons);
}
