/* SPDX-License-Identifier: MIT */

/*
 * A reload builds everything that can fail first and only then touches what runs. A route whose text did not
 * change keeps its lanes; of a changed one the old lanes settle and end before the new ones start, so that
 * order holds.
 */

#include "router/daemon.h"
#include "cluster/registry.h"
#include "router/chronicle.h"
#include "router/control.h"
#include "router/crew.h"
#include "router/feed.h"
#include "router/http.h"
#include "router/recorder.h"
#include "router/stats.h"

#include <glib-unix.h>
#include <pthread.h>
#include <signal.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum { STATUS_EVERY_S = 5, RECORD_EVERY_S = 1, FAIL_FAST_LOOK_MS = 100, STOP_GRACE_MS = 20000 };

G_DEFINE_QUARK(daemon_error, daemon_error)

struct Daemon {
        GMainLoop *loop;
        Conf *conf;
        Stats *stats;
        Registry *registry;
        Watchdog *watchdog;
        Crashes *crashes; /* or NULL */
        ReplyBook *book;
        GPtrArray *controls; /* of Control *: at the shared broker, and at each cluster's own */
        Recorder *recorder;
        Chronicle *chronicle;
        Http *http;
        Crew *crew;
        Feed feed;
        bool stopping;
        char *failure; /* why --fail-fast gives up, or NULL */
};

/* ---- lanes ---- */

static gboolean on_lane_done(gpointer user_data);

static void
start_missing(Daemon *daemon)
{
        crew_start(daemon->crew, &(LaneOptions){.conf = daemon->conf,
                                                .registry = daemon->registry,
                                                .stats = daemon->stats,
                                                .watchdog = daemon->watchdog,
                                                .book = daemon->book,
                                                .crashes = daemon->crashes,
                                                .on_done = on_lane_done,
                                                .user_data = daemon});
}

static gboolean
on_lane_done(gpointer user_data)
{
        Daemon *daemon = user_data;
        unsigned left = crew_reap(daemon->crew);

        if (!daemon->stopping)
                start_missing(daemon);
        else if (left == 0)
                g_main_loop_quit(daemon->loop);
        return G_SOURCE_REMOVE;
}

static void
wake_lanes(void *user_data)
{
        Daemon *daemon = user_data;

        crew_wake(daemon->crew);
}

/* ---- start ---- */

static bool
start_services(Daemon *daemon, GError **error)
{
        g_autoptr(GError) reason = NULL;

        daemon->registry = registry_new(daemon->conf, wake_lanes, daemon, &reason);
        if (!daemon->registry) {
                g_set_error_literal(error, DAEMON_ERROR, DAEMON_ERROR_CONFIG, reason->message);
                return false;
        }
        if (!daemon->conf->http_address)
                return true;
        daemon->http = http_new(daemon->conf, daemon->stats, daemon->registry, daemon->recorder, &reason);
        if (!daemon->http) {
                g_set_error_literal(error, DAEMON_ERROR, DAEMON_ERROR_UNAVAILABLE, reason->message);
                return false;
        }
        return true;
}

static void
stop_controls(Daemon *daemon)
{
        for (unsigned i = 0; i < daemon->controls->len; i++)
                control_stop(g_ptr_array_index(daemon->controls, i));
}

static void
start_controls(Daemon *daemon)
{
        const Conf *conf = daemon->conf;

        stop_controls(daemon);
        g_ptr_array_set_size(daemon->controls, 0);
        g_ptr_array_add(daemon->controls, control_new(daemon->conf, NULL, daemon->registry, daemon->stats));
        for (unsigned i = 0; i < conf->clusters->len; i++) {
                const ConfCluster *cluster = g_ptr_array_index(conf->clusters, i);

                if (cluster->amqp_urls[0])
                        g_ptr_array_add(daemon->controls,
                                        control_new(daemon->conf, cluster, daemon->registry, daemon->stats));
        }
}

static void
open_crashes(Daemon *daemon)
{
        g_autoptr(GError) error = NULL;

        daemon->crashes = crashes_open(daemon->conf->state_dir, &error);
        if (!daemon->crashes)
                g_warning("messages that crash the router cannot be recognised: %s", error->message);
        else if (crashes_was_one(daemon->crashes))
                g_warning("the last run did not end by itself: taking messages one by one at first");
}

void
daemon_free(Daemon *daemon)
{
        if (!daemon)
                return;
        crew_stop(daemon->crew);
        stop_controls(daemon);
        for (unsigned i = 0; i < daemon->controls->len; i++)
                control_wait(g_ptr_array_index(daemon->controls, i));
        g_ptr_array_unref(daemon->controls);
        http_free(daemon->http);
        recorder_free(daemon->recorder);
        registry_free(daemon->registry); /* its thread wakes lanes, so it goes first */
        crew_free(daemon->crew);
        watchdog_free(daemon->watchdog);
        reply_book_free(daemon->book);
        crashes_close(daemon->crashes);
        chronicle_free(daemon->chronicle);
        stats_free(daemon->stats);
        conf_unref(daemon->conf);
        g_main_loop_unref(daemon->loop);
        g_free(daemon->failure);
        g_free(daemon);
}

/* ---- reload ---- */

static void
refuse_reload(Daemon *daemon, const char *why)
{
        g_warning("reload refused, the old configuration stays in force: %s", why);
        stats_set_reload(daemon->stats, false, why);
}

static bool
same_address(const Conf *a, const Conf *b)
{
        return g_strcmp0(a->http_address, b->http_address) == 0 && a->http_port == b->http_port;
}

/* All that can fail. On success HTTP and registry follow @conf. */
static bool
adopt_services(Daemon *daemon, Conf *conf, GError **error)
{
        bool moved = !same_address(daemon->conf, conf);
        g_autoptr(Http) http = NULL;

        if (moved && conf->http_address) {
                http = http_new(conf, daemon->stats, daemon->registry, daemon->recorder, error);
                if (!http)
                        return false;
        }
        if (!registry_reload(daemon->registry, conf, error))
                return false;
        if (moved) {
                http_free(daemon->http);
                daemon->http = g_steal_pointer(&http);
        }
        return true;
}

static void
log_warnings(const Conf *conf)
{
        for (unsigned i = 0; i < conf->warnings->len; i++)
                g_warning("%s", (const char *)g_ptr_array_index(conf->warnings, i));
}

static void
tell_systemd_reloading(void)
{
        sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT, g_get_monotonic_time());
}

/* What is in flight may take longer than the time that the unit allows. */
static void
tell_systemd_stopping(const Daemon *daemon)
{
        sd_notifyf(0, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" G_GINT64_FORMAT,
                   (daemon->conf->drain_deadline_ms + STOP_GRACE_MS) * 1000);
}

static void
reload(Daemon *daemon)
{
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(Conf) conf = conf_load(daemon->conf->path, errors);
        g_autoptr(GError) error = NULL;

        if (!conf) {
                for (unsigned i = 1; i < errors->len; i++)
                        g_warning("%s", (const char *)g_ptr_array_index(errors, i));
                refuse_reload(daemon, g_ptr_array_index(errors, 0));
                return;
        }
        if (!adopt_services(daemon, conf, &error)) {
                refuse_reload(daemon, error->message);
                return;
        }
        log_warnings(conf);

        Conf *before = daemon->conf;

        daemon->conf = g_steal_pointer(&conf);
        stats_set_conf(daemon->stats, daemon->conf);
        reply_book_follow(daemon->book, daemon->conf);
        stats_set_reload(daemon->stats, true, NULL);
        /* A password in a file of its own changes the lanes, but not the text. */
        bool changed = crew_stop_changed(daemon->crew, before, daemon->conf);

        start_missing(daemon);
        feed_follow(&daemon->feed, daemon->conf);
        if (changed || g_strcmp0(before->fingerprint, daemon->conf->fingerprint) != 0)
                start_controls(daemon);
        conf_unref(before);
        g_message("reloaded %s", daemon->conf->path);
}

/* ---- signals and status ---- */

static gboolean
on_hangup(gpointer user_data)
{
        Daemon *daemon = user_data;

        if (!daemon->stopping) {
                tell_systemd_reloading();
                reload(daemon);
                sd_notify(0, "READY=1");
        }
        return G_SOURCE_CONTINUE;
}

static gboolean
on_terminate(gpointer user_data)
{
        Daemon *daemon = user_data;

        if (daemon->stopping) {
                g_message("stopping at once: what is unsettled stays in its queues");
                crashes_close(daemon->crashes);
                _exit(0);
        }
        g_message("stopping: settling what is in flight");
        tell_systemd_stopping(daemon);
        daemon->stopping = true;
        crew_stop(daemon->crew);
        if (crew_reap(daemon->crew) == 0)
                g_main_loop_quit(daemon->loop);
        return G_SOURCE_CONTINUE;
}

typedef struct {
        unsigned routes;
        unsigned consuming;
        char *error; /* of the first route that is not connected */
} RouteSummary;

static void
summarise_route(RouteStats *route, void *user_data)
{
        RouteSummary *summary = user_data;
        int lanes = atomic_load(&route->lanes);

        if (lanes == 0)
                return;
        summary->routes++;
        summary->consuming += atomic_load(&route->lanes_consuming) == lanes;
        g_mutex_lock(&route->lock);
        if (route->error && !summary->error)
                summary->error = g_strdup_printf("route %s: %s", route->route, route->error);
        g_mutex_unlock(&route->lock);
}

static gboolean
on_status(gpointer user_data)
{
        Daemon *daemon = user_data;
        g_autoptr(View) view = registry_get_view(daemon->registry);
        RouteSummary summary = {0};
        unsigned usable = 0;

        stats_each_route(daemon->stats, summarise_route, &summary);
        for (unsigned i = 0; i < view->clusters->len; i++)
                usable += view_cluster_is_usable(g_ptr_array_index(view->clusters, i));
        sd_notifyf(0, "STATUS=%u/%u routes consuming, %u/%u clusters usable%s%s", summary.consuming,
                   summary.routes, usable, view->clusters->len, summary.error ? "; " : "",
                   summary.error ? summary.error : "");
        g_free(summary.error);
        return G_SOURCE_CONTINUE;
}

static gboolean
on_record(gpointer user_data)
{
        Daemon *daemon = user_data;
        g_autoptr(View) view = registry_get_view(daemon->registry);
        RegistryStatus registry;

        registry_get_status(daemon->registry, &registry);
        recorder_look(daemon->recorder,
                      &(ReportInput){daemon->stats, view, &registry, g_get_monotonic_time()},
                      g_get_real_time() / G_USEC_PER_SEC);
        return G_SOURCE_CONTINUE;
}

static gboolean
on_feed(gpointer user_data)
{
        Daemon *daemon = user_data;

        feed_tick(&daemon->feed, crew_find_standing(daemon->crew));
        return G_SOURCE_CONTINUE;
}

static gboolean
on_fail_fast(gpointer user_data)
{
        Daemon *daemon = user_data;
        RouteSummary summary = {0};

        stats_each_route(daemon->stats, summarise_route, &summary);
        if (summary.error) {
                daemon->failure = summary.error;
                on_terminate(daemon);
                return G_SOURCE_REMOVE;
        }
        return summary.consuming < daemon->conf->routes->len ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* ---- from the beginning to the end ---- */

/* Threads inherit the mask: signals are for the main loop only. */
static void
mask_signals(int how)
{
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGHUP);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        pthread_sigmask(how, &set, NULL);
}

Daemon *
daemon_new(Conf *conf, GError **error)
{
        g_autoptr(Daemon) daemon = g_new0(Daemon, 1);

        /* One that comes before the main loop runs waits for it, and must not kill what has begun. */
        mask_signals(SIG_BLOCK);
        daemon->loop = g_main_loop_new(NULL, FALSE);
        daemon->conf = conf_ref(conf);
        daemon->stats = stats_new();
        daemon->watchdog = watchdog_new();
        daemon->recorder = recorder_new(g_get_monotonic_time());
        daemon->crew = crew_new();
        daemon->controls = g_ptr_array_new_with_free_func((GDestroyNotify)control_free);
        stats_set_conf(daemon->stats, conf);
        if (!start_services(daemon, error))
                return NULL;
        open_crashes(daemon);
        daemon->book = reply_book_new(conf);
        daemon->chronicle = chronicle_new(daemon->stats, CHRONICLE_STEP_S);
        start_missing(daemon);
        start_controls(daemon);
        return g_steal_pointer(&daemon);
}

bool
daemon_run(Daemon *daemon, bool fail_fast, GError **error)
{
        unsigned feed_ms;

        g_unix_signal_add(SIGHUP, on_hangup, daemon);
        g_unix_signal_add(SIGTERM, on_terminate, daemon);
        g_unix_signal_add(SIGINT, on_terminate, daemon);
        g_timeout_add_seconds(STATUS_EVERY_S, on_status, daemon);
        g_timeout_add_seconds(RECORD_EVERY_S, on_record, daemon);
        feed_ms = feed_init(&daemon->feed);
        if (feed_ms > 0)
                g_timeout_add(feed_ms, on_feed, daemon);
        if (fail_fast)
                g_timeout_add(FAIL_FAST_LOOK_MS, on_fail_fast, daemon);
        log_warnings(daemon->conf);
        sd_notify(0, "READY=1");
        feed_follow(&daemon->feed, daemon->conf);
        on_status(daemon);
        on_record(daemon);
        mask_signals(SIG_UNBLOCK);
        g_main_loop_run(daemon->loop);
        if (!daemon->failure)
                return true;
        g_set_error(error, DAEMON_ERROR, DAEMON_ERROR_UNAVAILABLE, "%s (--fail-fast)", daemon->failure);
        return false;
}
