/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A view: an immutable picture of all clusters and hosts at one moment.
 *
 * Only the registry makes views (through view_new); lanes, HTTP and clusterctl read them. Reference counted,
 * so any thread may keep one for as long as it holds a reference. A new view is made only when something
 * changed.
 *
 * Clusters stand in an array; while `layout` is the same, a cluster keeps its index from view to view, so
 * that a lane may keep its own array beside it and needs no look-up by name after the first.
 */

enum { VIEW_CHANGES = 8 };

typedef struct {
        char *name;
        bool usable;                      /* heartbeat key exists (or no redis at all), and not drained */
        bool alive;                       /* heartbeat key exists, or no redis */
        bool drained;                     /* taken out by the operator */
        bool configured;                  /* member by the config file (else by registration) */
        bool registered;                  /* member by registration */
        int64_t since_us;                 /* monotonic time of the last change of `usable` */
        const char *evidence;             /* a constant word: how it is known whether it is alive; or NULL */
        int64_t changes_us[VIEW_CHANGES]; /* when it came and went last, in no order; 0: nothing */
        uint64_t name_hash;               /* filled in by view_new(), see cluster/rendezvous.h */
} ViewHost;

typedef struct {
        char *name;
        uint32_t index;     /* in View.clusters */
        int64_t id;         /* catalogue id, 0 if from the file alone */
        bool drained;       /* state drain: takes nothing new */
        char *drain_reason; /* these four: or NULL */
        char *drain_since;  /* for people */
        char *drain_by;
        char *drain_to; /* the cluster that gets what is new while this one is drained */
        GStrv aliases;
        GPtrArray *hosts;  /* of ViewHost *, sorted by name */
        GPtrArray *usable; /* of ViewHost *, borrowed from hosts, same order */
        char *usable_text; /* names of the usable hosts joined by ",", never NULL */
        uint64_t
            usable_before; /* sum of usable hosts of all ready clusters before this one: weights for "any" */
} ViewCluster;

typedef struct View View;
struct View {
        gatomicrefcount refs;
        uint64_t generation;   /* grows with every new view */
        uint64_t layout;       /* grows when the set or order of clusters changes */
        bool single;           /* single-cluster mode: there are no clusters and the field means nothing */
        GPtrArray *clusters;   /* of ViewCluster * */
        uint64_t usable_total; /* usable hosts of all clusters that are not drained */
        GHashTable *by_name;   /* names and aliases -> ViewCluster * */
        GHashTable *by_host;   /* host name -> ViewCluster * */
};

/* A cluster as the registry knows it before a view is made of it. Plain input of view_new(); all borrowed. */
typedef struct {
        const char *name;
        int64_t id;
        bool drained;
        const char *drain_reason;
        const char *drain_since;
        const char *drain_by;
        const char *drain_to;
        const char *const *aliases; /* or NULL */
        const ViewHost *hosts;
        size_t n_hosts;
} ViewInput;

/*
 * Makes a view of @inputs (in that order). @previous (or NULL) gives the layout to keep: the layout number
 * stays if names and order are the same. Names are expected to be legal and distinct; an alias that is also a
 * name or alias of an earlier cluster is ignored (the configuration check refuses it).
 */
View *view_new(const ViewInput *inputs, size_t n_inputs, bool single,
               const View *previous) G_GNUC_WARN_UNUSED_RESULT;
View *view_ref(View *view);
void view_unref(View *view); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(View, view_unref)

/* True if both show the same: no new view is needed. Times and `registered` are not compared. */
bool view_equal(const View *a, const View *b);

/* The cluster of that name or alias, or NULL. @name is bytes from a wire: any length, any content. */
const ViewCluster *view_find(const View *view, const char *name, size_t length);

/* The cluster that has a member of that name, or NULL. */
const ViewCluster *view_find_by_host(const View *view, const char *host, size_t length);

/* Not drained and at least one usable host. */
bool view_cluster_is_usable(const ViewCluster *cluster);

/*
 * The @ticket-th usable host (modulo their number) counted over all clusters that are not drained: gives its
 * cluster, or NULL if there is none. Consecutive tickets spread over clusters in proportion to their usable
 * hosts. O(log clusters).
 */
const ViewCluster *view_pick(const View *view, uint64_t ticket);
