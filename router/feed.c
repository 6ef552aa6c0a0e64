/* SPDX-License-Identifier: MIT */

/*
 * Nothing here decides how long a standstill may last: that is systemd's limit. There is only one rule, a
 * feeding for each time that all lanes have moved.
 */

#include "router/feed.h"

#include <systemd/sd-daemon.h>

enum { TICKS_PER_LIMIT = 8, TICK_MIN_MS = 50, HEARTBEATS_SILENT = 2 };

unsigned
feed_init(Feed *feed)
{
        uint64_t limit_us = 0;

        *feed = (Feed){.fed_us = g_get_monotonic_time()};
        if (sd_watchdog_enabled(0, &limit_us) <= 0)
                return 0;
        feed->limit_us = (int64_t)MIN(limit_us, (uint64_t)INT64_MAX);
        return (unsigned)CLAMP(feed->limit_us / 1000 / TICKS_PER_LIMIT, TICK_MIN_MS, G_MAXINT);
}

void
feed_follow(Feed *feed, const Conf *conf)
{
        int64_t silent_ms = (int64_t)conf->broker_heartbeat_s * HEARTBEATS_SILENT * 1000;
        int64_t needed_us = 2 * MAX(silent_ms, conf->hold_time_ms) * 1000;

        if (feed->limit_us == 0 || feed->limit_us >= needed_us)
                return;
        feed->limit_us = needed_us;
        sd_notifyf(0, "WATCHDOG_USEC=%" G_GINT64_FORMAT, needed_us);
}

void
feed_tick(Feed *feed, const char *standing)
{
        int64_t now_us = g_get_monotonic_time();

        if (!standing) {
                sd_notify(0, "WATCHDOG=1");
                if (feed->warned)
                        g_message("all lanes move again");
                feed->fed_us = now_us;
                feed->warned = false;
        } else if (!feed->warned && now_us - feed->fed_us > feed->limit_us / 2) {
                g_warning("route %s: a lane has stood still for %" G_GINT64_FORMAT
                          " s; after as long again the watchdog of systemd ends the router",
                          standing, (now_us - feed->fed_us) / G_USEC_PER_SEC);
                feed->warned = true;
        }
}
