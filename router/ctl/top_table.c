/* SPDX-License-Identifier: MIT */
/*
 * A rate is the difference of two counts over the difference of two uptimes; a router that was started anew
 * in between has none.
 */
#include "router/ctl/top_table.h"

#include "router/ctl/print.h"

#include <string.h>

static const struct {
        const char *name;
        char key;
} columns[] = {
    [TOP_NAME] = {"name", 'n'}, [TOP_IN] = {"in", 'i'},         [TOP_OUT] = {"out", 'o'},
    [TOP_DEAD] = {"dead", 'd'}, [TOP_PARKED] = {"parked", 'p'}, [TOP_IN_FLIGHT] = {"in_flight", 'f'},
    [TOP_P99] = {"p99", 't'},
};

const char *
top_column_name(TopColumn column)
{
        return columns[column].name;
}

char
top_column_key(TopColumn column)
{
        return columns[column].key;
}

/* ---- rows ---- */

static const json_t *
find(const json_t *rows, const char *key, const char *name)
{
        const json_t *row;
        size_t i;

        json_array_foreach(rows, i, row)
        {
                if (g_strcmp0(json_string_value(json_object_get(row, key)), name) == 0)
                        return row;
        }
        return NULL;
}

static double
number(const json_t *row, const char *key)
{
        return json_number_value(json_object_get(row, key));
}

/* -1: not known. */
static double
rate(const json_t *before, const json_t *after, const char *key, double seconds)
{
        if (before == NULL || seconds <= 0)
                return -1;
        return MAX(number(after, key) - number(before, key), 0) / seconds;
}

static void
add_route(GArray *rows, const char *router, const json_t *before, const json_t *after, double seconds)
{
        TopRow row = {.router = router,
                      .route = json_string_value(json_object_get(after, "route")),
                      .state = json_string_value(json_object_get(after, "state")),
                      .p50_us = number(after, "hop_p50_us")};

        row.values[TOP_IN] = rate(before, after, "in", seconds);
        row.values[TOP_OUT] = rate(before, after, "delivered", seconds);
        row.values[TOP_DEAD] = rate(before, after, "dead", seconds);
        row.values[TOP_PARKED] = number(after, "parked_in_queue");
        row.values[TOP_IN_FLIGHT] = number(after, "in_flight");
        row.values[TOP_P99] = number(after, "hop_p99_us");
        g_array_append_val(rows, row);
}

static void
add_cluster(GArray *rows, const TopRow *route, const json_t *before, const json_t *after, double seconds)
{
        TopRow row = {.router = route->router,
                      .route = route->route,
                      .cluster = json_string_value(json_object_get(after, "cluster")),
                      .state = json_string_value(json_object_get(after, "flow")),
                      .p50_us = -1};

        for (TopColumn column = 0; column < TOP_COLUMNS; column++)
                row.values[column] = -1;
        row.values[TOP_OUT] = rate(before, after, "delivered", seconds);
        row.values[TOP_PARKED] = number(after, "parked_in_queue");
        g_array_append_val(rows, row);
}

GArray *
top_rows_new(void)
{
        return g_array_new(FALSE, TRUE, sizeof(TopRow));
}

void
top_add_rows(GArray *rows, const char *router, const json_t *before, const json_t *after)
{
        double seconds = before ? number(after, "uptime_s") - number(before, "uptime_s") : 0;
        const json_t *route, *cluster;
        size_t i, j;

        json_array_foreach(json_object_get(after, "routes"), i, route)
        {
                const char *name = json_string_value(json_object_get(route, "route"));
                const json_t *old = find(json_object_get(before, "routes"), "route", name);
                const TopRow of_route = {.router = router, .route = name};

                if (name == NULL)
                        continue;
                add_route(rows, router, old, route, seconds);
                json_array_foreach(json_object_get(route, "clusters"), j, cluster)
                {
                        const char *of = json_string_value(json_object_get(cluster, "cluster"));

                        if (of)
                                add_cluster(rows, &of_route,
                                            find(json_object_get(old, "clusters"), "cluster", of), cluster,
                                            seconds);
                }
        }
}

/* ---- order ---- */

typedef struct {
        TopColumn column;
        bool reverse;
} Order;

static int
compare(gconstpointer a, gconstpointer b, gpointer user_data)
{
        const TopRow *x = a, *y = b;
        const Order *order = user_data;
        double difference =
            order->column == TOP_NAME ? 0 : y->values[order->column] - x->values[order->column];
        int result = difference < 0 ? -1 : difference > 0;

        if (result == 0)
                result = strcmp(x->route, y->route);
        if (result == 0)
                result = g_strcmp0(x->cluster, y->cluster);
        if (result == 0)
                result = g_strcmp0(x->router, y->router);
        return order->reverse ? -result : result;
}

void
top_sort(GArray *rows, TopColumn column, bool reverse)
{
        Order order = {column, reverse};

        g_array_sort_with_data(rows, compare, &order);
}

/* ---- several routers ---- */

static double
join(TopColumn column, double a, double b)
{
        if (column == TOP_PARKED || column == TOP_P99 || a < 0 || b < 0)
                return MAX(a, b);
        return a + b;
}

static void
merge_row(TopRow *row, const TopRow *other)
{
        for (TopColumn column = 0; column < TOP_COLUMNS; column++)
                row->values[column] = join(column, row->values[column], other->values[column]);
        row->p50_us = MAX(row->p50_us, other->p50_us);
        if (g_strcmp0(row->state, other->state) != 0)
                row->state = "mixed";
}

void
top_merge(GArray *rows)
{
        unsigned kept = 0;

        top_sort(rows, TOP_NAME, false);
        for (unsigned i = 0; i < rows->len; i++) {
                TopRow *last = kept > 0 ? &g_array_index(rows, TopRow, kept - 1) : NULL;
                TopRow row = g_array_index(rows, TopRow, i);

                row.router = NULL;
                if (last && strcmp(last->route, row.route) == 0 && g_strcmp0(last->cluster, row.cluster) == 0)
                        merge_row(last, &row);
                else
                        g_array_index(rows, TopRow, kept++) = row;
        }
        g_array_set_size(rows, kept);
}

/* ---- text ---- */

static char *
rate_text(double value)
{
        if (value < 0)
                return g_strdup("-");
        return g_strdup_printf(value > 0 && value < 10 ? "%.1f" : "%.0f", value);
}

static char *
count_text(double value)
{
        return value < 0 ? g_strdup("-") : g_strdup_printf("%.0f", value);
}

static void
add_text_row(Table *table, const TopRow *row, bool with_router)
{
        g_autofree char *in = rate_text(row->values[TOP_IN]);
        g_autofree char *out = rate_text(row->values[TOP_OUT]);
        g_autofree char *dead = rate_text(row->values[TOP_DEAD]);
        g_autofree char *parked = count_text(row->values[TOP_PARKED]);
        g_autofree char *in_flight = count_text(row->values[TOP_IN_FLIGHT]);
        g_autofree char *p50 = print_duration_us(row->p50_us);
        g_autofree char *p99 = print_duration_us(row->values[TOP_P99]);
        const char *cluster = row->cluster ? row->cluster : "all";
        const char *state = row->state ? row->state : "-";

        if (with_router)
                table_add(table, row->route, cluster, row->router ? row->router : "all", in, out, dead,
                          parked, state, in_flight, p50, p99, NULL);
        else
                table_add(table, row->route, cluster, in, out, dead, parked, state, in_flight, p50, p99,
                          NULL);
}

static Table *
make_table(const GArray *rows)
{
        bool with_router = rows->len > 0 && g_array_index(rows, TopRow, 0).router;
        Table *table = with_router ? table_new("ROUTE", "CLUSTER", "ROUTER", "IN/s", "OUT/s", "DEAD/s",
                                               "PARKED", "STATE", "IN FLIGHT", "P50", "P99", NULL)
                                   : table_new("ROUTE", "CLUSTER", "IN/s", "OUT/s", "DEAD/s", "PARKED",
                                               "STATE", "IN FLIGHT", "P50", "P99", NULL);

        for (unsigned i = 0; i < rows->len; i++)
                add_text_row(table, &g_array_index(rows, TopRow, i), with_router);
        return table;
}

static void
append_line(GString *out, const char *line, size_t width)
{
        size_t length = (size_t)g_utf8_strlen(line, -1);
        const char *end = width && length > width ? g_utf8_offset_to_pointer(line, (glong)width) : NULL;

        g_string_append_len(out, line, end ? end - line : -1);
        g_string_append_c(out, '\n');
}

char *
top_text(const GArray *rows, size_t width, size_t height)
{
        g_autoptr(Table) table = make_table(rows);
        g_autofree char *text = table_text(table);
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
        size_t count = g_strv_length(lines) - 1; /* behind the last newline there is nothing */
        bool cut = height > 0 && count > height;
        size_t shown = cut ? height - 1 : count;
        GString *out = g_string_new(NULL);

        for (size_t i = 0; i < shown; i++)
                append_line(out, lines[i], width);
        if (cut) {
                g_autofree char *more = g_strdup_printf("... %zu more", count - shown);

                append_line(out, more, width);
        }
        return g_string_free(out, FALSE);
}

/* ---- JSON ---- */

static json_t *
number_json(double value)
{
        return value < 0 ? json_null() : json_real(value);
}

static json_t *
count_json(double value)
{
        return value < 0 ? json_null() : json_integer((json_int_t)value);
}

json_t *
top_json(const GArray *rows)
{
        json_t *list = json_array();

        for (unsigned i = 0; i < rows->len; i++) {
                const TopRow *row = &g_array_index(rows, TopRow, i);

                json_array_append_new(
                    list,
                    json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "router",
                              print_string(row->router), "route", print_string(row->route), "cluster",
                              print_string(row->cluster), "in_per_s", number_json(row->values[TOP_IN]),
                              "out_per_s", number_json(row->values[TOP_OUT]), "dead_per_s",
                              number_json(row->values[TOP_DEAD]), "parked",
                              count_json(row->values[TOP_PARKED]), "in_flight",
                              count_json(row->values[TOP_IN_FLIGHT]), "p50_us", count_json(row->p50_us),
                              "p99_us", count_json(row->values[TOP_P99]), "state", print_string(row->state)));
        }
        return list;
}
