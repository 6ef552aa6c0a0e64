/* SPDX-License-Identifier: MIT */

/*
 * `config show`: the table again, with what is in force beside each key. Values are shown as written, since
 * that is what a person compares with the file; passwords are not.
 */

#include "conf/conf.h"
#include "conf/conf_table.h"
#include "conf/conf_text.h"

#include <string.h>

static bool
is_url(const ConfRow *row)
{
        return row->type == CONF_TYPE_AMQP_URLS || row->type == CONF_TYPE_REDIS_URL ||
               row->type == CONF_TYPE_MYSQL_URL;
}

static char *
mask_list(const char *text)
{
        g_auto(GStrv) items = g_strsplit(text, ",", -1);
        for (char **item = items; *item; item++) {
                char *masked = conf_mask_url(g_strstrip(*item));
                g_free(*item);
                *item = masked;
        }
        return g_strjoinv(", ", items);
}

/* What holds if the file does not say: the standard value, or what was worked out at loading. */
static char *
standard_in_force(const Conf *conf, const ConfRow *row, const ConfGroup *group)
{
        if (row == conf_table_find(CONF_GROUP_DEFAULT, "heartbeat_interval"))
                return g_strdup_printf("%" G_GINT64_FORMAT "ms", conf->heartbeat_interval_ms);
        if (row == conf_table_find(CONF_GROUP_DEFAULT, "state_dir"))
                return g_strdup(conf->state_dir);
        if (row->type == CONF_TYPE_REDIS_URL && !group)
                return g_strdup(""); /* without the group there is no redis */
        return g_strdup(row->standard);
}

static void
add_line(GPtrArray *lines, const char *group, const char *key, char *value, const char *standard,
         bool restart, bool from_file)
{
        for (char *at = value; *at; at++)
                if (g_ascii_iscntrl(*at))
                        *at = ' ';
        g_ptr_array_add(lines,
                        g_strdup_printf("%s\t%s\t%s\t%s\t%s\t%s", group, key, value, standard,
                                        restart ? "restart" : "reloadable", from_file ? "file" : "default"));
}

static void
add_row(GPtrArray *lines, const Conf *conf, const ConfRow *row, const char *name, const ConfGroup *group)
{
        const ConfEntry *entry = conf_group_find(group, row->key);
        bool from_file = entry && *entry->value;
        g_autofree char *value = from_file ? g_strdup(entry->value) : standard_in_force(conf, row, group);
        g_autofree char *shown = is_url(row) ? mask_list(value) : g_steal_pointer(&value);
        g_autofree char *standard = is_url(row) ? mask_list(row->standard) : g_strdup(row->standard);
        add_line(lines, name, row->key, shown, standard, row->restart, from_file);
}

static void
add_group(GPtrArray *lines, const Conf *conf, ConfGroupKind kind, const char *name)
{
        size_t count;
        const ConfRow *rows = conf_table(&count);
        const ConfGroup *group = conf_text_find(conf->text, name);
        for (size_t i = 0; i < count; i++)
                if (rows[i].group == kind)
                        add_row(lines, conf, &rows[i], name, group);
}

static void
add_fields(GPtrArray *lines, const ConfGroup *group)
{
        for (unsigned i = 0; i < group->entries->len; i++) {
                const ConfEntry *entry = group->entries->pdata[i];
                g_autofree char *value = g_strdup(entry->value);
                g_autofree char *key = g_strdelimit(g_strdup(entry->key), "\t\r\v\f", ' ');
                add_line(lines, group->name, key, value, "", false, true);
        }
}

GPtrArray *
conf_describe(const Conf *conf)
{
        GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
        static const ConfGroupKind fixed[] = {CONF_GROUP_DEFAULT, CONF_GROUP_BROKER, CONF_GROUP_REDIS,
                                              CONF_GROUP_MYSQL, CONF_GROUP_HTTP};
        for (size_t i = 0; i < G_N_ELEMENTS(fixed); i++)
                add_group(lines, conf, fixed[i], conf_table_group_name(fixed[i]));
        for (unsigned i = 0; i < conf->clusters->len; i++)
                add_group(lines, conf, CONF_GROUP_CLUSTER, ((ConfCluster *)conf->clusters->pdata[i])->name);
        for (unsigned i = 0; i < conf->text->groups->len; i++) {
                const ConfGroup *group = conf->text->groups->pdata[i];
                if (g_str_has_prefix(group->name, "route:"))
                        add_group(lines, conf, CONF_GROUP_ROUTE, group->name);
                else if (g_str_has_prefix(group->name, "fields:"))
                        add_fields(lines, group);
        }
        return lines;
}
