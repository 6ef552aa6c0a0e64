/* SPDX-License-Identifier: MIT */
/*
 * The list of router/statistic.c once for the router, for each route and for each cluster of it, with what
 * the document has for each row.
 */
#include "router/ctl/stats_all.h"

#include "router/ctl/print.h"
#include "router/reason.h"
#include "router/statistic.h"

#include <string.h>

static void
add_histogram(Table *table, const char *of, const json_t *object, const Statistic *row)
{
        static const char *const suffixes[] = {"p50_us", "p99_us"};

        for (size_t i = 0; i < G_N_ELEMENTS(suffixes); i++) {
                g_autofree char *key = g_strdup_printf("%s_%s", row->key, suffixes[i]);
                g_autofree char *value = print_member(object, key);

                if (json_object_get(object, key))
                        table_add(table, of, key, value, row->help, NULL);
        }
}

static const char *
meaning_of(const char *member, const char *help)
{
        for (Reason reason = 0; reason < REASON_COUNT; reason++)
                if (strcmp(member, reason_code(reason)) == 0)
                        return reason_meaning(reason);
        return help;
}

/* The members of an object that are not 0, as KEY/MEMBER. */
static void
add_members(Table *table, const char *of, const char *key, json_t *object, const char *help)
{
        const char *member;
        json_t *value;

        json_object_foreach(object, member, value)
        {
                g_autofree char *name = g_strdup_printf("%s/%s", key, member);
                g_autofree char *text = print_member(object, member);

                if (strcmp(text, "0") != 0)
                        table_add(table, of, name, text, meaning_of(member, help), NULL);
        }
}

static void
add_scope(Table *table, const char *of, const json_t *object, StatisticScope scope)
{
        size_t count;
        const Statistic *rows = statistic_table(&count);

        for (size_t i = 0; i < count; i++) {
                json_t *value = json_object_get(object, rows[i].key);
                g_autofree char *text = print_member(object, rows[i].key);

                if (rows[i].scope != scope)
                        continue;
                if (rows[i].kind == STATISTIC_HISTOGRAM)
                        add_histogram(table, of, object, &rows[i]);
                else if (json_is_object(value))
                        add_members(table, of, rows[i].key, value, rows[i].help);
                else if (value)
                        table_add(table, of, rows[i].key, text, rows[i].help, NULL);
        }
}

void
stats_all_print(const json_t *document)
{
        g_autoptr(Table) table = table_new("OF", "STATISTIC", "VALUE", "MEANING", NULL);
        const json_t *route, *cluster;
        size_t i, j;

        add_scope(table, "router", document, STATISTIC_ROUTER);
        json_array_foreach(json_object_get(document, "routes"), i, route)
        {
                const char *name = json_string_value(json_object_get(route, "route"));

                add_scope(table, name ? name : "", route, STATISTIC_ROUTE);
                json_array_foreach(json_object_get(route, "clusters"), j, cluster)
                {
                        g_autofree char *member = print_member(cluster, "cluster");
                        g_autofree char *of = g_strdup_printf("%s/%s", name, member);

                        add_scope(table, of, cluster, STATISTIC_CLUSTER);
                }
        }
        table_print(table);
}
