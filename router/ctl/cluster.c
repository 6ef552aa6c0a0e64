/* SPDX-License-Identifier: MIT */
#include "conf/name.h"
#include "router/ctl/config.h"
#include "router/ctl/drain.h"
#include "router/ctl/inventory.h"
#include "router/ctl/nouns.h"
#include "router/ctl/print.h"

#include <stdio.h>
#include <string.h>

static const char *
where_from(const InventoryCluster *cluster)
{
        if (cluster->conf == NULL)
                return "catalogue";
        return cluster->id ? "file, catalogue" : "file";
}

static json_t *
hosts_json(const InventoryCluster *cluster)
{
        json_t *hosts = json_array();

        for (unsigned i = 0; i < cluster->liveness->hosts->len; i++) {
                const LivenessHost *host = cluster->liveness->hosts->pdata[i];
                const char *state = member_state_name(inventory_host_state(cluster, host));

                json_array_append_new(hosts, json_pack("{s:o, s:s, s:b, s:b}", "host",
                                                       print_string(host->name), "state", state, "configured",
                                                       host->configured, "registered", host->registered));
        }
        return hosts;
}

static json_t *
cluster_json(const InventoryCluster *cluster)
{
        json_t *aliases = json_array();

        for (unsigned i = 0; cluster->conf && cluster->conf->aliases && cluster->conf->aliases[i]; i++)
                json_array_append_new(aliases, print_string(cluster->conf->aliases[i]));
        return json_pack(
            "{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:i, s:b, s:b, s:o, s:o, s:o}", "cluster",
            print_string(cluster->liveness->name), "state",
            member_state_name(inventory_cluster_state(cluster)), "reason",
            print_string(cluster->drain_reason), "drain_since", print_string(cluster->drain_since),
            "drain_by", print_string(cluster->drain_by), "drain_to", print_string(cluster->drain_to),
            "hosts_up", cluster->liveness_known ? json_integer(inventory_count_up(cluster)) : json_null(),
            "hosts_total", (int)cluster->liveness->hosts->len, "in_file", cluster->conf != NULL,
            "in_catalogue", cluster->id != 0, "id", cluster->id ? json_integer(cluster->id) : json_null(),
            "aliases", aliases, "hosts", hosts_json(cluster));
}

/* "2 of 3", or "? of 3" if nobody can tell. */
static char *
spell_hosts(const InventoryCluster *cluster)
{
        if (!cluster->liveness_known)
                return g_strdup_printf("? of %u", cluster->liveness->hosts->len);
        return g_strdup_printf("%u of %u", inventory_count_up(cluster), cluster->liveness->hosts->len);
}

static const char *
or_dash(const char *text_or_null)
{
        return text_or_null ? text_or_null : "-";
}

/* --- list --- */

static void
print_list(const Inventory *inventory)
{
        g_autoptr(Table) table =
            table_new("CLUSTER", "STATE", "HOSTS UP", "FROM", "SINCE", "BY", "REASON", NULL);

        for (unsigned i = 0; i < inventory->clusters->len; i++) {
                const InventoryCluster *cluster = inventory->clusters->pdata[i];
                g_autofree char *hosts = spell_hosts(cluster);

                table_add(table, cluster->liveness->name, member_state_name(inventory_cluster_state(cluster)),
                          hosts, where_from(cluster), or_dash(cluster->drain_since),
                          or_dash(cluster->drain_by), or_dash(cluster->drain_reason), NULL);
        }
        table_print(table);
}

static int
list(const Options *options, char **arguments)
{
        g_autoptr(Conf) conf = config_load(options);

        if (conf == NULL)
                return EXIT_CONFIG;

        g_autoptr(Inventory) inventory = inventory_new(conf);
        if (options->json) {
                json_t *rows = json_array();

                for (unsigned i = 0; i < inventory->clusters->len; i++)
                        json_array_append_new(rows, cluster_json(inventory->clusters->pdata[i]));
                print_json(json_pack("{s:o}", "clusters", rows));
        } else {
                print_list(inventory);
        }
        return inventory->catalogue_failed ? EXIT_UNAVAILABLE : EXIT_DONE;
}

/* --- show --- */

static void
print_cluster(const InventoryCluster *cluster)
{
        g_autofree char *up = spell_hosts(cluster);
        g_autofree char *aliases = cluster->conf && cluster->conf->aliases && cluster->conf->aliases[0]
                                       ? g_strjoinv(", ", cluster->conf->aliases)
                                       : g_strdup("-");
        g_autoptr(Table) table = table_new("CLUSTER", cluster->liveness->name, NULL);

        table_add(table, "state", member_state_name(inventory_cluster_state(cluster)), NULL);
        table_add(table, "reason", or_dash(cluster->drain_reason), NULL);
        table_add(table, "drained since", or_dash(cluster->drain_since), NULL);
        table_add(table, "drained by", or_dash(cluster->drain_by), NULL);
        table_add(table, "new messages to", or_dash(cluster->drain_to), NULL);
        table_add(table, "from", where_from(cluster), NULL);
        table_add(table, "aliases", aliases, NULL);
        table_add(table, "hosts up", up, NULL);
        for (unsigned i = 0; i < cluster->liveness->hosts->len; i++) {
                const LivenessHost *host = cluster->liveness->hosts->pdata[i];
                g_autofree char *line = g_strdup_printf(
                    "%s (%s)", host->name, member_state_name(inventory_host_state(cluster, host)));

                table_add(table, "host", line, NULL);
        }
        table_print(table);
}

static int
show(const Options *options, char **arguments)
{
        g_autoptr(Conf) conf = config_load(options);

        if (conf == NULL)
                return EXIT_CONFIG;

        g_autoptr(Inventory) inventory = inventory_new(conf);
        const InventoryCluster *cluster = inventory_find(inventory, arguments[0]);
        if (cluster == NULL && inventory->catalogue_failed)
                return command_fail(EXIT_UNAVAILABLE,
                                    "cluster \"%s\" is not in %s, and the catalogue cannot be "
                                    "asked",
                                    arguments[0], conf->path);
        if (cluster == NULL)
                return command_fail(EXIT_DATA, "no cluster \"%s\"; see clusterctl cluster list",
                                    arguments[0]);
        if (options->json)
                print_json(cluster_json(cluster));
        else
                print_cluster(cluster);
        return inventory->catalogue_failed ? EXIT_UNAVAILABLE : EXIT_DONE;
}

/* --- create and delete --- */

static bool
is_alias(const Conf *conf, const char *name)
{
        for (unsigned i = 0; i < conf->clusters->len; i++) {
                const ConfCluster *cluster = conf->clusters->pdata[i];

                if (cluster->aliases && g_strv_contains((const char *const *)cluster->aliases, name))
                        return true;
        }
        return false;
}

static int
report_change(const Options *options, const char *name, const char *done)
{
        if (options->json)
                print_json(json_pack("{s:o, s:b}", "cluster", print_string(name), done, 1));
        else
                printf("cluster %s %s\n", name, done);
        return EXIT_DONE;
}

static int
create(const Options *options, char **arguments)
{
        g_autoptr(Conf) conf = config_load(options);
        g_autoptr(GError) error = NULL;
        const char *name = arguments[0];
        int64_t id = 0;

        if (conf == NULL)
                return EXIT_CONFIG;
        if (!name_is_cluster(name, strlen(name)))
                return command_fail(EXIT_DATA, "that is no name for a cluster: %s",
                                    name_explain_cluster(name, strlen(name)));
        if (is_alias(conf, name))
                return command_fail(EXIT_DATA, "%s: \"%s\" is an alias of another cluster", conf->path, name);
        if (conf->mysql_url == NULL)
                return command_fail(EXIT_CONFIG,
                                    "%s: there is no catalogue to create it in; add a group [%s] with "
                                    "cluster_member_ips to that file, or a [mysql] group",
                                    conf->path, name);

        g_autoptr(Catalogue) catalogue = inventory_open_catalogue(conf);
        if (catalogue == NULL)
                return EXIT_CONFIG;
        switch (catalogue_create(catalogue, name, &id, &error)) {
        case CATALOGUE_DONE:
                return report_change(options, name, "created");
        case CATALOGUE_EXISTS:
                return command_fail(EXIT_DATA, "the catalogue has a cluster \"%s\" already", name);
        case CATALOGUE_MISSING:
        case CATALOGUE_FAILED:
                break;
        }
        return inventory_fail(conf->mysql_url, error);
}

static int
fail_missing(const Conf *conf, const char *name)
{
        if (conf_find_cluster(conf, name))
                return command_fail(EXIT_DATA,
                                    "cluster \"%s\" stands in the file alone; delete its group from %s and "
                                    "reload the routers",
                                    name, conf->path);
        return command_fail(EXIT_DATA, "no cluster \"%s\"; see clusterctl cluster list", name);
}

static int delete (const Options *options, char **arguments)
{
        g_autoptr(Conf) conf = config_load(options);
        g_autoptr(GError) error = NULL;
        const char *name = arguments[0];

        if (conf == NULL)
                return EXIT_CONFIG;
        if (conf->mysql_url == NULL)
                return command_fail(
                    EXIT_CONFIG,
                    "%s: there is no catalogue to delete from; delete the group [%s] from that "
                    "file, or add a [mysql] group",
                    conf->path, name);

        g_autoptr(Catalogue) catalogue = inventory_open_catalogue(conf);
        if (catalogue == NULL)
                return EXIT_CONFIG;
        switch (catalogue_delete(catalogue, name, &error)) {
        case CATALOGUE_DONE:
                break;
        case CATALOGUE_MISSING:
                return fail_missing(conf, name);
        case CATALOGUE_EXISTS:
        case CATALOGUE_FAILED:
                return inventory_fail(conf->mysql_url, error);
        }
        if (conf_find_cluster(conf, name))
                command_warn("the group [%s] of %s still makes it a cluster", name, conf->path);
        return report_change(options, name, "deleted");
}

#define CLUSTER_JSON                                                                                         \
        "{\"cluster\", \"state\": up|down|drained|unknown, \"reason\", \"drain_since\", \"drain_by\",\n"     \
        "\"drain_to\", \"hosts_up\", \"hosts_total\",\n"                                                     \
        "\"in_file\", \"in_catalogue\", \"id\", \"aliases\",\n"                                              \
        "\"hosts\": [{\"host\", \"state\", \"configured\", \"registered\"}]}"

const Command cluster_commands[] = {
    {"cluster", "list", "", 0, 0, "List all clusters with their state",
     "Those of the configuration file and of the catalogue, with the hosts that are up by redis. Needs no\n"
     "running router. If redis cannot be asked, states are \"unknown\". If the catalogue cannot be read,\n"
     "what is known is printed and the exit status is 69.\n\n"
     "JSON: {\"clusters\": [CLUSTER]}, where CLUSTER is\n" CLUSTER_JSON "\n\n"
     "Example: clusterctl cluster list -o json\n",
     list, NULL},
    {"cluster", "show", "CLUSTER", 1, 1, "Show one cluster with its hosts",
     "If redis or the catalogue cannot be asked: as with cluster list.\n\n"
     "JSON: " CLUSTER_JSON "\n\nExample: clusterctl cluster show east\n",
     show, NULL},
    {"cluster", "create", "CLUSTER", 1, 1, "Create a cluster in the catalogue",
     "Routers know it within [redis] poll; its hosts are those that register. Needs a [mysql] group.\n\n"
     "JSON: {\"cluster\", \"created\": true}\n\n"
     "Example: clusterctl cluster create east\n",
     create, NULL},
    {"cluster", "delete", "CLUSTER", 1, 1, "Delete a cluster from the catalogue",
     "The row stays, marked as deleted; the name may be used again. Messages that name it are unknown from\n"
     "then on. A group of the configuration file is not touched.\n\n"
     "JSON: {\"cluster\", \"deleted\": true}\n\n"
     "Example: clusterctl cluster delete east\n",
     delete, NULL},
    {"cluster", "drain", "CLUSTER", 1, 1, "Take a cluster out: it gets nothing new",
     "Routers obey within [redis] poll: what is new is parked, or with --to goes to another cluster while\n"
     "that one is usable. What was delivered stays where it is. The state is kept in the catalogue (a "
     "cluster\n"
     "of the file alone gets a row there), and holds until \"cluster resume\".\n\n"
     "With --wait: until the cluster's queues are empty and stay so, then a receipt. AMQP does not tell how\n"
     "many messages consumers hold unacknowledged; the receipt says how many consumers there are. Counts "
     "are\n"
     "those of the router asked over HTTP. Exit status 75 if that takes longer than --timeout.\n\n"
     "JSON: {\"cluster\", \"drained\": true, \"receipt\": null or {\"complete\", \"waited_s\", \"in\",\n"
     "\"delivered\", \"parked\", \"remaining\", \"parked_in_queue\", \"consumers\", \"unacknowledged\": "
     "null,\n"
     "\"queues\": [{\"route\", \"queue\", \"ready\", \"consumers\"}], \"notes\": [TEXT]}}\n\n"
     "Example: clusterctl cluster drain east --reason \"new disks\" --to west --wait\n",
     drain_cluster, drain_options},
    {"cluster", "resume", "CLUSTER", 1, 1, "Give a drained cluster its messages again",
     "What was parked meanwhile is delivered first, in order.\n\n"
     "JSON: {\"cluster\", \"resumed\": true}\n\n"
     "Example: clusterctl cluster resume east\n",
     resume_cluster, NULL},
    {0},
};
