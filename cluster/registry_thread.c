/* SPDX-License-Identifier: MIT */

/*
 * The registry's thread: asks MySQL and redis, each on its own timer, takes the answers in, and does what
 * follows from a new view. It asks without holding the lock, since that may take as long as the timeouts
 * allow; an answer that belongs to an older configuration is thrown away and asked again. Log lines, the
 * saved view and the call to notify come from the difference between the view in force and the one dealt with
 * last, whichever thread published it.
 */
#include "cluster/announcement.h"
#include "cluster/merge.h"
#include "cluster/registry_private.h"
#include "cluster/saved_view.h"
#include "conf/trouble.h"

#include <string.h>

enum { RETRY_FIRST_MS = 500, REDIS_RETRY_MAX_MS = 5000, MYSQL_RETRY_MAX_MS = 30000 };

static void
set_error(char *buffer, size_t size, const char *text)
{
        g_strlcpy(buffer, text, size);
}

static SourceState
lost_state(SourceState before)
{
        return before == SOURCE_OK || before == SOURCE_LOST ? SOURCE_LOST : SOURCE_WAITING;
}

/* Logs once per change; the states are those around one try. */
static void
log_source(Registry *registry, const char *name, SourceState before, SourceState after, const char *old_error,
           const char *error)
{
        if (after == SOURCE_OK && before != SOURCE_OK)
                change_log_line(registry->log, NULL, "%s: connected", name);
        else if (after != SOURCE_OK && before == SOURCE_OK)
                change_log_line(registry->log, NULL, "%s; what was last known stays in force", error);
        else if (after != SOURCE_OK && strcmp(old_error, error) != 0)
                change_log_line(registry->log, NULL, "%s; trying again", error);
}

static DampingRules
rules_of(const Conf *conf)
{
        return (DampingRules){
            .rise = conf->rise,
            .fall = conf->fall,
            .brake_percent = conf->brake_percent,
            .ttl_us = conf->heartbeat_ttl_ms * 1000,
            /* Heartbeats that all stop at one moment expire within one interval. */
            .window_us = (conf->heartbeat_interval_ms + 2 * conf->redis_poll_ms) * 1000,
        };
}

/* Under the lock: takes in one poll of redis, or its failure. */
static void
take_poll(Registry *registry, GPtrArray *clusters, bool restarted, const GError *failure)
{
        RegistryStatus *status = &registry->status;
        int64_t now_us = g_get_monotonic_time();
        if (failure != NULL) {
                status->redis = lost_state(status->redis);
                set_error(status->redis_error, sizeof status->redis_error, failure->message);
                return;
        }
        DampingRules rules = rules_of(registry->conf);
        if (damping_update(registry->damping, &rules, clusters, restarted, now_us))
                registry_publish(registry);
        status->redis = SOURCE_OK;
        status->redis_ok_us = now_us;
        status->view_checked_us = now_us;
        set_error(status->redis_error, sizeof status->redis_error, "");
}

static void
schedule_redis(Registry *registry, const Conf *conf, bool fine, int64_t began_us)
{
        int64_t now_us = g_get_monotonic_time();
        if (fine) {
                backoff_reset(&registry->redis_backoff);
                registry->redis_due_us = MAX(began_us + conf->redis_poll_ms * 1000, now_us);
        } else {
                registry->redis_due_us = now_us + backoff_next_ms(&registry->redis_backoff) * 1000;
        }
}

/* Is it another redis process than the one asked before? */
static bool
note_run_id(Registry *registry)
{
        const char *run_id = liveness_run_id(registry->liveness);
        bool restarted =
            *registry->run_id != '\0' && *run_id != '\0' && strcmp(registry->run_id, run_id) != 0;
        g_autofree char *old = registry->run_id;
        registry->run_id = g_strdup(run_id);
        registry->save_due |= strcmp(old, run_id) != 0;
        return restarted;
}

static void
log_poll(Registry *registry, const RegistryStatus *before, const RegistryStatus *after)
{
        log_source(registry, "redis", before->redis, after->redis, before->redis_error, after->redis_error);
        if (before->frozen == after->frozen)
                return;
        if (after->frozen)
                change_log_line(registry->log, NULL,
                                "too many hosts vanished from redis at once to be true: they "
                                "count as alive for three heartbeat TTLs");
        else
                change_log_line(registry->log, NULL, "redis is believed again");
}

/* Tells operators where this router is, when that is due. */
static void
announce(Registry *registry, const Conf *conf)
{
        g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GError) error = NULL;
        int64_t now_us = g_get_monotonic_time();
        if (now_us < registry->announce_due_us)
                return;
        registry->announce_due_us = now_us + ANNOUNCEMENT_TTL_MS * 1000 / 3;
        if (!announcement_renew(liveness_link(registry->liveness), conf, &error))
                g_ptr_array_add(
                    warnings, g_strdup_printf("clusterctl top does not see this router: %s", error->message));
        change_log_warnings(registry->log, "announcement", warnings);
}

/* What to ask about: as in the poll before, unless there was none or the clusters may be others. */
static GPtrArray *
choose_questions(Registry *registry, const Conf *conf, uint64_t serial, GPtrArray *rows)
{
        if (registry->polled == NULL || registry->polled_serial != serial || registry->polled_rows != rows) {
                g_clear_pointer(&registry->polled, g_ptr_array_unref);
                g_clear_pointer(&registry->polled_rows, g_ptr_array_unref);
                registry->polled = merge_questions(conf, rows);
                registry->polled_serial = serial;
                registry->polled_rows = g_ptr_array_ref(rows);
        }
        return registry->polled;
}

/* Asks redis about all clusters and takes the answer in. */
static void
poll_redis(Registry *registry)
{
        int64_t began_us = g_get_monotonic_time();
        g_mutex_lock(&registry->lock);
        g_autoptr(Conf) conf = conf_ref(registry->conf);
        g_autoptr(GPtrArray) rows = g_ptr_array_ref(registry->rows);
        uint64_t serial = registry->conf_serial;
        g_mutex_unlock(&registry->lock);

        GPtrArray *clusters = choose_questions(registry, conf, serial, rows);
        g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GError) failure = NULL;
        bool fine = liveness_check_hosts(registry->liveness, clusters, warnings, &failure);

        g_mutex_lock(&registry->lock);
        if (serial != registry->conf_serial) {
                g_mutex_unlock(&registry->lock);
                return;
        }
        RegistryStatus before = registry->status;
        take_poll(registry, clusters, fine && note_run_id(registry), failure);
        RegistryStatus after = registry->status;
        g_mutex_unlock(&registry->lock);

        /* While the brake is on, nobody should read there what is not believed here; and counts that are
         * missing are the sign by which other routers see that redis lost its data. */
        if (fine && !after.frozen)
                liveness_write_counts(registry->liveness, clusters, warnings);
        if (fine)
                change_log_warnings(registry->log, "redis", warnings);
        if (fine)
                announce(registry, conf);
        if (!fine)
                g_clear_pointer(&registry->polled, g_ptr_array_unref);
        log_poll(registry, &before, &after);
        schedule_redis(registry, conf, fine, began_us);
}

/* Writes to redis what hosts said by message; what cannot be written waits for the next poll. */
static void
write_notes(Registry *registry)
{
        g_mutex_lock(&registry->lock);
        g_autoptr(GPtrArray) notes = host_notes_take(registry->notes);
        g_mutex_unlock(&registry->lock);
        bool fine = true;
        for (guint i = 0; i < notes->len; i++) {
                HostNote *note = notes->pdata[i];
                int64_t now_us = g_get_monotonic_time();
                int64_t ttl_ms = (note->until_us - now_us) / 1000;
                if (fine && note->alive && ttl_ms > 0)
                        fine = liveness_send_heartbeat(registry->liveness, note->cluster, note->host, ttl_ms,
                                                       NULL);
                else if (fine && !note->alive)
                        fine = liveness_goodbye(registry->liveness, note->cluster, note->host, NULL);
                if (fine) {
                        host_note_free(note);
                        continue;
                }
                g_mutex_lock(&registry->lock);
                host_notes_return(registry->notes, note, now_us);
                g_mutex_unlock(&registry->lock);
        }
}

/* Without [redis] every configured member counts as alive. */
static void
assume_all(Registry *registry)
{
        DampingRules rules = {.rise = 1, .fall = 1, .brake_percent = 100};
        g_mutex_lock(&registry->lock);
        g_autoptr(GPtrArray) clusters = merge_questions(registry->conf, registry->rows);
        for (guint i = 0; i < clusters->len; i++) {
                LivenessCluster *cluster = clusters->pdata[i];
                cluster->known = true;
                for (guint j = 0; j < cluster->hosts->len; j++)
                        ((LivenessHost *)cluster->hosts->pdata[j])->alive = true;
        }
        int64_t now_us = g_get_monotonic_time();
        host_notes_apply(registry->notes, clusters, now_us);
        if (damping_update(registry->damping, &rules, clusters, false, now_us))
                registry_publish(registry);
        bool silent = host_notes_count(registry->notes) == 0;
        registry->redis_due_us = silent ? G_MAXINT64 : now_us + registry->conf->redis_poll_ms * 1000;
        g_mutex_unlock(&registry->lock);
}

/*
 * A table without any row, deleted ones included, is not what operators leave behind: it is a fresh database,
 * which adds nothing, or one that lost its data, which is no reason to forget clusters.
 */
static bool
is_credible(const Conf *conf, GPtrArray *rows, GPtrArray *known, GError **error)
{
        if (rows->len > 0 || (known->len == 0 && conf->clusters->len > 0))
                return true;
        g_set_error(
            error, TROUBLE, TROUBLE_OUTSIDE,
            "MySQL: the catalogue is empty; create a cluster with \"clusterctl cluster create NAME\"");
        return false;
}

/* Under the lock: @rows (or NULL on failure) are the catalogue from now on. */
static void
take_rows(Registry *registry, GPtrArray *rows, const GError *failure)
{
        RegistryStatus *status = &registry->status;
        if (rows == NULL) {
                status->mysql = lost_state(status->mysql);
                set_error(status->mysql_error, sizeof status->mysql_error, failure->message);
                return;
        }
        g_autoptr(GPtrArray) old = registry->rows;
        registry->rows = g_ptr_array_ref(rows);
        status->mysql = SOURCE_OK;
        status->mysql_ok_us = g_get_monotonic_time();
        set_error(status->mysql_error, sizeof status->mysql_error, "");
        registry_publish(registry);
}

static GPtrArray *
read_rows(Registry *registry, const Conf *conf, GPtrArray *known, GPtrArray *warnings, GError **error)
{
        uint64_t serial;
        /* Before the rows: a change in between is seen the next time. */
        if (!catalogue_serial(registry->catalogue, &serial, error))
                return NULL;
        g_autoptr(GPtrArray) all = catalogue_list(registry->catalogue, true, error);
        if (all == NULL || !is_credible(conf, all, known, error))
                return NULL;
        registry->serial = serial;
        return merge_select_rows(conf, all, warnings);
}

static void
refresh_catalogue(Registry *registry)
{
        g_mutex_lock(&registry->lock);
        g_autoptr(Conf) conf = conf_ref(registry->conf);
        g_autoptr(GPtrArray) known = g_ptr_array_ref(registry->rows);
        uint64_t serial = registry->conf_serial;
        g_mutex_unlock(&registry->lock);

        g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GError) failure = NULL;
        g_autoptr(GPtrArray) rows = read_rows(registry, conf, known, warnings, &failure);

        g_mutex_lock(&registry->lock);
        if (serial != registry->conf_serial) {
                g_mutex_unlock(&registry->lock);
                return;
        }
        RegistryStatus before = registry->status;
        take_rows(registry, rows, failure);
        RegistryStatus after = registry->status;
        g_mutex_unlock(&registry->lock);

        int64_t wait_ms = conf->mysql_refresh_ms;
        if (rows != NULL) {
                backoff_reset(&registry->mysql_backoff);
                change_log_warnings(registry->log, "catalogue", warnings);
        } else {
                wait_ms = backoff_next_ms(&registry->mysql_backoff);
        }
        registry->mysql_due_us = g_get_monotonic_time() + wait_ms * 1000;
        registry->serial_due_us =
            rows != NULL ? g_get_monotonic_time() + conf->redis_poll_ms * 1000 : G_MAXINT64;
        log_source(registry, "MySQL", before.mysql, after.mysql, before.mysql_error, after.mysql_error);
        /* Clusters that just appeared should not wait a whole tick for their hosts. */
        if (rows != NULL && rows->len != known->len)
                registry->redis_due_us = 0;
}

/* Between two refreshes: one small query tells whether an operator has changed anything. */
static void
look_for_changes(Registry *registry)
{
        uint64_t serial;
        g_mutex_lock(&registry->lock);
        int64_t poll_us = registry->conf->redis_poll_ms * 1000;
        g_mutex_unlock(&registry->lock);
        bool fine = catalogue_serial(registry->catalogue, &serial, NULL);
        if (!fine || serial != registry->serial)
                refresh_catalogue(registry); /* which also reports what is wrong */
        else
                registry->serial_due_us = g_get_monotonic_time() + poll_us;
}

/* The thread, after a change of the configuration: connections as that says. */
static void
connect_sources(Registry *registry)
{
        g_mutex_lock(&registry->lock);
        g_autoptr(Conf) conf = conf_ref(registry->conf);
        registry->connected_serial = registry->conf_serial;
        g_mutex_unlock(&registry->lock);

        g_autoptr(GError) error = NULL;
        g_clear_pointer(&registry->liveness, liveness_free);
        g_clear_pointer(&registry->catalogue, catalogue_free);
        if (conf->redis_url != NULL)
                registry->liveness = liveness_new(conf->redis_url, conf->redis_timeout_ms, &error);
        if (conf->mysql_url != NULL && error == NULL)
                registry->catalogue =
                    catalogue_new(conf->mysql_url, conf->mysql_timeout_ms, &conf->mysql_tls, &error);
        if (error != NULL)
                g_warning("%s", error->message);
        backoff_init(&registry->redis_backoff, RETRY_FIRST_MS, REDIS_RETRY_MAX_MS);
        backoff_init(&registry->mysql_backoff, RETRY_FIRST_MS, MYSQL_RETRY_MAX_MS);
        registry->redis_due_us = 0;
        registry->announce_due_us = 0;
        registry->mysql_due_us = registry->catalogue != NULL ? 0 : G_MAXINT64;
        registry->serial_due_us = G_MAXINT64;
}

/* Only what the sources said is worth keeping, not what was assumed without them. */
static void
save_view(Registry *registry, const View *view)
{
        g_mutex_lock(&registry->lock);
        g_autofree char *path = registry_saved_path(registry->conf);
        RegistryStatus status = registry->status;
        g_mutex_unlock(&registry->lock);
        bool nothing_asked = status.redis == SOURCE_OFF && status.mysql == SOURCE_OFF;
        bool all_answered = (status.redis == SOURCE_OFF || status.redis == SOURCE_OK) &&
                            (status.mysql == SOURCE_OFF || status.mysql == SOURCE_OK);
        if (!registry->save_due || nothing_asked || !all_answered || path == NULL)
                return;
        registry->save_due = false;
        g_autofree char *text = saved_view_format(view, registry->run_id);
        g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GError) error = NULL;
        if (!saved_view_write(path, text, &error))
                g_ptr_array_add(warnings,
                                g_strdup_printf("the view cannot be saved, so a start without redis "
                                                "would have to guess; set state_dir: %s",
                                                error->message));
        change_log_warnings(registry->log, "state_dir", warnings);
}

/* What follows from a new view, whoever published it. */
static void
settle(Registry *registry)
{
        g_autoptr(View) view = registry_get_view(registry);
        bool is_new = view != registry->settled;
        registry->save_due |= is_new;
        save_view(registry, view);
        if (!is_new)
                return;
        change_log_views(registry->log, registry->settled, view);
        view_unref(registry->settled);
        registry->settled = view_ref(view);
        if (registry->notify != NULL)
                registry->notify(registry->user_data);
}

/* Sleeps until something is due; false if the thread should end. */
static bool
wait_for_work(Registry *registry)
{
        int64_t due_us = MIN(registry->redis_due_us, MIN(registry->mysql_due_us, registry->serial_due_us));
        g_mutex_lock(&registry->lock);
        while (!registry->stop && !registry->poke && !registry->noted &&
               registry->conf_serial == registry->connected_serial && registry->view == registry->settled &&
               g_get_monotonic_time() < due_us) {
                if (due_us == G_MAXINT64)
                        g_cond_wait(&registry->wake, &registry->lock);
                else
                        g_cond_wait_until(&registry->wake, &registry->lock, due_us);
        }
        if (registry->poke) {
                registry->redis_due_us = 0;
                registry->mysql_due_us = registry->catalogue != NULL ? 0 : G_MAXINT64;
        }
        if (registry->noted && registry->liveness == NULL)
                registry->redis_due_us = 0;
        registry->poke = false;
        bool go_on = !registry->stop;
        g_mutex_unlock(&registry->lock);
        return go_on;
}

static void
work(Registry *registry)
{
        if (registry->catalogue != NULL && g_get_monotonic_time() >= registry->mysql_due_us)
                refresh_catalogue(registry);
        else if (registry->catalogue != NULL && g_get_monotonic_time() >= registry->serial_due_us)
                look_for_changes(registry);
        bool due = g_get_monotonic_time() >= registry->redis_due_us;
        g_mutex_lock(&registry->lock);
        bool to_write = registry->noted || (due && host_notes_count(registry->notes) > 0);
        registry->noted = false;
        g_mutex_unlock(&registry->lock);
        if (registry->liveness != NULL && to_write)
                write_notes(registry);
        if (!due)
                return;
        if (registry->liveness != NULL)
                poll_redis(registry);
        else
                assume_all(registry);
}

/* Nobody is notified before registry_new() has returned. */
static void
finish_first_round(Registry *registry)
{
        g_mutex_lock(&registry->lock);
        registry->tried_once = true;
        g_cond_broadcast(&registry->first_round);
        while (!registry->started && !registry->stop)
                g_cond_wait(&registry->first_round, &registry->lock);
        g_mutex_unlock(&registry->lock);
}

/* An orderly end: nobody need wait until the announcement expires. */
static void
withdraw(Registry *registry)
{
        RegistryStatus status;
        registry_get_status(registry, &status);
        if (registry->liveness == NULL || status.redis != SOURCE_OK)
                return;
        if (!announcement_withdraw(liveness_link(registry->liveness), registry->conf, NULL))
                g_debug("the announcement expires by itself");
}

gpointer
registry_thread_main(gpointer data)
{
        Registry *registry = data;
        connect_sources(registry);
        work(registry);
        finish_first_round(registry);
        while (wait_for_work(registry)) {
                settle(registry);
                g_mutex_lock(&registry->lock);
                bool stale = registry->conf_serial != registry->connected_serial;
                g_mutex_unlock(&registry->lock);
                if (stale)
                        connect_sources(registry);
                work(registry);
        }
        withdraw(registry);
        catalogue_thread_end();
        return NULL;
}
