/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/backoff.h"
#include "cluster/view.h"
#include "conf/conf.h"

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The queues of hosts that are down, for a route whose destination is a queue of {host}: which there are by
 * the view, and when each is due to be taken back from. Only hosts that the view knows and calls dead; a
 * queue whose name another cluster's living host shares is not among them. Pure, no I/O; one thread.
 */

typedef enum {
        HOST_QUEUE_LEFT,  /* not consumed */
        HOST_QUEUE_TAKEN, /* consumed: what lies there comes out */
        HOST_QUEUE_ENDING /* cancelled; deliveries may be on their way until the broker answers */
} HostQueueState;

typedef struct HostQueue HostQueue;

struct HostQueue {
        char *cluster;
        char *host;
        char *queue;
        int number;     /* of its consumer: no other has it until this one is dropped */
        bool dead;      /* the host, by the view followed last */
        uint64_t round; /* for host_queue.c */
        HostQueueState state;
        int64_t due_us; /* LEFT: not looked at before */
        Backoff backoff;
        size_t in_hand;    /* deliveries from it without an outcome */
        int64_t active_us; /* TAKEN: when a message came last, or it was looked at */
        uint64_t taken;    /* messages, since it was consumed */
        bool refused;      /* the broker does not let us look at it, and that was said */
};

typedef struct HostQueues HostQueues;

/* NULL for a route without such queues. @route must outlive it. */
HostQueues *host_queues_new(const ConfRoute *route);
void host_queues_free(HostQueues *queues); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HostQueues, host_queues_free)

/*
 * Adds those of hosts that are dead now, due once `take_back` has passed; drops those of hosts that are not
 * and have nothing in hand.
 */
void host_queues_follow(HostQueues *queues, const View *view, int64_t now_us);

HostQueue *host_queues_by_number(const HostQueues *queues, int number); /* or NULL */
int host_queues_numbers(const HostQueues *queues);                      /* all numbers are below */

/* The next in turn, or NULL if there is none; after host_queues_count() calls each had its turn. */
HostQueue *host_queues_next(HostQueues *queues);
unsigned host_queues_count(const HostQueues *queues);
unsigned host_queues_taken(const HostQueues *queues); /* how many are not LEFT */

void host_queue_take(HostQueues *queues, HostQueue *queue, int64_t now_us);
/* Not consumed any more: to be looked at again after a pause, a longer one each time it held @nothing. */
void host_queue_leave(HostQueues *queues, HostQueue *queue, bool nothing, int64_t now_us);
