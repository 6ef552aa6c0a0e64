/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/view.h"
#include "conf/conf.h"
#include "router/envelope.h"
#include "router/reason.h"

#include <glib.h>
#include <stdint.h>

/*
 * What happens to one message: a pure function of (what the message says, the route, the view) that gives one
 * place to publish it to and one reason. The same code answers the data path and `clusterctl explain`.
 */

typedef enum {
        DECIDE_DELIVER, /* to the cluster (or, in single-cluster mode, to the one destination) */
        DECIDE_QUEUE,   /* to the queue that a policy names */
        DECIDE_PARK,    /* to the parking queue of the cluster, or the common one if there is no cluster */
        DECIDE_DEAD,    /* to the dead queue */
        DECIDE_FAIL,    /* answer the caller */
} DecisionKind;

typedef struct {
        DecisionKind kind;
        Reason reason;
        const ViewCluster *cluster; /* DELIVER, PARK, FAIL: whose; NULL in single-cluster mode or for the
                                       common parking queue */
        const char *queue;          /* DECIDE_QUEUE: belongs to the route */
} Decision;

/* @ticket picks the cluster for `any`: pass a number that grows by one with each message. */
Decision decide(const Envelope *envelope, const ConfRoute *route, const View *view, uint64_t ticket);
