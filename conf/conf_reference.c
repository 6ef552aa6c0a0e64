/* SPDX-License-Identifier: MIT */

/*
 * Clusters are named by [DEFAULT] cluster and by policies. Whether an undefined name is an error depends on
 * [mysql], so this only finds them. A name that has a group of its own is left alone: what is wrong with that
 * group is told there.
 */

#include "conf/conf_reference.h"

#include "conf/conf_fault.h"
#include "conf/conf_nearest.h"

#include <string.h>

static void
reference_free(gpointer data)
{
        ConfReference *reference = data;
        g_free(reference->name);
        g_free(reference->text);
        g_free(reference);
}

static const ConfCluster *
find_alias(const Conf *conf, const char *name)
{
        for (unsigned i = 0; i < conf->clusters->len; i++) {
                const ConfCluster *cluster = conf->clusters->pdata[i];
                if (g_strv_contains((const char *const *)cluster->aliases, name))
                        return cluster;
        }
        return NULL;
}

static char *
suggest(const Conf *conf, const char *name)
{
        const ConfCluster *owner = find_alias(conf, name);
        if (owner)
                return g_strdup_printf("; it is an alias of \"%s\", which must be written here", owner->name);
        g_autoptr(GPtrArray) names = g_ptr_array_new();
        for (unsigned i = 0; i < conf->clusters->len; i++)
                g_ptr_array_add(names, ((ConfCluster *)conf->clusters->pdata[i])->name);
        g_ptr_array_add(names, NULL);
        return conf_suggest(name, (const char *const *)names->pdata);
}

static void
add(const Conf *conf, GPtrArray *found, const char *key, const char *name, unsigned line)
{
        if (!name || conf_text_find(conf->text, name))
                return;
        g_autofree char *suggestion = suggest(conf, name);
        ConfReference *reference = g_new0(ConfReference, 1);
        reference->name = g_strdup(name);
        reference->line = line;
        reference->text =
            g_strdup_printf("%s names cluster \"%s\", which is not in this file%s", key, name, suggestion);
        g_ptr_array_add(found, reference);
}

static void
add_policy(const Conf *conf, GPtrArray *found, const char *key, const ConfPolicy *policy)
{
        if (policy->kind == CONF_POLICY_CLUSTER)
                add(conf, found, key, policy->name, policy->line);
}

GPtrArray *
conf_references_undefined(const Conf *conf)
{
        GPtrArray *found = g_ptr_array_new_with_free_func(reference_free);
        add(conf, found, "cluster", conf->cluster, conf_text_line(conf->text, "DEFAULT", "cluster"));
        for (unsigned i = 0; i < conf->routes->len; i++) {
                const ConfRoute *route = conf->routes->pdata[i];
                add_policy(conf, found, "on_no_cluster", &route->on_no_cluster);
                add_policy(conf, found, "on_unknown_cluster", &route->on_unknown_cluster);
                add_policy(conf, found, "on_cluster_down", &route->on_down_cast);
                add_policy(conf, found, "on_cluster_down", &route->on_down_call);
        }
        return found;
}

GPtrArray *
conf_undefined_clusters(const Conf *conf, GPtrArray **out_names)
{
        GPtrArray *messages = g_ptr_array_new_with_free_func(g_free);
        GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GPtrArray) found = conf_references_undefined(conf);
        for (unsigned i = 0; i < found->len; i++) {
                const ConfReference *reference = found->pdata[i];
                g_ptr_array_add(messages,
                                g_strdup_printf("%s:%u: %s", conf->path, reference->line, reference->text));
                g_ptr_array_add(names, g_strdup(reference->name));
        }
        *out_names = names;
        return messages;
}
