/* SPDX-License-Identifier: MIT */
/*
 * The router's registry does the same for ever and keeps the last good answer; this looks once and says what
 * it could not see.
 */
#include "router/ctl/inventory.h"

#include "conf/name.h"
#include "router/ctl/command.h"

#include <string.h>

static void
cluster_free(gpointer data)
{
        InventoryCluster *cluster = data;

        liveness_cluster_free(cluster->liveness);
        g_free(cluster->drain_reason);
        g_free(cluster->drain_since);
        g_free(cluster->drain_by);
        g_free(cluster->drain_to);
        g_clear_pointer(&cluster->drained_hosts, g_ptr_array_unref);
        g_free(cluster);
}

void
inventory_free(Inventory *inventory)
{
        if (inventory == NULL)
                return;
        g_ptr_array_unref(inventory->clusters);
        g_free(inventory);
}

static InventoryCluster *
find(const Inventory *inventory, const char *name)
{
        for (unsigned i = 0; i < inventory->clusters->len; i++) {
                InventoryCluster *cluster = inventory->clusters->pdata[i];

                if (strcmp(cluster->liveness->name, name) == 0)
                        return cluster;
        }
        return NULL;
}

const InventoryCluster *
inventory_find(const Inventory *inventory, const char *name)
{
        return find(inventory, name);
}

static InventoryCluster *
add(Inventory *inventory, const char *name, const ConfCluster *conf)
{
        InventoryCluster *cluster = g_new0(InventoryCluster, 1);

        cluster->conf = conf;
        cluster->drained = conf && conf->drained;
        cluster->liveness = liveness_cluster_new(name, conf ? (const char *const *)conf->members : NULL);
        g_ptr_array_add(inventory->clusters, cluster);
        return cluster;
}

/* --- where it comes from --- */

int
inventory_fail(const char *url, const GError *error)
{
        g_autofree char *masked = conf_mask_url(url);

        return command_fail(EXIT_UNAVAILABLE, "%s: %s", masked, error->message);
}

static void
read_file(Inventory *inventory, const Conf *conf)
{
        for (unsigned i = 0; i < conf->clusters->len; i++) {
                const ConfCluster *cluster = conf->clusters->pdata[i];

                add(inventory, cluster->name, cluster);
        }
}

Catalogue *
inventory_open_catalogue(const Conf *conf)
{
        g_autoptr(GError) error = NULL;

        if (conf->mysql_url == NULL) {
                command_warn("%s: there is no catalogue; add a [mysql] group with its url", conf->path);
                return NULL;
        }
        Catalogue *catalogue =
            catalogue_new(conf->mysql_url, conf->mysql_timeout_ms, &conf->mysql_tls, &error);
        if (catalogue == NULL)
                command_warn("%s: [mysql] url: %s", conf->path, error->message);
        return catalogue;
}

/* Its clusters that are not deleted, as an array of CatalogueCluster *; NULL after saying why not. */
static GPtrArray *
list_catalogue(const Conf *conf)
{
        g_autoptr(GError) error = NULL;
        g_autoptr(Catalogue) catalogue = inventory_open_catalogue(conf);
        GPtrArray *rows = catalogue ? catalogue_list(catalogue, false, &error) : NULL;

        if (catalogue && rows == NULL)
                inventory_fail(conf->mysql_url, error);
        return rows;
}

static void
add_row(Inventory *inventory, const CatalogueCluster *row)
{
        InventoryCluster *cluster = find(inventory, row->name);

        if (!name_is_cluster(row->name, strlen(row->name))) {
                command_warn("the catalogue has a cluster with an illegal name, id %" G_GINT64_FORMAT,
                             row->id);
                return;
        }
        if (cluster == NULL)
                cluster = add(inventory, row->name, NULL);
        cluster->id = row->id;
        cluster->drained = cluster->drained || row->drained;
        cluster->drained_hosts = g_ptr_array_ref(row->hosts);
        if (!row->drained)
                return;
        cluster->drain_reason = g_strdup(row->state.reason);
        cluster->drain_since = g_strdup(row->state.since);
        cluster->drain_by = g_strdup(row->state.by);
        cluster->drain_to = g_strdup(row->drain_to);
}

static bool
read_catalogue(Inventory *inventory, const Conf *conf)
{
        if (conf->mysql_url == NULL)
                return true;
        g_autoptr(GPtrArray) rows = list_catalogue(conf);
        if (rows == NULL) {
                command_warn("the catalogue cannot be read, so clusters may be missing");
                return false;
        }
        for (unsigned i = 0; i < rows->len; i++)
                add_row(inventory, rows->pdata[i]);
        return true;
}

int
inventory_check_cluster(const Conf *conf, const char *name)
{
        g_autoptr(GPtrArray) rows = NULL;

        if (conf_find_cluster(conf, name))
                return EXIT_DONE;
        if (conf->mysql_url && (rows = list_catalogue(conf)) == NULL)
                return EXIT_UNAVAILABLE;
        for (unsigned i = 0; rows && i < rows->len; i++)
                if (strcmp(((CatalogueCluster *)rows->pdata[i])->name, name) == 0)
                        return EXIT_DONE;
        return command_fail(EXIT_DATA, "no cluster \"%s\"; see clusterctl cluster list", name);
}

static bool
ask_redis(const Conf *conf, GPtrArray *clusters)
{
        g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GError) error = NULL;
        g_autoptr(Liveness) liveness = liveness_new(conf->redis_url, conf->redis_timeout_ms, &error);
        bool fine = liveness && liveness_check_hosts(liveness, clusters, warnings, &error);

        for (unsigned i = 0; i < warnings->len; i++)
                command_warn("%s", (const char *)warnings->pdata[i]);
        if (fine)
                return true;
        inventory_fail(conf->redis_url, error);
        command_warn("which hosts are up is unknown");
        return false;
}

/* Without redis every member of the file counts as alive. */
static void
believe_all(InventoryCluster *cluster)
{
        cluster->liveness_known = true;
        for (unsigned i = 0; i < cluster->liveness->hosts->len; i++)
                ((LivenessHost *)cluster->liveness->hosts->pdata[i])->alive = true;
}

static bool
read_liveness(Inventory *inventory, const Conf *conf)
{
        g_autoptr(GPtrArray) clusters = g_ptr_array_new();

        if (conf->redis_url == NULL) {
                for (unsigned i = 0; i < inventory->clusters->len; i++)
                        believe_all(inventory->clusters->pdata[i]);
                return true;
        }
        for (unsigned i = 0; i < inventory->clusters->len; i++)
                g_ptr_array_add(clusters, ((InventoryCluster *)inventory->clusters->pdata[i])->liveness);
        if (!ask_redis(conf, clusters))
                return false;
        for (unsigned i = 0; i < inventory->clusters->len; i++) {
                InventoryCluster *cluster = inventory->clusters->pdata[i];

                cluster->liveness_known = cluster->liveness->known;
        }
        return true;
}

Inventory *
inventory_new(const Conf *conf)
{
        Inventory *inventory = g_new0(Inventory, 1);

        inventory->clusters = g_ptr_array_new_with_free_func(cluster_free);
        read_file(inventory, conf);
        inventory->catalogue_failed = !read_catalogue(inventory, conf);
        inventory->liveness_failed = !read_liveness(inventory, conf);
        return inventory;
}

/* --- states --- */

const char *
member_state_name(MemberState state)
{
        switch (state) {
        case MEMBER_UP:
                return "up";
        case MEMBER_DOWN:
                return "down";
        case MEMBER_DRAINED:
                return "drained";
        case MEMBER_UNKNOWN:
                break;
        }
        return "unknown";
}

const CatalogueHost *
inventory_drained_host(const InventoryCluster *cluster, const char *host)
{
        for (unsigned i = 0; cluster->drained_hosts && i < cluster->drained_hosts->len; i++) {
                const CatalogueHost *drained = cluster->drained_hosts->pdata[i];

                if (strcmp(drained->name, host) == 0)
                        return drained;
        }
        return NULL;
}

unsigned
inventory_count_up(const InventoryCluster *cluster)
{
        unsigned up = 0;

        for (unsigned i = 0; i < cluster->liveness->hosts->len; i++)
                up += inventory_host_state(cluster, cluster->liveness->hosts->pdata[i]) == MEMBER_UP;
        return up;
}

MemberState
inventory_cluster_state(const InventoryCluster *cluster)
{
        if (cluster->drained)
                return MEMBER_DRAINED;
        if (!cluster->liveness_known)
                return MEMBER_UNKNOWN;
        return inventory_count_up(cluster) ? MEMBER_UP : MEMBER_DOWN;
}

MemberState
inventory_host_state(const InventoryCluster *cluster, const LivenessHost *host)
{
        if (!cluster->liveness_known)
                return MEMBER_UNKNOWN;
        if (host->alive && inventory_drained_host(cluster, host->name))
                return MEMBER_DRAINED;
        return host->alive ? MEMBER_UP : MEMBER_DOWN;
}
