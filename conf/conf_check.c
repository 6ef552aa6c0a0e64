/* SPDX-License-Identifier: MIT */

/*
 * Each function looks at one matter. They only read, so their order does not matter; lines come from the text
 * as it was written.
 */

#include "conf/conf_check.h"

#include "conf/conf_destination.h"
#include "conf/conf_loop.h"
#include "conf/conf_reference.h"
#include "conf/conf_url.h"

#include <string.h>

static void
check_heartbeat(ConfFaults *faults, const Conf *conf)
{
        if (conf->heartbeat_interval_ms >= conf->heartbeat_ttl_ms)
                conf_faults_error(faults, conf_text_line(conf->text, "DEFAULT", "heartbeat_interval"),
                                  "heartbeat_interval: must be shorter than heartbeat_ttl (%" G_GINT64_FORMAT
                                  "ms), better a third of it",
                                  conf->heartbeat_ttl_ms);
}

static bool
has_tls_url(GStrv urls)
{
        for (char **text = urls; *text; text++) {
                g_autoptr(ConfUrl) url = conf_url_parse(*text, CONF_URL_AMQP, NULL);
                if (url && url->tls)
                        return true;
        }
        return false;
}

/* @urls are those that the files are for, NULL for MySQL, whose URL does not say whether TLS is used. */
static void
check_tls(ConfFaults *faults, const Conf *conf, const char *group, const ConfTls *tls, GStrv urls)
{
        if (!tls->cert != !tls->key)
                conf_faults_error(faults,
                                  conf_text_line(conf->text, group, tls->cert ? "tls_cert" : "tls_key"),
                                  "tls_cert and tls_key belong together; %s is missing",
                                  tls->cert ? "tls_key" : "tls_cert");
        if (urls && (tls->ca || tls->cert || tls->key) && !has_tls_url(urls))
                conf_faults_warn(
                    faults, conf_text_line(conf->text, group, tls->ca ? "tls_ca" : "tls_cert"),
                    "tls_ca, tls_cert and tls_key have no effect here: no URL begins with amqps://");
}

static void
check_references(ConfFaults *faults, const Conf *conf)
{
        if (conf->mysql_url || conf_text_find(conf->text, "mysql"))
                return;
        g_autoptr(GPtrArray) undefined = conf_references_undefined(conf);
        for (unsigned i = 0; i < undefined->len; i++) {
                const ConfReference *reference = undefined->pdata[i];
                conf_faults_error(faults, reference->line, "%s", reference->text);
        }
}

/* Each name that a message may use must mean one cluster. */
static void
check_aliases(ConfFaults *faults, const Conf *conf)
{
        g_autoptr(GHashTable) owners = g_hash_table_new(g_str_hash, g_str_equal);
        for (unsigned i = 0; i < conf->clusters->len; i++) {
                ConfCluster *cluster = conf->clusters->pdata[i];
                g_hash_table_insert(owners, cluster->name, cluster);
        }
        for (unsigned i = 0; i < conf->clusters->len; i++) {
                ConfCluster *cluster = conf->clusters->pdata[i];
                for (char **alias = cluster->aliases; *alias; alias++) {
                        const ConfCluster *owner = g_hash_table_lookup(owners, *alias);
                        g_autofree char *quoted = conf_quote(*alias);
                        if (!owner)
                                g_hash_table_insert(owners, *alias, cluster);
                        else if (owner != cluster)
                                conf_faults_error(faults,
                                                  conf_text_line(conf->text, cluster->name, "aliases"),
                                                  "aliases: %s already means cluster \"%s\" (line %u)",
                                                  quoted, owner->name, owner->line);
                }
        }
}

static void
check_members(ConfFaults *faults, const Conf *conf)
{
        g_autoptr(GHashTable) owners = g_hash_table_new(g_str_hash, g_str_equal);
        bool has_redis = conf_text_find(conf->text, "redis");
        for (unsigned i = 0; i < conf->clusters->len; i++) {
                ConfCluster *cluster = conf->clusters->pdata[i];
                const ConfGroup *group = conf_text_find(conf->text, cluster->name);
                const ConfEntry *entry = conf_group_find(group, "cluster_member_ips");
                unsigned line = entry ? entry->line : cluster->line;
                if (entry && !*entry->value && !has_redis)
                        conf_faults_error(
                            faults, line,
                            "cluster_member_ips: may only be empty if there is a [redis] group, where "
                            "hosts can register");
                for (char **host = cluster->members; *host; host++) {
                        const ConfCluster *owner = g_hash_table_lookup(owners, *host);
                        if (owner)
                                conf_faults_warn(faults, line,
                                                 "host \"%s\" is also a member of cluster \"%s\" (line %u)",
                                                 *host, owner->name, owner->line);
                        else
                                g_hash_table_insert(owners, *host, cluster);
                }
        }
}

/* Several clusters on the shared broker that all get the same destination are hardly told apart. */
static void
warn_same_destination(ConfFaults *faults, const Conf *conf, const ConfRoute *route, unsigned line)
{
        unsigned on_shared_broker = 0;
        for (unsigned i = 0; i < conf->clusters->len; i++)
                on_shared_broker += !((ConfCluster *)conf->clusters->pdata[i])->amqp_urls[0];
        if (on_shared_broker > 1)
                conf_faults_warn(
                    faults, line,
                    "destination: is the same for all clusters; did you mean to write {cluster} in it, "
                    "or mode = tag?");
}

static void
check_destination(ConfFaults *faults, const Conf *conf, const ConfRoute *route, bool clusters_known)
{
        bool has_cluster = conf_destination_has(route, "{cluster}"),
             has_host = conf_destination_has(route, "{host}");
        unsigned line = conf_text_route_line(conf->text, route->name, "destination");
        if (conf_is_single_cluster(conf)) {
                if (clusters_known && (has_cluster || has_host))
                        conf_faults_error(
                            faults, line,
                            "destination: %s has no meaning, since this file has no cluster (a group "
                            "with cluster_member_ips) and no [mysql]",
                            has_cluster ? "{cluster}" : "{host}");
        } else if (route->mode == CONF_MODE_TAG && (has_cluster || has_host)) {
                conf_faults_warn(
                    faults, line,
                    "destination: mode = tag is meant for one destination for all, without {cluster} "
                    "and {host}");
        } else if (route->mode == CONF_MODE_REROUTE && !has_cluster && !has_host) {
                warn_same_destination(faults, conf, route, line);
        }
}

static void
check_route(ConfFaults *faults, const Conf *conf, const ConfRoute *route, bool clusters_known)
{
        g_autofree char *name = g_strconcat("route:", route->name, NULL);
        const ConfGroup *group = conf_text_find(conf->text, name);
        const ConfEntry *entry = conf_group_find(group, "cluster_from");
        if (!conf_is_single_cluster(conf) && (!entry || !*entry->value))
                conf_faults_error(
                    faults, entry ? entry->line : route->line,
                    "[%s] needs the key \"cluster_from\", such as cluster_from = header:cluster", name);
        if (route->key)
                check_destination(faults, conf, route, clusters_known);
        if (route->key && route->affinity && !conf_destination_has(route, "{host}"))
                conf_faults_warn(faults, conf_text_line(conf->text, name, "affinity"),
                                 "affinity: has no effect without {host} in the destination");
        if (route->key && !conf_route_has_host_queues(route) && conf_group_find(group, "take_back"))
                conf_faults_warn(faults, conf_text_line(conf->text, name, "take_back"),
                                 "take_back: has no effect unless the destination is queue: with {host}, and "
                                 "without {key} and {exchange}");
        if (route->binds->len == 0 && conf_group_find(group, "bind_exchange"))
                conf_faults_warn(faults, conf_text_line(conf->text, name, "bind_exchange"),
                                 "bind_exchange: has no effect without bind");
}

static void
warn_unused_fields(ConfFaults *faults, const Conf *conf)
{
        for (unsigned i = 0; i < conf->text->groups->len; i++) {
                const ConfGroup *group = conf->text->groups->pdata[i];
                g_autofree char *quoted = conf_quote(group->name);
                if (g_str_has_prefix(group->name, "fields:") && !group->used)
                        conf_faults_warn(faults, group->line, "no route uses %s in its cluster_from", quoted);
        }
}

void
conf_check(ConfFaults *faults, const Conf *conf, bool clusters_known)
{
        check_heartbeat(faults, conf);
        check_tls(faults, conf, "broker", &conf->broker_tls, conf->broker_urls);
        check_tls(faults, conf, "mysql", &conf->mysql_tls, NULL);
        for (unsigned i = 0; i < conf->clusters->len; i++) {
                const ConfCluster *cluster = conf->clusters->pdata[i];
                check_tls(faults, conf, cluster->name, &cluster->tls,
                          cluster->amqp_urls[0] ? cluster->amqp_urls : conf->broker_urls);
        }
        check_references(faults, conf);
        check_aliases(faults, conf);
        check_members(faults, conf);
        for (unsigned i = 0; i < conf->routes->len; i++)
                check_route(faults, conf, conf->routes->pdata[i], clusters_known);
        if (conf->routes->len == 0)
                conf_faults_warn(faults, 0, "no route: a router has nothing to do with this file");
        conf_loop_check(faults, conf);
        warn_unused_fields(faults, conf);
}
