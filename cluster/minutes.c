/* SPDX-License-Identifier: MIT */
/*
 * Many rows go into one statement, since with 10,000 clusters a statement for each would take longer than a
 * minute on a slow database. Each statement is a transaction of its own, so a minute can be there in part.
 */
#include "cluster/minutes.h"

#include "cluster/catalogue.h"
#include "cluster/mysql_link.h"

#include <string.h>

enum { ROWS_AT_ONCE = 500, PURGE_AT_ONCE = 10000 };

struct Minutes {
        MysqlLink *link;
};

void
minutes_row_free(MinutesRow *row)
{
        if (row == NULL)
                return;
        g_free(row->route);
        g_free(row->cluster);
        g_free(row->statistic);
        g_free(row);
}

Minutes *
minutes_new(const Conf *conf, GError **error)
{
        MysqlLink *link = mysql_link_new(conf->mysql_url, conf->mysql_timeout_ms, &conf->mysql_tls, error);
        if (link == NULL)
                return NULL;
        Minutes *minutes = g_new0(Minutes, 1);
        minutes->link = link;
        return minutes;
}

void
minutes_free(Minutes *minutes)
{
        if (minutes == NULL)
                return;
        mysql_link_free(minutes->link);
        g_free(minutes);
}

static bool
run(Minutes *minutes, const char *sql, const char *const *parameters, MysqlResult *out_result, GError **error)
{
        unsigned code = mysql_link_run(minutes->link, sql, parameters, out_result, error);
        catalogue_add_remedy(code, error);
        return code == 0;
}

static bool
add_portion(Minutes *minutes, const char *minute, const char *router, MinutesRow *const *rows, unsigned count,
            GError **error)
{
        g_autoptr(GString) sql = g_string_new(
            "INSERT INTO route_stats (minute, router, route, cluster, statistic, value) VALUES ");
        g_autoptr(GPtrArray) values = g_ptr_array_new_with_free_func(g_free);
        for (unsigned i = 0; i < count; i++) {
                g_string_append(sql, i == 0 ? "" : ", ");
                g_string_append(sql, "(FROM_UNIXTIME(?), ?, ?, ?, ?, ?)");
                g_ptr_array_add(values, g_strdup(minute));
                g_ptr_array_add(values, g_strdup(router));
                g_ptr_array_add(values, g_strdup(rows[i]->route));
                g_ptr_array_add(values, g_strdup(rows[i]->cluster));
                g_ptr_array_add(values, g_strdup(rows[i]->statistic));
                g_ptr_array_add(values, g_strdup_printf("%" G_GUINT64_FORMAT, rows[i]->value));
        }
        g_ptr_array_add(values, NULL);
        g_string_append(sql, " ON DUPLICATE KEY UPDATE value = value + VALUES(value)");
        g_auto(MysqlResult) result = {0};
        return run(minutes, sql->str, (const char *const *)values->pdata, &result, error);
}

bool
minutes_add(Minutes *minutes, int64_t minute_unix, const char *router, GPtrArray *rows, GError **error)
{
        g_autofree char *minute = g_strdup_printf("%" G_GINT64_FORMAT, minute_unix);
        for (unsigned i = 0; i < rows->len; i += ROWS_AT_ONCE) {
                unsigned count = MIN(rows->len - i, (unsigned)ROWS_AT_ONCE);
                if (!add_portion(minutes, minute, router, (MinutesRow *const *)&rows->pdata[i], count, error))
                        return false;
        }
        return true;
}

bool
minutes_purge(Minutes *minutes, int64_t before_unix, bool *out_more, GError **error)
{
        g_autofree char *before = g_strdup_printf("%" G_GINT64_FORMAT, before_unix);
        const char *parameters[] = {before, NULL};
        g_auto(MysqlResult) result = {0};
        g_autofree char *sql = g_strdup_printf(
            "DELETE FROM route_stats WHERE minute < FROM_UNIXTIME(?) LIMIT %d", PURGE_AT_ONCE);
        if (!run(minutes, sql, parameters, &result, error))
                return false;
        *out_more = result.affected >= PURGE_AT_ONCE;
        return true;
}

/* ---- reading ---- */

void
minutes_sum_clear(MinutesSum *sum)
{
        g_clear_pointer(&sum->rows, g_ptr_array_unref);
}

static void
add_sums(MinutesSum *sum, const GPtrArray *rows)
{
        for (unsigned i = 0; i < rows->len; i++) {
                GStrv columns = rows->pdata[i];
                MinutesRow *row = g_new0(MinutesRow, 1);

                row->route = g_strdup(columns[0]);
                row->cluster = g_strdup(columns[1]);
                row->statistic = g_strdup(columns[2]);
                row->value = g_ascii_strtoull(columns[3], NULL, 10);
                g_ptr_array_add(sum->rows, row);
        }
}

bool
minutes_sum(Minutes *minutes, int64_t since_unix, MinutesSum *out_sum, GError **error)
{
        static const char span_sql[] = "SELECT COUNT(DISTINCT router), UNIX_TIMESTAMP(MIN(minute)),"
                                       " UNIX_TIMESTAMP(MAX(minute)) FROM route_stats"
                                       " WHERE minute >= FROM_UNIXTIME(?)";
        static const char sum_sql[] = "SELECT route, cluster, statistic, SUM(value) FROM route_stats"
                                      " WHERE minute >= FROM_UNIXTIME(?) GROUP BY route, cluster, statistic"
                                      " ORDER BY route, cluster, statistic";
        g_autofree char *since = g_strdup_printf("%" G_GINT64_FORMAT, since_unix);
        const char *parameters[] = {since, NULL};
        g_auto(MysqlResult) span = {0};
        g_auto(MysqlResult) sums = {0};
        if (!run(minutes, span_sql, parameters, &span, error) ||
            !run(minutes, sum_sql, parameters, &sums, error))
                return false;
        GStrv row = span.rows->pdata[0];
        *out_sum = (MinutesSum){.routers = (unsigned)g_ascii_strtoull(row[0], NULL, 10),
                                .first_unix = g_ascii_strtoll(row[1], NULL, 10),
                                .last_unix = g_ascii_strtoll(row[2], NULL, 10),
                                .rows = g_ptr_array_new_with_free_func((GDestroyNotify)minutes_row_free)};
        add_sums(out_sum, sums.rows);
        return true;
}
