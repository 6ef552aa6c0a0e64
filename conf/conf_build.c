/* SPDX-License-Identifier: MIT */

/*
 * The name of a group says what it is: reserved words and "route:" and "fields:" in front are ours, all else
 * is a cluster, provided that it says who its members are. So a misspelt [brokr] is found out.
 */

#include "conf/conf_build.h"

#include "conf/conf_destination.h"
#include "conf/conf_fill.h"
#include "conf/conf_nearest.h"
#include "conf/conf_policy.h"
#include "conf/conf_source.h"
#include "conf/name.h"

#include <string.h>
#include <unistd.h>

/* Far more than anybody has; every route has threads, and every pair of both is looked at. */
enum { ROUTES_MAX = 256, CLUSTERS_MAX = 10000 };

static const char *const reserved[] = {"DEFAULT", "broker", "redis",   "mysql",
                                       "http",    "route:", "fields:", NULL};

void
conf_tls_clear(ConfTls *tls)
{
        g_clear_pointer(&tls->ca, g_free);
        g_clear_pointer(&tls->cert, g_free);
        g_clear_pointer(&tls->key, g_free);
}

void
conf_cluster_free(ConfCluster *cluster)
{
        if (!cluster)
                return;
        g_free(cluster->name);
        g_strfreev(cluster->members);
        g_strfreev(cluster->aliases);
        g_strfreev(cluster->amqp_urls);
        g_free(cluster->password_file);
        conf_tls_clear(&cluster->tls);
        g_free(cluster);
}

void
conf_route_free(ConfRoute *route)
{
        if (!route)
                return;
        g_free(route->name);
        g_free(route->queue);
        g_ptr_array_unref(route->binds);
        g_free(route->bind_exchange_type);
        g_ptr_array_unref(route->sources);
        g_free(route->exchange);
        g_free(route->key);
        conf_policy_clear(&route->on_no_cluster);
        conf_policy_clear(&route->on_unknown_cluster);
        conf_policy_clear(&route->on_down_cast);
        conf_policy_clear(&route->on_down_call);
        conf_source_free(route->affinity);
        g_free(route->fingerprint);
        g_free(route);
}

static void
build_cluster(ConfFaults *faults, Conf *conf, const ConfGroup *group)
{
        size_t length = strlen(group->name);
        if (!name_is_cluster(group->name, length)) {
                g_autofree char *quoted = conf_quote(group->name);
                conf_faults_error(faults, group->line, "%s is no cluster name: %s", quoted,
                                  name_explain_cluster(group->name, length));
                return;
        }
        if (conf->clusters->len == CLUSTERS_MAX) {
                conf_faults_error(faults, group->line, "more than %d clusters", CLUSTERS_MAX);
                return;
        }
        ConfCluster *cluster = g_new0(ConfCluster, 1);
        cluster->name = g_strdup(group->name);
        cluster->line = group->line;
        cluster->members = g_new0(char *, 1);
        cluster->aliases = g_new0(char *, 1);
        cluster->amqp_urls = g_new0(char *, 1);
        g_ptr_array_add(conf->clusters, cluster);
        conf_fill(faults, conf->text, CONF_GROUP_CLUSTER, group, cluster);
}

/* The part behind the colon, or NULL after an error. */
static const char *
part_name(ConfFaults *faults, const ConfGroup *group)
{
        const char *name = strchr(group->name, ':') + 1;
        if (name_is_route(name, strlen(name)))
                return name;
        g_autofree char *quoted = conf_quote(name);
        conf_faults_error(faults, group->line, "%s is no name for a group of this kind: %s", quoted,
                          name_explain_route(name, strlen(name)));
        return NULL;
}

static void
build_route(ConfFaults *faults, Conf *conf, const ConfGroup *group)
{
        const char *name = part_name(faults, group);
        if (!name)
                return;
        if (conf->routes->len == ROUTES_MAX) {
                conf_faults_error(faults, group->line, "more than %d routes", ROUTES_MAX);
                return;
        }
        ConfRoute *route = g_new0(ConfRoute, 1);
        route->name = g_strdup(name);
        route->line = group->line;
        route->binds = g_ptr_array_new_with_free_func((GDestroyNotify)conf_bind_free);
        route->sources = g_ptr_array_new_with_free_func((GDestroyNotify)conf_source_free);
        g_ptr_array_add(conf->routes, route);
        conf_fill(faults, conf->text, CONF_GROUP_ROUTE, group, route);
}

/* Read only to tell what is wrong with it; routes read it again, each for itself. */
static void
build_fields(ConfFaults *faults, Conf *conf, ConfGroup *group)
{
        if (!part_name(faults, group))
                return;
        ConfPlace place = {faults, conf->text, group->name, group->line};
        g_autoptr(GPtrArray) sources = g_ptr_array_new_with_free_func((GDestroyNotify)conf_source_free);
        conf_source_parse_group(&place, group, sources);
}

/* The reserved word that @name is but for its case, or NULL. */
static const char *
find_reserved(const char *name)
{
        for (size_t i = 0; reserved[i]; i++) {
                bool is_prefix = g_str_has_suffix(reserved[i], ":");
                if (is_prefix ? g_ascii_strncasecmp(name, reserved[i], strlen(reserved[i])) == 0
                              : g_ascii_strcasecmp(name, reserved[i]) == 0)
                        return reserved[i];
        }
        return NULL;
}

static void
refuse_group(ConfFaults *faults, const ConfGroup *group)
{
        g_autofree char *quoted = conf_quote(group->name);
        g_autofree char *prefix = g_strndup(group->name, strcspn(group->name, ":") + 1);
        g_autofree char *suggestion = conf_suggest(prefix, reserved);
        for (unsigned i = 0; i < group->entries->len; i++) {
                const ConfEntry *entry = group->entries->pdata[i];
                static const char *const member_key[] = {"cluster_member_ips", NULL};
                if (!conf_nearest(entry->key, member_key))
                        continue;
                g_autofree char *key = conf_quote(entry->key);
                conf_faults_error(faults, entry->line,
                                  "unknown key %s in the unknown group %s; did you mean \"%s\"?", key, quoted,
                                  member_key[0]);
        }
        conf_faults_error(faults, group->line,
                          "unknown group %s%s (a cluster group needs cluster_member_ips)", quoted,
                          suggestion);
}

/* False if the group is unknown: it may have been meant as a cluster. */
static bool
build_group(ConfFaults *faults, Conf *conf, ConfGroup *group)
{
        const char *word = find_reserved(group->name);
        bool has_members = conf_group_find(group, "cluster_member_ips");
        g_autofree char *quoted = conf_quote(group->name);
        if (word && !g_str_has_prefix(group->name, word)) {
                conf_faults_error(faults, group->line, "%s is a reserved word in another case; write [%s%s]",
                                  quoted, word, g_str_has_suffix(word, ":") ? "NAME" : "");
                return !has_members;
        }
        if (!word && !has_members) {
                refuse_group(faults, group);
                return false;
        }
        if (!word)
                build_cluster(faults, conf, group);
        else if (strcmp(word, "route:") == 0)
                build_route(faults, conf, group);
        else if (strcmp(word, "fields:") == 0)
                build_fields(faults, conf, group);
        return word || name_is_cluster(group->name, strlen(group->name));
}

static void
set_defaults(Conf *conf)
{
        if (!conf->heartbeat_interval_ms)
                conf->heartbeat_interval_ms = MAX(conf->heartbeat_ttl_ms / 3, 1);
        if (!conf->state_dir && geteuid() == 0)
                conf->state_dir = g_strdup("/var/lib/cluster-router");
        else if (!conf->state_dir)
                conf->state_dir = g_build_filename(g_get_user_state_dir(), "cluster-router", NULL);
        conf->host_line = conf_text_line(conf->text, "DEFAULT", "host");
}

bool
conf_build(ConfFaults *faults, Conf *conf)
{
        static const ConfGroupKind fixed[] = {CONF_GROUP_DEFAULT, CONF_GROUP_BROKER, CONF_GROUP_REDIS,
                                              CONF_GROUP_MYSQL, CONF_GROUP_HTTP};
        for (size_t i = 0; i < G_N_ELEMENTS(fixed); i++)
                conf_fill(faults, conf->text, fixed[i],
                          conf_text_find(conf->text, conf_table_group_name(fixed[i])), conf);
        if (!conf_text_find(conf->text, "redis"))
                g_clear_pointer(&conf->redis_url, g_free);
        set_defaults(conf);

        bool clusters_known = conf->mysql_url || !conf_text_find(conf->text, "mysql");
        for (unsigned i = 0; i < conf->text->groups->len; i++)
                if (!build_group(faults, conf, conf->text->groups->pdata[i]))
                        clusters_known = false;
        return clusters_known;
}
