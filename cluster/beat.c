/* SPDX-License-Identifier: MIT */
#include "cluster/beat.h"

#include "cluster/backoff.h"
#include "cluster/liveness.h"
#include "cluster/log.h"

enum { RETRY_FIRST_MS = 500, RETRY_MAX_MS = 5000 };

static bool
send_to_redis(void *sender, const char *cluster, const char *host, int64_t ttl_ms, GError **error)
{
        return liveness_send_heartbeat(sender, cluster, host, ttl_ms, error);
}

static bool
leave_redis(void *sender, const char *cluster, const char *host, GError **error)
{
        return liveness_goodbye(sender, cluster, host, error);
}

static void
free_liveness(void *sender)
{
        liveness_free(sender);
}

const BeatWay beat_by_redis = {"redis", send_to_redis, leave_redis, free_liveness};

struct Beat {
        gatomicrefcount refs; /* the caller and the thread: who is last frees */
        char *cluster;
        char *host;
        int64_t ttl_ms;
        int64_t interval_ms;
        int64_t timeout_ms;

        GMutex lock; /* for the next four */
        GCond wake;
        bool stop;
        bool done;

        /* The thread's own. */
        const BeatWay *way;
        void *sender;
        Backoff backoff;
        bool tried;
        bool connected;
};

static void
beat_unref(Beat *beat)
{
        if (!g_atomic_ref_count_dec(&beat->refs))
                return;
        beat->way->free(beat->sender);
        g_mutex_clear(&beat->lock);
        g_cond_clear(&beat->wake);
        g_free(beat->cluster);
        g_free(beat->host);
        g_free(beat);
}

static void
log_change(Beat *beat, bool fine, const GError *error)
{
        if (fine && !beat->connected)
                log_line(G_LOG_LEVEL_MESSAGE, &(LogPlace){.cluster = beat->cluster},
                         "host %s of cluster %s: heartbeats arrive in %s", beat->host, beat->cluster,
                         beat->way->place);
        else if (!fine && (beat->connected || !beat->tried))
                log_line(G_LOG_LEVEL_MESSAGE, &(LogPlace){.cluster = beat->cluster},
                         "host %s of cluster %s: no heartbeats, trying again: %s", beat->host, beat->cluster,
                         error->message);
        beat->tried = true;
        beat->connected = fine;
}

/* One heartbeat; returns how long to wait before the next. */
static int64_t
send(Beat *beat)
{
        g_autoptr(GError) error = NULL;
        bool fine = beat->way->send(beat->sender, beat->cluster, beat->host, beat->ttl_ms, &error);
        log_change(beat, fine, error);
        if (!fine)
                return backoff_next_ms(&beat->backoff);
        backoff_reset(&beat->backoff);
        return beat->interval_ms;
}

/* Sleeps until @due_us; false if it is time to stop. */
static bool
wait_until(Beat *beat, int64_t due_us)
{
        g_mutex_lock(&beat->lock);
        while (!beat->stop && g_cond_wait_until(&beat->wake, &beat->lock, due_us))
                continue;
        bool go_on = !beat->stop;
        g_mutex_unlock(&beat->lock);
        return go_on;
}

static void
say_goodbye(Beat *beat)
{
        g_autoptr(GError) error = NULL;
        if (!beat->way->goodbye(beat->sender, beat->cluster, beat->host, &error))
                log_line(G_LOG_LEVEL_MESSAGE, &(LogPlace){.cluster = beat->cluster},
                         "host %s of cluster %s: the heartbeat could not be removed and will expire: %s",
                         beat->host, beat->cluster, error->message);
}

static gpointer
thread_main(gpointer data)
{
        Beat *beat = data;
        int64_t due_us;
        do {
                int64_t began_us = g_get_monotonic_time();
                due_us = began_us + send(beat) * 1000;
        } while (wait_until(beat, due_us));
        say_goodbye(beat);
        g_mutex_lock(&beat->lock);
        beat->done = true;
        g_cond_broadcast(&beat->wake);
        g_mutex_unlock(&beat->lock);
        beat_unref(beat);
        return NULL;
}

Beat *
beat_start(const Conf *conf, const BeatWay *way, void *sender, const char *cluster, const char *host)
{
        Beat *beat = g_new0(Beat, 1);
        g_atomic_ref_count_init(&beat->refs);
        g_mutex_init(&beat->lock);
        g_cond_init(&beat->wake);
        beat->way = way;
        beat->sender = sender;
        beat->cluster = g_strdup(cluster);
        beat->host = g_strdup(host);
        beat->ttl_ms = conf->heartbeat_ttl_ms;
        beat->interval_ms = conf->heartbeat_interval_ms;
        beat->timeout_ms = conf->redis_timeout_ms;
        backoff_init(&beat->backoff, RETRY_FIRST_MS, MIN(beat->interval_ms, RETRY_MAX_MS));
        g_atomic_ref_count_inc(&beat->refs);
        g_thread_unref(g_thread_new("beat", thread_main, beat));
        return beat;
}

void
beat_stop(Beat *beat)
{
        if (beat == NULL)
                return;
        int64_t deadline_us = g_get_monotonic_time() + beat->timeout_ms * 1000;
        g_mutex_lock(&beat->lock);
        beat->stop = true;
        g_cond_broadcast(&beat->wake);
        while (!beat->done && g_cond_wait_until(&beat->wake, &beat->lock, deadline_us))
                continue;
        if (!beat->done)
                log_line(G_LOG_LEVEL_MESSAGE, &(LogPlace){.cluster = beat->cluster},
                         "host %s of cluster %s: no answer from %s, the heartbeat will expire", beat->host,
                         beat->cluster, beat->way->place);
        g_mutex_unlock(&beat->lock);
        beat_unref(beat);
}
