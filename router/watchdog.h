/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Frees threads that hang in a library call on a socket: librabbitmq waits without limit for a peer that has
 * stopped reading. A thread of its own looks at every guarded socket twice a second. It never calls the
 * library; it shuts the socket down, through a descriptor of its own, and the hanging call returns with an
 * error.
 *
 * A peer that is silent is given up after @silence_ms. One that still sends (a broker under a memory alarm
 * reads nothing, but its heartbeats come) gets @patience_ms.
 */
typedef struct Watchdog Watchdog;
typedef struct Guard Guard;

Watchdog *watchdog_new(void);
void watchdog_free(Watchdog *watchdog); /* after all its guards; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Watchdog, watchdog_free)

/* Any thread. @fd is duplicated. */
Guard *watchdog_guard(Watchdog *watchdog, int fd, int64_t silence_ms, int64_t patience_ms);
void watchdog_release(Watchdog *watchdog, Guard *guard); /* NULL is fine */

/* Around each call that may hang; the owner of the socket only. Odd while inside. */
struct Guard {
        _Atomic uint64_t calls;
        /* Of the watchdog's thread: */
        uint64_t seen;
        int64_t seen_us;
        int fd;
        int64_t silence_ms;
        int64_t patience_ms;
        bool shut;
};

static inline void
guard_step(Guard *guard)
{
        uint64_t calls = atomic_load_explicit(&guard->calls, memory_order_relaxed);

        /* Nobody else writes it, so it need not be one step. */
        atomic_store_explicit(&guard->calls, calls + 1, memory_order_relaxed);
}
