/* SPDX-License-Identifier: MIT */
#include "cluster/catalogue.h"

static void
state_clear(CatalogueState *state)
{
        g_free(state->reason);
        g_free(state->since);
        g_free(state->by);
}

static CatalogueState
state_copy(const CatalogueState *state)
{
        return (CatalogueState){g_strdup(state->reason), g_strdup(state->since), g_strdup(state->by)};
}

static void
host_free(gpointer data)
{
        CatalogueHost *host = data;
        g_free(host->name);
        state_clear(&host->state);
        g_free(host);
}

CatalogueCluster *
catalogue_cluster_new(int64_t id, const char *name)
{
        CatalogueCluster *cluster = g_new0(CatalogueCluster, 1);
        cluster->id = id;
        cluster->name = g_strdup(name);
        cluster->hosts = g_ptr_array_new_with_free_func(host_free);
        return cluster;
}

void
catalogue_add_host(CatalogueCluster *cluster, const char *host, const CatalogueState *state)
{
        CatalogueHost *copy = g_new0(CatalogueHost, 1);
        copy->name = g_strdup(host);
        copy->state = state_copy(state);
        g_ptr_array_add(cluster->hosts, copy);
}

CatalogueCluster *
catalogue_cluster_copy(const CatalogueCluster *from)
{
        CatalogueCluster *cluster = catalogue_cluster_new(from->id, from->name);
        cluster->deleted = from->deleted;
        cluster->drained = from->drained;
        cluster->state = state_copy(&from->state);
        cluster->drain_to = g_strdup(from->drain_to);
        cluster->created_at = g_strdup(from->created_at);
        cluster->deleted_at = g_strdup(from->deleted_at);
        for (guint i = 0; i < from->hosts->len; i++) {
                const CatalogueHost *host = from->hosts->pdata[i];
                catalogue_add_host(cluster, host->name, &host->state);
        }
        return cluster;
}

void
catalogue_cluster_free(CatalogueCluster *cluster)
{
        if (cluster == NULL)
                return;
        g_free(cluster->name);
        state_clear(&cluster->state);
        g_free(cluster->drain_to);
        g_ptr_array_unref(cluster->hosts);
        g_free(cluster->created_at);
        g_free(cluster->deleted_at);
        g_free(cluster);
}
