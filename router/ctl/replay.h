/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"
#include "router/ctl/broker.h"
#include "router/ctl/stored.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A job over one dead queue: every message that stands in it when the job begins is taken once. Those
 * selected are published again, or deleted; a message is acknowledged only after the confirm of its copy, or
 * when it is to be deleted. All others are put aside and stand in their place again when the job ends,
 * however it ends.
 */
typedef enum {
        REPLAY_TO_ORIGINAL, /* exchange and key that it was first published with */
        REPLAY_TO_ROUTER,   /* the route's shared queue */
        REPLAY_PURGE,       /* nowhere: deleted */
} ReplayAction;

typedef struct {
        const Conf *conf;
        ReplayAction action;
        Selection selection;
        bool dry_run;    /* only count */
        uint64_t rate_s; /* publishes a second, 0: as fast as can be */
        bool progress;   /* show a bar on stderr */
} ReplayOptions;

typedef struct {
        uint64_t messages;     /* stood in the queue at the beginning */
        uint64_t done;         /* published and confirmed, or deleted; with dry_run: would be */
        uint64_t not_selected; /* skipped: not meant */
        uint64_t expired;      /* skipped: their time is over */
        uint64_t unroutable;   /* returned: nothing is bound there any more */
        uint64_t refused;      /* the broker does not allow it, or it does not tell where it came from */
        uint64_t nacked;       /* the broker could not take it */
        bool interrupted;      /* by SIGINT or SIGTERM */
        bool failed;           /* the connection; said on stderr */
} ReplayCounts;

/*
 * Adds to @counts. SIGINT and SIGTERM end the job after the confirms that are still to come; a second one at
 * once.
 */
void replay_queue(const ReplayOptions *options, const ConfRoute *route, ReplayCounts *counts);
