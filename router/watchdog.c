/* SPDX-License-Identifier: MIT */

/*
 * Whether a thread is inside a call is a counter that is odd meanwhile: the data path pays two additions and
 * no clock. A counter that is odd and stays what it was is a call that has not returned since then.
 */

#include "router/watchdog.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOOK_EVERY_MS = 500 };

struct Watchdog {
        GThread *thread;
        GMutex lock; /* guards what follows */
        GCond stop;
        bool stopping;
        GPtrArray *guards; /* of Guard * */
};

static int64_t
silent_for_ms(int fd)
{
        struct tcp_info info = {0};
        socklen_t length = sizeof(info);

        if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0)
                return INT64_MAX;
        return info.tcpi_last_data_recv;
}

static void
look(Guard *guard, int64_t now_us)
{
        uint64_t calls = atomic_load_explicit(&guard->calls, memory_order_relaxed);
        int64_t inside_ms = (now_us - guard->seen_us) / 1000;

        if (calls != guard->seen || calls % 2 == 0) {
                guard->seen = calls;
                guard->seen_us = now_us;
                return;
        }
        if (guard->shut || inside_ms < guard->silence_ms)
                return;
        if (inside_ms < guard->patience_ms && silent_for_ms(guard->fd) < guard->silence_ms)
                return;
        g_warning("a broker has taken nothing for %" G_GINT64_FORMAT " s: giving its connection up",
                  inside_ms / 1000);
        shutdown(guard->fd, SHUT_RDWR);
        guard->shut = true;
}

static void *
watchdog_thread(void *data)
{
        Watchdog *watchdog = data;

        g_mutex_lock(&watchdog->lock);
        while (!watchdog->stopping) {
                int64_t now_us = g_get_monotonic_time();

                for (unsigned i = 0; i < watchdog->guards->len; i++)
                        look(g_ptr_array_index(watchdog->guards, i), now_us);
                g_cond_wait_until(&watchdog->stop, &watchdog->lock, now_us + LOOK_EVERY_MS * 1000);
        }
        g_mutex_unlock(&watchdog->lock);
        return NULL;
}

Watchdog *
watchdog_new(void)
{
        Watchdog *watchdog = g_new0(Watchdog, 1);

        g_mutex_init(&watchdog->lock);
        g_cond_init(&watchdog->stop);
        watchdog->guards = g_ptr_array_new();
        watchdog->thread = g_thread_new("watchdog", watchdog_thread, watchdog);
        return watchdog;
}

void
watchdog_free(Watchdog *watchdog)
{
        if (!watchdog)
                return;
        g_mutex_lock(&watchdog->lock);
        watchdog->stopping = true;
        g_cond_signal(&watchdog->stop);
        g_mutex_unlock(&watchdog->lock);
        g_thread_join(watchdog->thread);
        g_assert(watchdog->guards->len == 0);
        g_ptr_array_unref(watchdog->guards);
        g_cond_clear(&watchdog->stop);
        g_mutex_clear(&watchdog->lock);
        g_free(watchdog);
}

Guard *
watchdog_guard(Watchdog *watchdog, int fd, int64_t silence_ms, int64_t patience_ms)
{
        Guard *guard = g_new0(Guard, 1);

        /* A descriptor of our own: the library closes its own, and the kernel gives the number away again. */
        guard->fd = dup(fd);
        guard->silence_ms = silence_ms;
        guard->patience_ms = patience_ms;
        guard->seen_us = g_get_monotonic_time();
        g_mutex_lock(&watchdog->lock);
        g_ptr_array_add(watchdog->guards, guard);
        g_mutex_unlock(&watchdog->lock);
        return guard;
}

void
watchdog_release(Watchdog *watchdog, Guard *guard)
{
        if (!guard)
                return;
        g_mutex_lock(&watchdog->lock);
        g_ptr_array_remove_fast(watchdog->guards, guard);
        g_mutex_unlock(&watchdog->lock);
        if (guard->fd >= 0)
                close(guard->fd);
        g_free(guard);
}
