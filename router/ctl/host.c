/* SPDX-License-Identifier: MIT */
#include "cluster/redis_link.h"
#include "conf/name.h"
#include "router/ctl/api.h"
#include "router/ctl/config.h"
#include "router/ctl/drain.h"
#include "router/ctl/inventory.h"
#include "router/ctl/nouns.h"
#include "router/ctl/print.h"

#include <stdio.h>
#include <string.h>

/* --- list --- */

typedef struct {
        Table *table;
        json_t *rows;
        const Conf *conf;
        GHashTable *known; /* cluster -> its hosts as /api/v1/clusters has them; empty if no router answers */
} Listing;

/* What only a router knows, who has looked for longer. */
static const char *const known_keys[] = {"since_s", "flaps_last_hour", "evidence"};

/* What the router knows of that host, or NULL. */
static const json_t *
find_known(const json_t *hosts, const char *host)
{
        const json_t *known;
        size_t i;

        json_array_foreach(hosts, i, known)
        {
                if (g_strcmp0(json_string_value(json_object_get(known, "host")), host) == 0)
                        return known;
        }
        return NULL;
}

static json_t *
seconds(int64_t ms)
{
        return ms < 0 ? json_null() : json_real((double)ms / 1000);
}

static json_t *
drain_json(const CatalogueHost *drained)
{
        if (drained == NULL)
                return json_null();
        return json_pack("{s:o, s:o, s:o}", "reason", print_string(drained->state.reason), "since",
                         print_string(drained->state.since), "by", print_string(drained->state.by));
}

static json_t *
host_json(const Listing *listing, const InventoryCluster *cluster, const LivenessHost *host)
{
        const char *name = cluster->liveness->name;
        const json_t *known = find_known(g_hash_table_lookup(listing->known, name), host->name);
        int64_t ttl_ms = cluster->liveness_known && host->alive ? host->ttl_ms : -1;
        int64_t age_ms = ttl_ms < 0 ? -1 : MAX(listing->conf->heartbeat_ttl_ms - ttl_ms, 0);
        json_t *row =
            json_pack("{s:o, s:o, s:s, s:o, s:o, s:b, s:b, s:o}", "host", print_string(host->name), "cluster",
                      print_string(name), "state", member_state_name(inventory_host_state(cluster, host)),
                      "heartbeat_age_s", seconds(age_ms), "ttl_s", seconds(ttl_ms), "configured",
                      host->configured, "registered", host->registered, "drained",
                      drain_json(inventory_drained_host(cluster, host->name)));

        for (size_t i = 0; i < G_N_ELEMENTS(known_keys); i++) {
                json_t *value = json_object_get(known, known_keys[i]);

                json_object_set_new(row, known_keys[i], value ? json_incref(value) : json_null());
        }
        return row;
}

static void
list_host(Listing *listing, const InventoryCluster *cluster, const LivenessHost *host)
{
        json_t *row = host_json(listing, cluster, host);
        const CatalogueHost *drained = inventory_drained_host(cluster, host->name);
        const char *origin = !host->registered ? "file" : host->configured ? "file, agent" : "agent";
        g_autofree char *age = print_member(row, "heartbeat_age_s");
        g_autofree char *ttl = print_member(row, "ttl_s");
        g_autofree char *since = print_member(row, "since_s");
        g_autofree char *flaps = print_member(row, "flaps_last_hour");
        g_autofree char *evidence = print_member(row, "evidence");

        table_add(listing->table, host->name, cluster->liveness->name,
                  json_string_value(json_object_get(row, "state")), age, ttl, since, flaps, origin, evidence,
                  drained && drained->state.reason ? drained->state.reason : "-", NULL);
        json_array_append_new(listing->rows, row);
}

static void
list_cluster(Listing *listing, const InventoryCluster *cluster)
{
        for (unsigned i = 0; i < cluster->liveness->hosts->len; i++)
                list_host(listing, cluster, cluster->liveness->hosts->pdata[i]);
}

static GHashTable *
index_known(const json_t *document)
{
        GHashTable *known = g_hash_table_new(g_str_hash, g_str_equal);
        const json_t *row;
        size_t i;

        json_array_foreach(json_object_get(document, "clusters"), i, row)
        {
                const char *name = json_string_value(json_object_get(row, "cluster"));

                if (name)
                        g_hash_table_insert(known, (char *)name, json_object_get(row, "hosts"));
        }
        return known;
}

static void
print_listing(const Options *options, const Conf *conf, const Inventory *inventory,
              const InventoryCluster *only)
{
        g_autoptr(Table) table = table_new("HOST", "CLUSTER", "STATE", "AGE", "TTL", "SINCE", "FLAPS", "FROM",
                                           "EVIDENCE", "DRAINED", NULL);
        json_t *document = json_pack("{s:[]}", "hosts");
        g_autofree char *error = NULL;
        int status;
        json_t *answer = conf->http_address ? api_ask(conf, "/api/v1/clusters", &status, &error) : NULL;
        g_autoptr(GHashTable) known = index_known(answer);
        Listing listing = {table, json_object_get(document, "hosts"), conf, known};

        for (unsigned i = 0; i < inventory->clusters->len; i++)
                if (only == NULL || only == inventory->clusters->pdata[i])
                        list_cluster(&listing, inventory->clusters->pdata[i]);
        json_decref(answer);
        if (options->json) {
                print_json(document);
                return;
        }
        table_print(table);
        json_decref(document);
}

static int
list(const Options *options, char **arguments)
{
        g_autoptr(Conf) conf = config_load(options);
        const InventoryCluster *only = NULL;

        if (conf == NULL)
                return EXIT_CONFIG;

        g_autoptr(Inventory) inventory = inventory_new(conf);
        bool complete = !inventory->liveness_failed && !inventory->catalogue_failed;
        if (arguments[0]) {
                only = inventory_find(inventory, arguments[0]);
                if (only == NULL)
                        return command_fail(inventory->catalogue_failed ? EXIT_UNAVAILABLE : EXIT_DATA,
                                            "no cluster \"%s\" is known; see clusterctl cluster list",
                                            arguments[0]);
        }
        print_listing(options, conf, inventory, only);
        return complete ? EXIT_DONE : EXIT_UNAVAILABLE;
}

/* --- add and remove --- */

/* EXIT_DONE if both names are legal, the cluster is known and redis is configured. */
static int
check_names(const Conf *conf, const char *cluster, const char *host)
{
        if (!name_is_host(host, strlen(host)))
                return command_fail(EXIT_DATA, "that is no name for a host: %s",
                                    name_explain_host(host, strlen(host)));
        if (!name_is_cluster(cluster, strlen(cluster)))
                return command_fail(EXIT_DATA, "that is no name for a cluster: %s",
                                    name_explain_cluster(cluster, strlen(cluster)));
        if (conf->redis_url == NULL)
                return command_fail(EXIT_CONFIG,
                                    "%s: hosts register in redis, and there is none; change "
                                    "cluster_member_ips of [%s] in that file, or add a [redis] group",
                                    conf->path, cluster);

        return inventory_check_cluster(conf, cluster);
}

static bool
is_in_file(const Conf *conf, const char *cluster, const char *host)
{
        const ConfCluster *known = conf_find_cluster(conf, cluster);

        return known && g_strv_contains((const char *const *)known->members, host);
}

/* Registers without a heartbeat: the host is a member, and down until its agent beats. */
static bool
register_host(const Conf *conf, const char *cluster, const char *host, GError **error)
{
        g_autoptr(RedisLink) link = redis_link_new(conf->redis_url, conf->redis_timeout_ms, error);

        if (link == NULL || !redis_link_open(link, error))
                return false;
        redis_link_send(link, "SADD %s_set %s", cluster, host);
        g_autoptr(redisReply) reply = redis_link_receive(link, error);
        if (reply == NULL)
                return false;
        if (reply->type != REDIS_REPLY_ERROR)
                return true;
        g_set_error(error, g_quark_from_static_string("redis"), 0, "redis refuses: %s", reply->str);
        return false;
}

static int
report_change(const Options *options, const char *cluster, const char *host, const char *done)
{
        if (options->json)
                print_json(json_pack("{s:o, s:o, s:b}", "host", print_string(host), "cluster",
                                     print_string(cluster), done, 1));
        else
                printf("host %s of cluster %s %s\n", host, cluster, done);
        return EXIT_DONE;
}

static int
add(const Options *options, char **arguments)
{
        g_autoptr(Conf) conf = config_load(options);
        g_autoptr(GError) error = NULL;
        int status = conf ? check_names(conf, arguments[0], arguments[1]) : EXIT_CONFIG;

        if (status != EXIT_DONE)
                return status;
        if (!register_host(conf, arguments[0], arguments[1], &error))
                return inventory_fail(conf->redis_url, error);
        return report_change(options, arguments[0], arguments[1], "added");
}

static int
remove_host(const Options *options, char **arguments)
{
        g_autoptr(Conf) conf = config_load(options);
        g_autoptr(GError) error = NULL;
        int status = conf ? check_names(conf, arguments[0], arguments[1]) : EXIT_CONFIG;

        if (status != EXIT_DONE)
                return status;
        g_autoptr(Liveness) liveness = liveness_new(conf->redis_url, conf->redis_timeout_ms, &error);
        if (!liveness || !liveness_goodbye(liveness, arguments[0], arguments[1], &error))
                return inventory_fail(conf->redis_url, error);
        if (is_in_file(conf, arguments[0], arguments[1]))
                command_warn("%s still lists it among cluster_member_ips of [%s]", conf->path, arguments[0]);
        return report_change(options, arguments[0], arguments[1], "removed");
}

const Command host_commands[] = {
    {"host", "list", "[CLUSTER]", 0, 1, "List hosts with their state",
     "Those of the configuration file and those registered in redis. Times are in seconds: AGE of the last\n"
     "heartbeat, TTL until it expires, SINCE the state changed. FLAPS counts the changes of the last hour, "
     "up\n"
     "to 8. EVIDENCE says what the router believes: redis, saved (the view of an earlier run), assumed,\n"
     "file, message. SINCE, FLAPS and EVIDENCE come from the router at [http] "
     "listen,\n"
     "\"-\" if none answers. If redis or the catalogue cannot be asked, what is known is printed and the "
     "exit\n"
     "status is 69.\n\n"
     "JSON: {\"hosts\": [{\"host\", \"cluster\", \"state\": up|down|drained|unknown, \"heartbeat_age_s\",\n"
     "\"ttl_s\", \"configured\", \"registered\", \"drained\": null or {\"reason\", \"since\", \"by\"}, "
     "\"since_s\",\n"
     "\"flaps_last_hour\", \"evidence\"}]}\n\n"
     "Example: clusterctl host list east\n",
     list, NULL},
    {"host", "add", "CLUSTER HOST", 2, 2, "Register a host in redis",
     "It is a member from then on, and down until its agent sends a heartbeat.\n\n"
     "JSON: {\"host\", \"cluster\", \"added\": true}\n\n"
     "Example: clusterctl host add east 10.0.0.13\n",
     add, NULL},
    {"host", "remove", "CLUSTER HOST", 2, 2, "Remove a host and its heartbeat from redis",
     "An agent that still runs on it registers it again. A host that the configuration file lists stays a\n"
     "member, without a heartbeat.\n\n"
     "JSON: {\"host\", \"cluster\", \"removed\": true}\n\n"
     "Example: clusterctl host remove east 10.0.0.13\n",
     remove_host, NULL},
    {"host", "drain", "CLUSTER HOST", 2, 2, "Take one host out of the usable ones",
     "Routers obey within [redis] poll, whatever its heartbeat says. Kept in the catalogue.\n\n"
     "JSON: {\"host\", \"cluster\", \"drained\": true}\n\n"
     "Example: clusterctl host drain east 10.0.0.13 --reason \"new disks\"\n",
     drain_host, drain_host_options},
    {"host", "resume", "CLUSTER HOST", 2, 2, "Let a drained host be usable again",
     "JSON: {\"host\", \"cluster\", \"resumed\": true}\n\n"
     "Example: clusterctl host resume east 10.0.0.13\n",
     resume_host, NULL},
    {0},
};
