/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"

#include <glib.h>
#include <stdbool.h>

/*
 * Feeds the watchdog of systemd, if the unit asks for it (WatchdogSec), with the progress of the data path:
 * a router whose main loop or one of whose lanes stands still is not fed, and systemd starts it anew. Main
 * thread.
 */
typedef struct {
        int64_t limit_us; /* not fed for so long, it is killed; 0: no watchdog */
        int64_t fed_us;
        bool warned;
} Feed;

/* Reads what systemd asks for. Returns how often feed_tick() is due, in milliseconds; 0: never. */
unsigned feed_init(Feed *feed);

/*
 * A lane may wait on purpose for a broker that takes nothing; router/watchdog.c ends that after [broker]
 * hold_time or twice the heartbeat. Asks systemd to be more patient than that.
 */
void feed_follow(Feed *feed, const Conf *conf);

/* @standing is the route of a lane that did not move since the last feeding, NULL if all did. */
void feed_tick(Feed *feed, const char *standing);
