/* SPDX-License-Identifier: MIT */
#include "cluster/merge.h"

#include "conf/name.h"

#include <string.h>

enum { SHOWN_BYTES = 80 };

/* One cluster and where it comes from; all borrowed. */
typedef struct {
        const char *name;
        const ConfCluster *file;     /* or NULL */
        const CatalogueCluster *row; /* or NULL */
} Source;

static GHashTable *
index_rows(GPtrArray *rows)
{
        GHashTable *by_name = g_hash_table_new(g_str_hash, g_str_equal);
        for (guint i = 0; i < rows->len; i++) {
                CatalogueCluster *row = rows->pdata[i];
                g_hash_table_insert(by_name, row->name, row);
        }
        return by_name;
}

static GHashTable *
index_file(const Conf *conf)
{
        GHashTable *by_name = g_hash_table_new(g_str_hash, g_str_equal);
        for (guint i = 0; i < conf->clusters->len; i++) {
                ConfCluster *cluster = conf->clusters->pdata[i];
                g_hash_table_insert(by_name, cluster->name, cluster);
        }
        return by_name;
}

static GArray *
list_sources(const Conf *conf, GPtrArray *rows)
{
        g_autoptr(GHashTable) row_by_name = index_rows(rows);
        g_autoptr(GHashTable) file_by_name = index_file(conf);
        GArray *sources = g_array_new(FALSE, FALSE, sizeof(Source));
        for (guint i = 0; i < conf->clusters->len; i++) {
                const ConfCluster *cluster = conf->clusters->pdata[i];
                Source source = {cluster->name, cluster, g_hash_table_lookup(row_by_name, cluster->name)};
                g_array_append_val(sources, source);
        }
        for (guint i = 0; i < rows->len; i++) {
                const CatalogueCluster *row = rows->pdata[i];
                Source source = {row->name, NULL, row};
                if (!g_hash_table_contains(file_by_name, row->name))
                        g_array_append_val(sources, source);
        }
        return sources;
}

static void
warn_illegal(const CatalogueCluster *row, GPtrArray *warnings)
{
        g_autofree char *raw = g_strndup(row->name, SHOWN_BYTES);
        g_autofree char *shown = g_strescape(raw, NULL);
        g_ptr_array_add(warnings,
                        g_strdup_printf("catalogue row %" G_GINT64_FORMAT
                                        " is ignored: the name \"%s\" is not legal: %s",
                                        row->id, shown, name_explain_cluster(row->name, strlen(row->name))));
}

GPtrArray *
merge_select_rows(const Conf *conf, GPtrArray *rows, GPtrArray *warnings)
{
        GPtrArray *selected = g_ptr_array_new_with_free_func((GDestroyNotify)catalogue_cluster_free);
        g_autoptr(GHashTable) live = g_hash_table_new(g_str_hash, g_str_equal);
        for (guint i = 0; i < rows->len; i++) {
                const CatalogueCluster *row = rows->pdata[i];
                if (row->deleted)
                        continue;
                if (!name_is_cluster(row->name, strlen(row->name)))
                        warn_illegal(row, warnings);
                else if (!g_hash_table_add(live, row->name))
                        g_ptr_array_add(warnings, g_strdup_printf("catalogue row %" G_GINT64_FORMAT
                                                                  " is ignored: it is the second cluster %s",
                                                                  row->id, row->name));
                else
                        g_ptr_array_add(selected, catalogue_cluster_copy(row));
        }

        g_autoptr(GHashTable) in_file = index_file(conf);
        for (guint i = 0; i < rows->len; i++) {
                const CatalogueCluster *row = rows->pdata[i];
                if (row->deleted && g_hash_table_contains(in_file, row->name) &&
                    !g_hash_table_contains(live, row->name))
                        g_ptr_array_add(
                            warnings, g_strdup_printf("cluster %s is deleted in the catalogue but stands in "
                                                      "%s, so it stays; remove the group to delete it",
                                                      row->name, conf->path));
        }
        return selected;
}

GPtrArray *
merge_questions(const Conf *conf, GPtrArray *rows)
{
        GPtrArray *questions = g_ptr_array_new_with_free_func((GDestroyNotify)liveness_cluster_free);
        g_autoptr(GArray) sources = list_sources(conf, rows);
        for (guint i = 0; i < sources->len; i++) {
                const Source *source = &g_array_index(sources, Source, i);
                const char *const *members =
                    source->file != NULL ? (const char *const *)source->file->members : NULL;
                g_ptr_array_add(questions, liveness_cluster_new(source->name, members));
        }
        return questions;
}

static bool
is_taken_out(const CatalogueCluster *row, const char *host)
{
        for (guint i = 0; row != NULL && i < row->hosts->len; i++) {
                if (strcmp(((const CatalogueHost *)row->hosts->pdata[i])->name, host) == 0)
                        return true;
        }
        return false;
}

static const char *
name_evidence(const DampedHost *host, bool with_redis)
{
        if (!with_redis)
                return host->registered ? "message" : "file";
        switch (host->evidence) {
        case EVIDENCE_SAVED:
                return "saved";
        case EVIDENCE_POLLED:
                return "redis";
        case EVIDENCE_NONE:
                break;
        }
        return "assumed";
}

static GArray *
list_hosts(const Damping *damping, const Source *source, bool with_redis)
{
        GArray *list = g_array_new(FALSE, FALSE, sizeof(ViewHost));
        GHashTable *hosts = damping_hosts(damping, source->name);
        if (hosts == NULL)
                return list;
        GHashTableIter iter;
        gpointer value;
        g_hash_table_iter_init(&iter, hosts);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                const DampedHost *damped = value;
                bool drained = is_taken_out(source->row, damped->name);
                ViewHost host = {.name = damped->name,
                                 .usable = damped->alive && !drained,
                                 .alive = damped->alive,
                                 .drained = drained,
                                 .configured = damped->configured,
                                 .registered = damped->registered,
                                 .since_us = damped->since_us,
                                 .evidence = name_evidence(damped, with_redis)};
                memcpy(host.changes_us, damped->changes_us, sizeof host.changes_us);
                g_array_append_val(list, host);
        }
        return list;
}

static ViewInput
make_input(const Source *source, const GArray *hosts)
{
        bool file_drains = source->file != NULL && source->file->drained;
        bool row_drains = source->row != NULL && source->row->drained;
        CatalogueState none = {0};
        const CatalogueState *state = row_drains ? &source->row->state : &none;
        const char *reason = state->reason;
        if (reason == NULL && file_drains)
                reason = "state = drain in the configuration file";
        return (ViewInput){
            .name = source->name,
            .id = source->row != NULL ? source->row->id : 0,
            .drained = file_drains || row_drains,
            .drain_reason = reason,
            .drain_since = state->since,
            .drain_by = state->by,
            .drain_to = row_drains ? source->row->drain_to : NULL,
            .aliases = source->file != NULL ? (const char *const *)source->file->aliases : NULL,
            .hosts = (const ViewHost *)(void *)hosts->data,
            .n_hosts = hosts->len,
        };
}

View *
merge_view(const Conf *conf, GPtrArray *rows, const Damping *damping, const View *previous)
{
        if (conf_is_single_cluster(conf))
                return view_new(NULL, 0, true, previous);
        g_autoptr(GArray) sources = list_sources(conf, rows);
        g_autoptr(GPtrArray) hosts = g_ptr_array_new_with_free_func((GDestroyNotify)g_array_unref);
        g_autofree ViewInput *inputs = g_new0(ViewInput, sources->len);
        for (guint i = 0; i < sources->len; i++) {
                const Source *source = &g_array_index(sources, Source, i);
                GArray *list = list_hosts(damping, source, conf->redis_url != NULL);
                g_ptr_array_add(hosts, list);
                inputs[i] = make_input(source, list);
        }
        return view_new(inputs, sources->len, false, previous);
}
