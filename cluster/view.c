/* SPDX-License-Identifier: MIT */

/*
 * A view is built once and then only read, so everything a lane asks for per message is worked out here: the
 * hash tables, the joined text of usable hosts for tag mode, and the running sum of usable hosts that turns a
 * weighted choice into one binary search. Strings in the hash tables belong to the clusters of the same view.
 */
#include "cluster/view.h"

#include "cluster/rendezvous.h"

#include <string.h>

/* Longer than any legal name, alias or host name: what does not fit cannot be known. */
enum { KEY_MAX_BYTES = 255 };

static ViewHost *
host_copy(const ViewHost *from)
{
        ViewHost *host = g_new(ViewHost, 1);
        *host = *from;
        host->name = g_strdup(from->name);
        host->name_hash = rendezvous_hash(host->name, strlen(host->name));
        return host;
}

static void
host_free(gpointer data)
{
        ViewHost *host = data;
        g_free(host->name);
        g_free(host);
}

static int
host_compare(gconstpointer a, gconstpointer b)
{
        const ViewHost *const *host_a = a;
        const ViewHost *const *host_b = b;
        return strcmp((*host_a)->name, (*host_b)->name);
}

static char *
join_names(const GPtrArray *hosts)
{
        GString *text = g_string_new(NULL);
        for (guint i = 0; i < hosts->len; i++) {
                const ViewHost *host = g_ptr_array_index(hosts, i);
                if (i > 0)
                        g_string_append_c(text, ',');
                g_string_append(text, host->name);
        }
        return g_string_free(text, FALSE);
}

static ViewCluster *
cluster_new(const ViewInput *input, uint32_t index)
{
        ViewCluster *cluster = g_new0(ViewCluster, 1);
        cluster->name = g_strdup(input->name);
        cluster->index = index;
        cluster->id = input->id;
        cluster->drained = input->drained;
        cluster->drain_reason = g_strdup(input->drain_reason);
        cluster->drain_since = g_strdup(input->drain_since);
        cluster->drain_by = g_strdup(input->drain_by);
        cluster->drain_to = g_strdup(input->drain_to);
        cluster->aliases = input->aliases != NULL ? g_strdupv((GStrv)input->aliases) : g_new0(char *, 1);
        cluster->hosts = g_ptr_array_new_full(input->n_hosts, host_free);
        cluster->usable = g_ptr_array_new();

        for (size_t i = 0; i < input->n_hosts; i++)
                g_ptr_array_add(cluster->hosts, host_copy(&input->hosts[i]));
        g_ptr_array_sort(cluster->hosts, host_compare);

        for (guint i = 0; i < cluster->hosts->len; i++) {
                ViewHost *host = g_ptr_array_index(cluster->hosts, i);
                if (host->usable)
                        g_ptr_array_add(cluster->usable, host);
        }
        cluster->usable_text = join_names(cluster->usable);
        return cluster;
}

static void
cluster_free(gpointer data)
{
        ViewCluster *cluster = data;
        g_free(cluster->name);
        g_free(cluster->drain_reason);
        g_free(cluster->drain_since);
        g_free(cluster->drain_by);
        g_free(cluster->drain_to);
        g_strfreev(cluster->aliases);
        g_ptr_array_unref(cluster->usable);
        g_ptr_array_unref(cluster->hosts);
        g_free(cluster->usable_text);
        g_free(cluster);
}

static bool
same_layout(const View *a, const View *b)
{
        if (a->clusters->len != b->clusters->len)
                return false;
        for (guint i = 0; i < a->clusters->len; i++) {
                const ViewCluster *cluster_a = g_ptr_array_index(a->clusters, i);
                const ViewCluster *cluster_b = g_ptr_array_index(b->clusters, i);
                if (strcmp(cluster_a->name, cluster_b->name) != 0)
                        return false;
        }
        return true;
}

static void
insert_new(GHashTable *table, char *key, ViewCluster *cluster)
{
        if (!g_hash_table_contains(table, key))
                g_hash_table_insert(table, key, cluster);
}

/* All names before any alias: an alias never hides a name, in whatever order they come. */
static void
fill_tables(View *view)
{
        for (guint i = 0; i < view->clusters->len; i++) {
                ViewCluster *cluster = g_ptr_array_index(view->clusters, i);
                insert_new(view->by_name, cluster->name, cluster);
                for (guint j = 0; j < cluster->hosts->len; j++) {
                        ViewHost *host = g_ptr_array_index(cluster->hosts, j);
                        insert_new(view->by_host, host->name, cluster);
                }
        }
        for (guint i = 0; i < view->clusters->len; i++) {
                ViewCluster *cluster = g_ptr_array_index(view->clusters, i);
                for (char **alias = cluster->aliases; *alias != NULL; alias++)
                        insert_new(view->by_name, *alias, cluster);
        }
}

View *
view_new(const ViewInput *inputs, size_t n_inputs, bool single, const View *previous)
{
        View *view = g_new0(View, 1);
        g_atomic_ref_count_init(&view->refs);
        view->single = single;
        view->clusters = g_ptr_array_new_full(n_inputs, cluster_free);
        view->by_name = g_hash_table_new(g_str_hash, g_str_equal);
        view->by_host = g_hash_table_new(g_str_hash, g_str_equal);

        for (size_t i = 0; i < n_inputs; i++) {
                ViewCluster *cluster = cluster_new(&inputs[i], i);
                cluster->usable_before = view->usable_total;
                if (!cluster->drained)
                        view->usable_total += cluster->usable->len;
                g_ptr_array_add(view->clusters, cluster);
        }
        fill_tables(view);

        view->generation = previous != NULL ? previous->generation + 1 : 1;
        view->layout = previous != NULL ? previous->layout : 0;
        if (previous == NULL || !same_layout(view, previous))
                view->layout++;
        return view;
}

View *
view_ref(View *view)
{
        g_atomic_ref_count_inc(&view->refs);
        return view;
}

void
view_unref(View *view)
{
        if (view == NULL || !g_atomic_ref_count_dec(&view->refs))
                return;
        g_hash_table_unref(view->by_name);
        g_hash_table_unref(view->by_host);
        g_ptr_array_unref(view->clusters);
        g_free(view);
}

static bool
hosts_equal(const GPtrArray *a, const GPtrArray *b)
{
        if (a->len != b->len)
                return false;
        for (guint i = 0; i < a->len; i++) {
                const ViewHost *host_a = g_ptr_array_index(a, i);
                const ViewHost *host_b = g_ptr_array_index(b, i);
                if (strcmp(host_a->name, host_b->name) != 0 || host_a->usable != host_b->usable ||
                    host_a->alive != host_b->alive || host_a->drained != host_b->drained ||
                    host_a->configured != host_b->configured ||
                    g_strcmp0(host_a->evidence, host_b->evidence) != 0)
                        return false;
        }
        return true;
}

static bool
cluster_equal(const ViewCluster *a, const ViewCluster *b)
{
        return strcmp(a->name, b->name) == 0 && a->id == b->id && a->drained == b->drained &&
               g_strcmp0(a->drain_reason, b->drain_reason) == 0 &&
               g_strcmp0(a->drain_since, b->drain_since) == 0 && g_strcmp0(a->drain_by, b->drain_by) == 0 &&
               g_strcmp0(a->drain_to, b->drain_to) == 0 &&
               g_strv_equal((const char *const *)a->aliases, (const char *const *)b->aliases) &&
               hosts_equal(a->hosts, b->hosts);
}

bool
view_equal(const View *a, const View *b)
{
        if (a->single != b->single || a->clusters->len != b->clusters->len)
                return false;
        for (guint i = 0; i < a->clusters->len; i++) {
                if (!cluster_equal(g_ptr_array_index(a->clusters, i), g_ptr_array_index(b->clusters, i)))
                        return false;
        }
        return true;
}

static const ViewCluster *
find(GHashTable *table, const char *name, size_t length)
{
        char key[KEY_MAX_BYTES + 1];
        if (length == 0 || length > KEY_MAX_BYTES || memchr(name, '\0', length) != NULL)
                return NULL;
        memcpy(key, name, length);
        key[length] = '\0';
        return g_hash_table_lookup(table, key);
}

const ViewCluster *
view_find(const View *view, const char *name, size_t length)
{
        return find(view->by_name, name, length);
}

const ViewCluster *
view_find_by_host(const View *view, const char *host, size_t length)
{
        return find(view->by_host, host, length);
}

bool
view_cluster_is_usable(const ViewCluster *cluster)
{
        return !cluster->drained && cluster->usable->len > 0;
}

/*
 * The last cluster whose running sum is not above the ticket: a cluster without weight has the same sum as
 * its successor, so it is never the last one.
 */
const ViewCluster *
view_pick(const View *view, uint64_t ticket)
{
        if (view->usable_total == 0)
                return NULL;
        uint64_t nth = ticket % view->usable_total;
        guint low = 0;
        guint high = view->clusters->len;
        while (high - low > 1) {
                guint middle = low + (high - low) / 2;
                const ViewCluster *cluster = g_ptr_array_index(view->clusters, middle);
                if (cluster->usable_before <= nth)
                        low = middle;
                else
                        high = middle;
        }
        return g_ptr_array_index(view->clusters, low);
}
