/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/view.h"
#include "conf/conf.h"
#include "router/envelope.h"

#include <glib.h>
#include <stdint.h>

/*
 * What happens to one message: a pure function of (what the message says, the route, the view) that gives one
 * place to publish it to and one reason. The same code answers the data path and `clusterctl explain`.
 */

/* One list for headers, logs, metrics and explain: code, and what it means. */
#define REASONS(X)                                                                                           \
        X(LIVE, "live", "delivered: the cluster it names has usable hosts")                                  \
        X(NO_CLUSTER, "no_cluster", "it names no cluster")                                                   \
        X(UNKNOWN_CLUSTER, "unknown_cluster", "it names a cluster that nobody knows")                        \
        X(CLUSTER_DOWN, "cluster_down", "no host of its cluster is usable")                                  \
        X(CLUSTER_DRAINED, "cluster_drained", "its cluster is being drained by the operator")                \
        X(BAD_MESSAGE, "bad_message",                                                                        \
          "its cluster cannot be read: broken body, wrong type or two fields of one name")                   \
        X(UNROUTABLE, "unroutable", "the broker returned it: nothing is bound where it should go")           \
        X(NACKED, "nacked", "the broker refused it repeatedly, or did not take it in time")                  \
        X(EXPIRED, "expired", "its time was over before it could be delivered")                              \
        X(TOO_LARGE, "too_large", "larger than the broker takes")                                            \
        X(POISON, "poison", "it was in hand at several crashes of the router")                               \
        X(REPLY, "reply", "a reply, copied back to its caller")                                              \
        X(REPLY_ORPHAN, "reply_orphan", "a reply whose caller is gone")

typedef enum {
#define REASON_ENUM(id, code, meaning) REASON_##id,
        REASONS(REASON_ENUM)
#undef REASON_ENUM
            REASON_COUNT
} Reason;

const char *reason_code(Reason reason);
const char *reason_meaning(Reason reason);

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
