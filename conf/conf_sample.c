/* SPDX-License-Identifier: MIT */

/*
 * A sample is read from top to bottom by somebody who has ten minutes: so it is a working set-up with two
 * clusters and one route, and everything else stands commented out where it belongs, with what it would be.
 */

#include "conf/conf_sample.h"

#include "conf/conf_table.h"

#include <string.h>

enum { COLUMNS = 100 };

typedef struct {
        const char *key;
        const char *value;
} Active;

/* One group of the sample: what is set in it; all other keys are comments. */
typedef struct {
        ConfGroupKind kind;
        const char *name;
        const char *intro;
        bool brief; /* only what is set */
        Active active[6];
} Section;

static const Section sections[] = {
    {CONF_GROUP_DEFAULT,
     "DEFAULT",
     "This node. The file is the same on all nodes but for this group.",
     false,
     {{"cluster", "east"}}},
    {CONF_GROUP_CLUSTER,
     "east",
     "A cluster: every group that is not reserved (DEFAULT, broker, redis, mysql, http, route:NAME, "
     "fields:NAME) is "
     "one. Without any cluster, and without [mysql], the router is a plain forwarder.",
     false,
     {{"cluster_member_ips", "10.0.0.11,10.0.0.12"}}},
    {CONF_GROUP_CLUSTER, "west", NULL, true, {{"cluster_member_ips", "10.0.1.11,10.0.1.12"}}},
    {CONF_GROUP_BROKER, "broker", NULL, false, {{"url", "amqp://guest:guest@127.0.0.1:5672/%2f"}}},
    {CONF_GROUP_REDIS, "redis", NULL, false, {{"url", "redis://127.0.0.1:6379/0"}}},
    {CONF_GROUP_MYSQL,
     "mysql",
     NULL,
     false,
     {{"url", "mysql://router:secret@127.0.0.1:3306/cluster_router"}}},
    {CONF_GROUP_HTTP, "http", NULL, false, {{"listen", "127.0.0.1:9419"}}},
    {CONF_GROUP_ROUTE,
     "route:volume",
     "A route: one shared queue and where its messages go. There may be many.",
     false,
     {{"queue", "cinder-volume"},
      {"cluster_from", "header:cluster, json:/cluster, oslo:/args/cluster"},
      {"destination", "queue:{queue}.{cluster}"}}},
};

static const char head[] =
    "# cluster-router: one file for routers, agents and clusterctl, the same on all nodes.\n"
    "#\n"
    "# Every key is here. A key that is commented out shows its standard value, or an example if the "
    "sentence\n"
    "# above it says what holds without it. Check a change with: cluster-routerd -c FILE --check\n"
    "# Times are written 500ms 15s 5m 1h 30d, sizes 64KiB 64MiB 1GiB. Comments stand on lines of their own.\n"
    "# Changes take effect at reload (SIGHUP), where nothing else is said.\n";

static const char tail[] =
    "\n# A long list of sources has a group of its own, each with a name: cluster_from = fields:cinder\n"
    "#[fields:cinder]\n"
    "#hint = oslo:/args/filter_properties/scheduler_hints/cluster\n"
    "#zone = oslo:/args/volume/versioned_object.data/availability_zone\n"
    "# \"host:\" in front: the value is a host, and its cluster is taken.\n"
    "#host = host:key:cinder-volume.{host}@*\n";

/* As comment lines of at most COLUMNS, broken between words. */
static void
append_wrapped(GString *sample, const char *text)
{
        g_auto(GStrv) words = g_strsplit(text, " ", -1);
        size_t column = 0;
        for (char **word = words; *word; word++) {
                size_t length = strlen(*word);
                if (column == 0 || column + 1 + length > COLUMNS) {
                        g_string_append(sample, column ? "\n#" : "#");
                        column = 1;
                }
                g_string_append_printf(sample, " %s", *word);
                column += 1 + length;
        }
        g_string_append_c(sample, '\n');
}

static void
append_sentence(GString *sample, const ConfRow *row)
{
        g_autoptr(GString) sentence = g_string_new(row->sentence);
        if (row->least)
                g_string_append_printf(sentence, " From %s to %s.", row->least, row->most);
        if (row->restart)
                g_string_append(sentence, " Takes effect at the next start.");
        append_wrapped(sample, sentence->str);
}

static const char *
find_active(const Section *section, const char *key)
{
        for (size_t i = 0; i < G_N_ELEMENTS(section->active) && section->active[i].key; i++)
                if (strcmp(section->active[i].key, key) == 0)
                        return section->active[i].value;
        return NULL;
}

static void
append_row(GString *sample, const Section *section, const ConfRow *row)
{
        const char *active = find_active(section, row->key);
        if (section->brief && !active)
                return;
        if (!section->brief)
                append_sentence(sample, row);
        if (active)
                g_string_append_printf(sample, "%s = %s\n", row->key, active);
        else
                g_string_append_printf(sample, "#%s = %s\n", row->key,
                                       *row->standard ? row->standard : row->example);
}

char *
conf_sample(void)
{
        size_t count;
        const ConfRow *rows = conf_table(&count);
        GString *sample = g_string_new(head);
        for (size_t i = 0; i < G_N_ELEMENTS(sections); i++) {
                g_string_append_c(sample, '\n');
                if (sections[i].intro)
                        append_wrapped(sample, sections[i].intro);
                g_string_append_printf(sample, "[%s]\n", sections[i].name);
                for (size_t j = 0; j < count; j++)
                        if (rows[j].group == sections[i].kind)
                                append_row(sample, &sections[i], &rows[j]);
        }
        g_string_append(sample, tail);
        return g_string_free(sample, FALSE);
}
