/* SPDX-License-Identifier: MIT */

/*
 * Everything known stands under one lock: the configuration, the last good catalogue, what is believed about
 * hosts. Making a view of it is quick and asks nobody, so a reload does it in its caller's thread. The view
 * in force has a small lock of its own: who reads it never waits for a merge. Asking is the business of
 * registry_thread.c.
 */
#include "cluster/merge.h"
#include "cluster/registry_private.h"
#include "cluster/saved_view.h"
#include "conf/trouble.h"

#include <string.h>

/* NULL before the first view. */
static View *
current_view(Registry *registry)
{
        g_mutex_lock(&registry->view_lock);
        View *view = registry->view != NULL ? view_ref(registry->view) : NULL;
        g_mutex_unlock(&registry->view_lock);
        return view;
}

View *
registry_get_view(Registry *registry)
{
        return current_view(registry);
}

void
registry_publish(Registry *registry)
{
        g_autoptr(View) old = current_view(registry);
        g_autoptr(View) next = merge_view(registry->conf, registry->rows, registry->damping, old);
        registry->status.frozen = damping_is_frozen(registry->damping);
        if (registry->conf->redis_url == NULL)
                registry->status.view_checked_us = g_get_monotonic_time();
        if (old != NULL && view_equal(old, next))
                return;
        g_mutex_lock(&registry->view_lock);
        View *replaced = registry->view;
        registry->view = view_ref(next);
        g_mutex_unlock(&registry->view_lock);
        atomic_store(&registry->generation, next->generation);
        view_unref(replaced);
        g_cond_signal(&registry->wake);
}

/* Under the lock: the members of the file as they are now; nobody has been asked yet. */
static void
set_file_members(Registry *registry, bool new_are_alive)
{
        const Conf *conf = registry->conf;
        for (guint i = 0; i < conf->clusters->len; i++) {
                const ConfCluster *cluster = conf->clusters->pdata[i];
                damping_set_members(registry->damping, cluster->name, (const char *const *)cluster->members,
                                    new_are_alive, g_get_monotonic_time());
        }
}

char *
registry_saved_path(const Conf *conf)
{
        return conf->state_dir != NULL ? g_build_filename(conf->state_dir, "last-view", NULL) : NULL;
}

static CatalogueCluster *
restore_row(const ViewCluster *cluster)
{
        CatalogueCluster *row = catalogue_cluster_new(cluster->id, cluster->name);
        row->drained = cluster->drained;
        row->state = (CatalogueState){g_strdup(cluster->drain_reason), g_strdup(cluster->drain_since),
                                      g_strdup(cluster->drain_by)};
        row->drain_to = g_strdup(cluster->drain_to);
        for (guint i = 0; i < cluster->hosts->len; i++) {
                const ViewHost *host = cluster->hosts->pdata[i];
                CatalogueState unknown = {0};
                if (host->drained)
                        catalogue_add_host(row, host->name, &unknown);
        }
        return row;
}

/* The hosts and catalogue rows of the saved view, in place of what nobody has told yet. */
static void
restore_view(Registry *registry, const View *saved)
{
        int64_t now_us = g_get_monotonic_time();
        for (guint i = 0; i < saved->clusters->len; i++) {
                const ViewCluster *cluster = saved->clusters->pdata[i];
                for (guint j = 0; registry->conf->redis_url != NULL && j < cluster->hosts->len; j++) {
                        const ViewHost *host = cluster->hosts->pdata[j];
                        damping_restore(registry->damping, cluster->name, host->name, host->alive, now_us);
                }
                if (cluster->id == 0 || registry->conf->mysql_url == NULL)
                        continue;
                g_ptr_array_add(registry->rows, restore_row(cluster));
        }
}

static void
load_saved_view(Registry *registry)
{
        g_autofree char *path = registry_saved_path(registry->conf);
        g_autoptr(GError) error = NULL;
        g_autoptr(View) saved = NULL;
        if (path == NULL || (registry->conf->redis_url == NULL && registry->conf->mysql_url == NULL))
                return;
        saved = saved_view_read(path, &registry->run_id, &error);
        if (error != NULL)
                g_warning("%s is ignored: %s", path, error->message);
        if (saved != NULL)
                restore_view(registry, saved);
}

/* Every cluster that the configuration names without defining it must be in the catalogue. */
static bool
check_names(const Conf *conf, GPtrArray *rows, GError **error)
{
        g_autoptr(GPtrArray) names = NULL;
        g_autoptr(GPtrArray) lines = conf_undefined_clusters(conf, &names);
        for (guint i = 0; i < names->len; i++) {
                bool known = false;
                for (guint j = 0; j < rows->len && !known; j++)
                        known =
                            strcmp(((const CatalogueCluster *)rows->pdata[j])->name, names->pdata[i]) == 0;
                if (known)
                        continue;
                g_set_error(error, TROUBLE, TROUBLE_OUTSIDE, "%s; the catalogue has no such cluster",
                            (const char *)lines->pdata[i]);
                return false;
        }
        return true;
}

static SourceState
first_state(const char *url, SourceState before)
{
        if (url == NULL)
                return SOURCE_OFF;
        return before == SOURCE_OFF ? SOURCE_WAITING : before;
}

static void
set_states(RegistryStatus *status, const Conf *conf)
{
        status->redis = first_state(conf->redis_url, status->redis);
        status->mysql = first_state(conf->mysql_url, status->mysql);
        if (status->redis == SOURCE_OFF)
                status->redis_error[0] = '\0';
        if (status->mysql == SOURCE_OFF)
                status->mysql_error[0] = '\0';
}

static GPtrArray *
no_rows(void)
{
        return g_ptr_array_new_with_free_func((GDestroyNotify)catalogue_cluster_free);
}

static Registry *
registry_alloc(Conf *conf, RegistryNotify notify, void *user_data)
{
        Registry *registry = g_new0(Registry, 1);
        g_mutex_init(&registry->view_lock);
        g_mutex_init(&registry->lock);
        g_cond_init(&registry->wake);
        g_cond_init(&registry->first_round);
        registry->notify = notify;
        registry->user_data = user_data;
        registry->conf = conf_ref(conf);
        registry->damping = damping_new();
        registry->rows = no_rows();
        registry->log = change_log_new();
        registry->notes = host_notes_new();
        set_states(&registry->status, conf);
        return registry;
}

/*
 * Waits for the thread's first try at both sources. Their time limits hold for single steps and not for name
 * resolution, so there is one here for all of it.
 */
static void
await_first_round(Registry *registry)
{
        const Conf *conf = registry->conf;
        int64_t limit_ms = (conf->redis_url != NULL ? 2 * conf->redis_timeout_ms : 0) +
                           (conf->mysql_url != NULL ? 2 * conf->mysql_timeout_ms : 0);
        int64_t deadline_us = g_get_monotonic_time() + MAX(limit_ms, 1000) * 1000;
        while (!registry->tried_once &&
               g_cond_wait_until(&registry->first_round, &registry->lock, deadline_us))
                continue;
}

Registry *
registry_new(Conf *conf, RegistryNotify notify, void *user_data, GError **error)
{
        g_autoptr(Registry) registry = registry_alloc(conf, notify, user_data);
        load_saved_view(registry);
        if (registry->run_id == NULL)
                registry->run_id = g_strdup("");
        set_file_members(registry, true);
        registry->thread = g_thread_new("registry", registry_thread_main, registry);

        g_mutex_lock(&registry->lock);
        await_first_round(registry);
        bool fine = registry->status.mysql != SOURCE_OK || check_names(conf, registry->rows, error);
        registry_publish(registry);
        registry->started = fine;
        g_cond_broadcast(&registry->first_round);
        g_mutex_unlock(&registry->lock);
        return fine ? g_steal_pointer(&registry) : NULL;
}

static void
stop_thread(Registry *registry)
{
        g_mutex_lock(&registry->lock);
        registry->stop = true;
        g_cond_broadcast(&registry->wake);
        g_cond_broadcast(&registry->first_round);
        g_mutex_unlock(&registry->lock);
        g_thread_join(registry->thread);
}

void
registry_free(Registry *registry)
{
        if (registry == NULL)
                return;
        stop_thread(registry);
        g_clear_pointer(&registry->polled, g_ptr_array_unref);
        g_clear_pointer(&registry->polled_rows, g_ptr_array_unref);
        liveness_free(registry->liveness);
        catalogue_free(registry->catalogue);
        change_log_free(registry->log);
        view_unref(registry->settled);
        view_unref(registry->view);
        damping_free(registry->damping);
        host_notes_free(registry->notes);
        g_ptr_array_unref(registry->rows);
        conf_unref(registry->conf);
        g_free(registry->run_id);
        g_mutex_clear(&registry->view_lock);
        g_mutex_clear(&registry->lock);
        g_cond_clear(&registry->wake);
        g_cond_clear(&registry->first_round);
        g_free(registry);
}

uint64_t
registry_generation(Registry *registry)
{
        return atomic_load(&registry->generation);
}

static void
drop_rows(Registry *registry)
{
        g_ptr_array_unref(registry->rows);
        registry->rows = no_rows();
}

/*
 * New members that redis can tell about wait for the poll that follows at once; while it is away they are
 * taken for alive, as at the start.
 */
bool
registry_reload(Registry *registry, Conf *conf, GError **error)
{
        g_mutex_lock(&registry->lock);
        bool fine = registry->status.mysql != SOURCE_OK || conf->mysql_url == NULL ||
                    check_names(conf, registry->rows, error);
        if (fine) {
                conf_unref(registry->conf);
                registry->conf = conf_ref(conf);
                registry->conf_serial++;
                set_states(&registry->status, conf);
                if (conf->mysql_url == NULL)
                        drop_rows(registry);
                set_file_members(registry, registry->status.redis != SOURCE_OK);
                registry_publish(registry);
                g_cond_signal(&registry->wake);
        }
        g_mutex_unlock(&registry->lock);
        return fine;
}

void
registry_get_status(Registry *registry, RegistryStatus *out_status)
{
        g_mutex_lock(&registry->lock);
        *out_status = registry->status;
        g_mutex_unlock(&registry->lock);
}

bool
registry_note_host(Registry *registry, RegistryNote note, const char *cluster, const char *host)
{
        g_mutex_lock(&registry->lock);
        int64_t until_us = g_get_monotonic_time() + registry->conf->heartbeat_ttl_ms * 1000;
        bool taken = host_notes_put(registry->notes, cluster, host, note == REGISTRY_HEARTBEAT, until_us);
        registry->noted = true;
        g_cond_signal(&registry->wake);
        g_mutex_unlock(&registry->lock);
        return taken;
}

void
registry_poke(Registry *registry)
{
        g_mutex_lock(&registry->lock);
        registry->poke = true;
        g_cond_signal(&registry->wake);
        g_mutex_unlock(&registry->lock);
}
