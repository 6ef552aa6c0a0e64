/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/backoff.h"
#include "router/json_scan.h"
#include "router/ledger.h"
#include "router/outlet.h"
#include "router/publication.h"

#include <glib.h>
#include <stdbool.h>

/*
 * A target: one place messages are published to, and those that wait to be published there, in the order in
 * which they came. A delivery: one message on its way through a lane. Both belong to the thread of their
 * lane.
 */

typedef struct Flow Flow;
typedef struct Target Target;
typedef struct Delivery Delivery;
typedef struct RelayQueue RelayQueue;
typedef struct HostQueue HostQueue;

typedef enum {
        TARGET_DESTINATION, /* of a cluster (or of all, in single-cluster mode) */
        TARGET_PARKING,
        TARGET_QUEUE, /* named by a policy */
        TARGET_DEAD,
        TARGET_CALLER, /* who waits for a reply, on the shared broker */
} TargetKind;

/* Messages, and what they take of memory. */
typedef struct {
        size_t messages;
        uint64_t bytes;
} Load;

struct Target {
        TargetKind kind;
        Flow *flow; /* DESTINATION and PARKING: whose */
        Outlet *outlet;
        char *exchange;      /* template */
        char *key;           /* template, or queue name */
        char *cluster;       /* for {cluster}; "" if none */
        bool declare;        /* a queue that the router makes */
        bool declared;       /* done, or not wanted */
        uint64_t generation; /* of the outlet's channel when it was declared */
        GQueue held;         /* of Delivery *, by arrival */
        bool stalled;        /* stands in its lane's list of targets that hold messages */
        Load unconfirmed;
        Backoff backoff;
        int64_t retry_us;   /* nothing is published before */
        int64_t trouble_us; /* since when what is sent here is refused or cannot be sent, 0: all well */
};

struct Delivery {
        Flight flight; /* first: the ledger knows only this */
        Message *message;
        Provenance provenance;
        Flow *origin;     /* the flow whose parking queue it came from, NULL: from the shared queue */
        uint64_t arrival; /* order of arrival in this lane */
        Target *target;
        Reason reason;
        char *tag_hosts;     /* tag mode: usable hosts of its cluster, else NULL */
        size_t bytes;        /* of header and body as received */
        JsonValue unique_id; /* of an oslo.messaging body that was read; points into it */
        RelayQueue *relay;   /* a reply: the queue it came from, else NULL */
        HostQueue *taken;    /* taken back: the dead host's queue it came from, else NULL */
        char *reply_to;      /* where the caller waits, if replies have to be copied back to it, else NULL */
        char *claimed;       /* the unknown cluster it names, else NULL */
        bool has_affinity;   /* it has a key for rendezvous hashing: */
        uint64_t affinity;
        char *host;         /* for {host}, else NULL */
        bool doubtful;      /* a copy may be out already */
        int64_t expires_us; /* monotonic, 0: never */
        int64_t published_us;
        int64_t kept_us; /* when it was acknowledged */
        GQueue *holder;  /* the list it stands in, or NULL */
        GList link;
};

/* @own: it comes from a queue that the router fills; always so if it has an @origin. */
Delivery *delivery_new(Message *message, Flow *origin, bool own, uint64_t arrival, int64_t now_unix_ms);
void delivery_free(Delivery *delivery); /* takes it out of its list first; NULL is fine */

/* What is left of its expiration: -1 if it has none. */
int64_t delivery_ttl_ms(const Delivery *delivery, int64_t now_us);
bool delivery_is_expired(const Delivery *delivery, int64_t now_us);

/* Puts it into a list by its arrival, taking it out of any other; takes it out of its list. */
void delivery_hold(Delivery *delivery, GQueue *list);
void delivery_unhold(Delivery *delivery);
Load delivery_list_load(const GQueue *list);

void load_add(Load *load, const Delivery *delivery);
void load_remove(Load *load, const Delivery *delivery);

void target_init(Target *target, TargetKind kind, Flow *flow, Outlet *outlet, const char *exchange,
                 const char *key, const char *cluster, bool declare, const Conf *conf);
void target_clear(Target *target); /* its list must be empty */

/* Is that name, an exchange or a key of the configuration, the same for all messages of a cluster? */
bool target_name_is_fixed(const char *name);

/* Messages on their way to it: waiting or unconfirmed. */
size_t target_pending(const Target *target);

/*
 * Where this delivery goes: the templates filled in. The bytes live until the next call with the same
 * @scratch. False if a name would be longer than the 255 bytes that AMQP allows.
 */
bool target_address(const Target *target, const Delivery *delivery, const ConfRoute *route, GString *scratch,
                    amqp_bytes_t *out_exchange, amqp_bytes_t *out_key);
