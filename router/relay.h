/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/intake.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The way back: for a cluster with its own broker, the reply queues that the router keeps there in the name
 * of callers, and the intake that consumes them. A service answers to the default exchange of its own broker,
 * so a queue of the name that the caller waits on has to be there before the request is. Belongs to the
 * thread of its lane.
 */
typedef struct Relay Relay;

struct RelayQueue {
        char *name;        /* on both sides */
        int number;        /* its consumer on the intake */
        int64_t used_us;   /* last request or reply */
        uint64_t declared; /* generation of the outlet it was declared through, 0: not yet */
        bool idle;         /* its caller is gone: not consumed until it is asked for again */
        int64_t noted_us;  /* when it was last written into the book */
        uint64_t consumed; /* generation of the intake's channel it is consumed on, 0: not */
        bool refused;      /* somebody else's queue has this name: no replies are copied */
        size_t in_hand;    /* replies without an outcome */
};
typedef struct RelayQueue RelayQueue;

struct Relay {
        Intake *intake;
        GPtrArray *queues;        /* of RelayQueue * */
        GHashTable *names;        /* name -> RelayQueue * */
        GHashTable *numbers;      /* number -> RelayQueue * */
        int next_number;          /* none comes again: replies of a dropped queue may still be on their way */
        uint64_t book_generation; /* of the names learned last */
        size_t look;              /* where the search for unused ones goes on */
};

enum { RELAY_QUEUES_MAX = 4096, RELAY_UNUSED_S = 35 * 60, RELAY_KEEP_S = 60 };

Relay *relay_new(Intake *intake); /* takes over the intake */
void relay_free(Relay *relay);    /* its ledger must be empty; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Relay, relay_free)

/*
 * The queue of that name, made known at the first call. If there are too many, the one unused for longest
 * makes room; NULL if all were used in the last RELAY_KEEP_S.
 */
RelayQueue *relay_queue(Relay *relay, const char *name, int64_t now_us);

/* The queue with that consumer number, or NULL. */
RelayQueue *relay_by_number(const Relay *relay, int number);

/* The next queue that has to be declared and consumed on the channel there is now, or NULL. Drops unused ones
 * on its way. */
RelayQueue *relay_next_waiting(Relay *relay, int64_t now_us);
/* It is declared: consumes it, unless that is done, refused or must wait for the connection. */
void relay_consume(Relay *relay, RelayQueue *queue, unsigned prefetch);

/* The caller is gone: consumes no more; the queue expires by itself unless it is used again. */
void relay_let_go(Relay *relay, RelayQueue *queue);
