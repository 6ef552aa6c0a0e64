/* SPDX-License-Identifier: MIT */
#pragma once

/* Why a message ended where it did. One list for headers, logs, metrics and explain: code, meaning. */
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
