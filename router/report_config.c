/* SPDX-License-Identifier: MIT */
/*
 * The fingerprint of a route covers passwords too, so that a change that must not be shown is at least seen.
 */
#include "router/report_config.h"

#include "router/report.h"
#include "router/report_json.h"

enum { COLUMN_GROUP, COLUMN_KEY, COLUMN_VALUE, COLUMN_DEFAULT, COLUMN_RELOAD, COLUMN_ORIGIN, COLUMNS };

static json_t *
key_of(const char *line)
{
        g_auto(GStrv) columns = g_strsplit(line, "\t", COLUMNS);

        g_assert(g_strv_length(columns) == COLUMNS);
        return json_pack("{s:o, s:o, s:o, s:o, s:b, s:o}", "group", report_text(columns[COLUMN_GROUP]), "key",
                         report_text(columns[COLUMN_KEY]), "value", report_text(columns[COLUMN_VALUE]),
                         "default", report_text(columns[COLUMN_DEFAULT]), "reloadable",
                         g_str_equal(columns[COLUMN_RELOAD], "reloadable"), "origin",
                         report_text(columns[COLUMN_ORIGIN]));
}

json_t *
report_config_document(const Conf *conf)
{
        g_autoptr(GPtrArray) lines = conf_describe(conf);
        json_t *keys = json_array(), *routes = json_array();

        for (unsigned i = 0; i < lines->len; i++)
                json_array_append_new(keys, key_of(lines->pdata[i]));
        for (unsigned i = 0; i < conf->routes->len; i++) {
                const ConfRoute *route = conf->routes->pdata[i];

                json_array_append_new(routes, json_pack("{s:o, s:o}", "route", report_text(route->name),
                                                        "fingerprint", report_text(route->fingerprint)));
        }
        return json_pack("{s:o, s:o, s:o, s:o}", "file", report_text(conf->path), "fingerprint",
                         report_text(conf->fingerprint), "keys", keys, "routes", routes);
}

char *
report_config(const ReportInput *input)
{
        g_autoptr(Conf) conf = stats_get_conf(input->stats);

        return report_finish(conf ? report_config_document(conf) : json_object());
}
