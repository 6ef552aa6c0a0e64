/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/view.h"
#include "router/stats.h"
#include "router/target.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum {
        FLOW_CONSUMER_NONE,
        FLOW_CONSUMER_ACTIVE,
        FLOW_CONSUMER_ENDING, /* cancelled; deliveries may be on their way until the broker answers */
} FlowConsumer;

/*
 * How the messages of one cluster flow in one lane:
 *
 *     OPEN --unusable, or nacked too long--> PARKING --usable, backoff over--> UNPARKING --parking queue
 * empty--> OPEN
 *                                               ^------------- fails again, longer backoff -------'
 *
 * In PARKING and UNPARKING new messages go to the back of the parking queue, so that their order holds. A
 * *pass* is the time during which the parking queue is consumed; in UNPARKING always, and in OPEN when single
 * messages that the broker returned are tried again. A pass takes each message once: one that fails again is
 * put aside; if that fills the window, the pass is broken off, and the next one gets a larger window.
 *
 * A pass ends by order, not by time: once the parking queue looks empty its consumer is cancelled, what was
 * on its way before the broker's answer still belongs to the pass, and then the queue must be empty still.
 *
 * Under steady load a parking queue that new messages are put into would never be seen empty. So once it is
 * short, what is new is kept waiting in memory for the moment it takes to empty it.
 *
 * The common flow (cluster "") stands for messages that belong to no cluster: it has a parking queue and no
 * destination, so its state says nothing; it is passed through whenever the view has changed, and again after
 * a while if something came back. Belongs to the thread of its lane.
 */
struct Flow {
        char *name;                 /* "" for the common flow and for single-cluster mode */
        int number;                 /* its consumer on the parking intake */
        const ViewCluster *cluster; /* in the lane's view, NULL: unknown there, or none */
        bool has_destination;
        ClusterFlow state;
        Reason reason; /* why it is not OPEN */
        Target destination;
        Target parking;
        ClusterStats *stats;
        OwnBrokerState broker; /* as told to the statistics */
        struct Relay *relay;   /* the way back, for a cluster with its own broker, else NULL */
        bool in_wait;          /* its lane counts it among those that wait for their time */
        bool checked;          /* the parking queue was looked at on this connection */
        bool wants_pass;       /* messages may be in the parking queue */
        int64_t retry_us;      /* no pass before */
        Backoff backoff;
        uint64_t seen_view;        /* common flow: generation at the last pass */
        int64_t look_us;           /* when the parking queue was last looked at */
        int64_t consumers_us;      /* when the destination's consumers were last counted */
        ClusterConsuming doubtful; /* what that looked like */

        bool passing;
        FlowConsumer consumer; /* of the parking queue */
        unsigned window;       /* messages that a pass takes at once */
        bool failing;          /* something failed in this pass */
        bool closing; /* the parking queue is nearly empty: what is new waits here, so that it can become
                         empty */
        GQueue waiting;
        int64_t pass_unix_ms; /* when it began */
        int64_t active_us;    /* last message that went into or came out of the parking queue */
        size_t in_hand;       /* deliveries from the parking queue without an outcome */
        GQueue aside;         /* of those, what failed already in this pass: goes back at its end */
};

Flow *flow_new(const Conf *conf, const ConfRoute *route, const char *name, int number, Outlet *parking_outlet,
               ClusterStats *stats);
void flow_set_destination(Flow *flow, const Conf *conf, const ConfRoute *route, Outlet *outlet);
void flow_free(Flow *flow); /* its lists and ledgers must be empty; NULL is fine */

bool flow_is_common(const Flow *flow);

/* Could what is parked be delivered now, by the view? */
bool flow_is_usable(const Flow *flow, const View *view);

/* What is new goes to the parking queue from now on. No effect unless OPEN. */
void flow_park(Flow *flow, Reason reason);

/* The parking queue holds something: have a look, @delay_ms from now at the earliest. */
void flow_want_pass(Flow *flow, int64_t delay_ms, int64_t now_us);

/* Should a pass begin now? */
bool flow_is_due(const Flow *flow, const View *view, int64_t now_us);
void flow_begin_pass(Flow *flow, const View *view, int64_t now_us, int64_t now_unix_ms);

/* Was this message, come from the parking queue, tried in this pass already? */
bool flow_has_tried(const Flow *flow, const Delivery *delivery);

/* No delivery for a while and nothing in hand but what was put aside: time to ask whether the queue is empty.
 */
bool flow_is_idle(const Flow *flow, int64_t now_us);

/* The pass is over. @whole: the parking queue was emptied; else it is broken off, and the next one waits
 * longer. */
void flow_end_pass(Flow *flow, bool whole, int64_t now_us);
