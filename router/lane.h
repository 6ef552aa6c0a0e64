/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/registry.h"
#include "conf/conf.h"
#include "router/crashes.h"
#include "router/reply_book.h"
#include "router/stats.h"
#include "router/watchdog.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A lane: one thread that carries a route, with its own connections and its own books. Lanes share nothing
 * but counters and views, so several lanes of a route are like several routers.
 *
 *     intake -> envelope -> decide -> outlet -> (broker confirms) -> ledger -> intake acks
 *
 * These functions are for the main thread.
 */
typedef struct Lane Lane;

/* What a lane lives on. All but conf must outlive it. */
typedef struct {
        Conf *conf;             /* the lane takes a reference */
        const ConfRoute *route; /* of that conf */
        unsigned number;        /* among the lanes of its route */
        Registry *registry;
        Stats *stats;
        Watchdog *watchdog;
        ReplyBook *book;
        const Crashes *crashes; /* or NULL: nothing is known of crashes */
        GSourceFunc on_done;    /* called once in the main loop after the lane has come to its end */
        void *user_data;
} LaneOptions;

/* Starts the thread. */
Lane *lane_new(const LaneOptions *options);

/* Stop consuming, settle what is in flight, close. Returns at once; done after [broker] drain_deadline at the
 * latest. */
void lane_stop(Lane *lane);
bool lane_is_done(const Lane *lane);

/* How often it has gone round; at least twice a second unless it hangs. Any thread. */
uint64_t lane_turns(const Lane *lane);

/* The view has news. Any thread. */
void lane_wake(Lane *lane);

/* Joins the thread (after lane_stop(): blocks until it is done). NULL is fine. */
void lane_free(Lane *lane);
