/* SPDX-License-Identifier: MIT */
#include "cluster/saved_view.h"

#include "conf/name.h"

#include <string.h>

/* ":" is in no cluster name, so "view" and "cluster:view" are different groups. */
static const char HEAD[] = "view";
static const char CLUSTER_PREFIX[] = "cluster:";
static const char HOST_LISTS[][12] = {"alive", "dead"};
static const char DRAINED_HOSTS[] = "drained_hosts"; /* of those in the two lists */

static void
set_text(GKeyFile *file, const char *group, const char *key, const char *text_or_null)
{
        if (text_or_null != NULL)
                g_key_file_set_string(file, group, key, text_or_null);
}

static void
set_drained_hosts(GKeyFile *file, const char *group, const ViewCluster *cluster)
{
        g_autoptr(GPtrArray) names = g_ptr_array_new();
        for (guint i = 0; i < cluster->hosts->len; i++) {
                const ViewHost *host = cluster->hosts->pdata[i];
                if (host->drained)
                        g_ptr_array_add(names, host->name);
        }
        if (names->len > 0)
                g_key_file_set_string_list(file, group, DRAINED_HOSTS, (const char *const *)names->pdata,
                                           names->len);
}

static void
set_hosts(GKeyFile *file, const char *group, const char *key, const ViewCluster *cluster, bool alive)
{
        g_autoptr(GPtrArray) names = g_ptr_array_new();
        for (guint i = 0; i < cluster->hosts->len; i++) {
                const ViewHost *host = cluster->hosts->pdata[i];
                if (host->alive == alive)
                        g_ptr_array_add(names, host->name);
        }
        if (names->len > 0)
                g_key_file_set_string_list(file, group, key, (const char *const *)names->pdata, names->len);
}

char *
saved_view_format(const View *view, const char *run_id)
{
        g_autoptr(GKeyFile) file = g_key_file_new();
        g_key_file_set_integer(file, HEAD, "format", 1);
        g_key_file_set_string(file, HEAD, "redis_run_id", run_id);
        for (guint i = 0; i < view->clusters->len; i++) {
                const ViewCluster *cluster = view->clusters->pdata[i];
                g_autofree char *group = g_strconcat(CLUSTER_PREFIX, cluster->name, NULL);
                g_key_file_set_int64(file, group, "id", cluster->id);
                g_key_file_set_boolean(file, group, "drained", cluster->drained);
                set_text(file, group, "drain_reason", cluster->drain_reason);
                set_text(file, group, "drain_since", cluster->drain_since);
                set_text(file, group, "drain_by", cluster->drain_by);
                set_text(file, group, "drain_to", cluster->drain_to);
                set_hosts(file, group, HOST_LISTS[0], cluster, true);
                set_hosts(file, group, HOST_LISTS[1], cluster, false);
                set_drained_hosts(file, group, cluster);
        }
        return g_key_file_to_data(file, NULL, NULL);
}

bool
saved_view_write(const char *path, const char *text, GError **error)
{
        g_autofree char *directory = g_path_get_dirname(path);
        /* If this fails, so does writing, and with a better text. */
        g_mkdir_with_parents(directory, 0700);
        return g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, error);
}

static void
read_hosts(GKeyFile *file, const char *group, const char *key, bool alive, GArray *hosts)
{
        g_auto(GStrv) names = g_key_file_get_string_list(file, group, key, NULL, NULL);
        g_auto(GStrv) drained = g_key_file_get_string_list(file, group, DRAINED_HOSTS, NULL, NULL);
        for (char **name = names; name != NULL && *name != NULL; name++) {
                ViewHost host = {.alive = alive, .usable = alive};
                if (!name_is_host(*name, strlen(*name)))
                        continue;
                host.drained = drained != NULL && g_strv_contains((const char *const *)drained, *name);
                host.usable = alive && !host.drained;
                host.name = g_strdup(*name);
                g_array_append_val(hosts, host);
        }
}

static void
clear_host(gpointer data)
{
        g_free(((ViewHost *)data)->name);
}

/* What an input borrows until the view is made. */
typedef struct {
        GArray *hosts;
        char *drain_reason;
        char *drain_since;
        char *drain_by;
        char *drain_to;
} Loan;

static void
clear_loan(gpointer data)
{
        Loan *loan = data;
        g_array_unref(loan->hosts);
        g_free(loan->drain_reason);
        g_free(loan->drain_since);
        g_free(loan->drain_by);
        g_free(loan->drain_to);
}

static ViewInput
read_cluster(GKeyFile *file, const char *group, Loan *out_loan)
{
        out_loan->hosts = g_array_new(FALSE, FALSE, sizeof(ViewHost));
        g_array_set_clear_func(out_loan->hosts, clear_host);
        for (size_t i = 0; i < G_N_ELEMENTS(HOST_LISTS); i++)
                read_hosts(file, group, HOST_LISTS[i], i == 0, out_loan->hosts);
        out_loan->drain_reason = g_key_file_get_string(file, group, "drain_reason", NULL);
        out_loan->drain_since = g_key_file_get_string(file, group, "drain_since", NULL);
        out_loan->drain_by = g_key_file_get_string(file, group, "drain_by", NULL);
        out_loan->drain_to = g_key_file_get_string(file, group, "drain_to", NULL);
        return (ViewInput){
            .name = group + strlen(CLUSTER_PREFIX),
            .id = g_key_file_get_int64(file, group, "id", NULL),
            .drained = g_key_file_get_boolean(file, group, "drained", NULL),
            .drain_reason = out_loan->drain_reason,
            .drain_since = out_loan->drain_since,
            .drain_by = out_loan->drain_by,
            .drain_to = out_loan->drain_to,
            .hosts = (const ViewHost *)(void *)out_loan->hosts->data,
            .n_hosts = out_loan->hosts->len,
        };
}

static View *
read_clusters(GKeyFile *file)
{
        gsize n_groups;
        g_auto(GStrv) groups = g_key_file_get_groups(file, &n_groups);
        g_autoptr(GArray) loans = g_array_sized_new(FALSE, FALSE, sizeof(Loan), n_groups);
        g_autofree ViewInput *inputs = g_new0(ViewInput, n_groups);
        size_t n_inputs = 0;
        g_array_set_clear_func(loans, clear_loan);
        for (gsize i = 0; i < n_groups; i++) {
                size_t prefix = strlen(CLUSTER_PREFIX);
                Loan loan;
                if (!g_str_has_prefix(groups[i], CLUSTER_PREFIX) ||
                    !name_is_cluster(groups[i] + prefix, strlen(groups[i] + prefix)))
                        continue;
                inputs[n_inputs++] = read_cluster(file, groups[i], &loan);
                g_array_append_val(loans, loan);
        }
        return view_new(inputs, n_inputs, false, NULL);
}

View *
saved_view_read(const char *path, char **out_run_id, GError **error)
{
        g_autoptr(GKeyFile) file = g_key_file_new();
        g_autoptr(GError) failure = NULL;
        if (!g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, &failure)) {
                if (!g_error_matches(failure, G_FILE_ERROR, G_FILE_ERROR_NOENT))
                        g_propagate_error(error, g_steal_pointer(&failure));
                return NULL;
        }
        if (g_key_file_get_integer(file, HEAD, "format", NULL) != 1) {
                g_set_error(error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_PARSE,
                            "not a saved view of this version");
                return NULL;
        }
        g_autofree char *run_id = g_key_file_get_string(file, HEAD, "redis_run_id", NULL);
        *out_run_id = run_id != NULL ? g_steal_pointer(&run_id) : g_strdup("");
        return read_clusters(file);
}
