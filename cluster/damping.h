/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/liveness.h"
#include "cluster/view.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What is believed about hosts, given what the polls found: rise and fall, and the mass-death brake. Pure:
 * time comes in, nothing is asked. One thread, or under the caller's lock.
 *
 * A heartbeat that expires is a death; a host that takes itself out of the set says goodbye, which is
 * believed at once and never counts as a death. When too many die together, in more than one cluster, the
 * cause is more likely redis than the hosts: the brake then holds the dead as alive for three TTLs before it
 * believes them.
 *
 * A host that dies within three TTLs of its return flaps: it comes back only after three TTLs of unbroken
 * heartbeats, so it returns at most once in that time. Its deaths are believed like any other's.
 */
typedef struct {
        unsigned rise;          /* polls with a heartbeat before a host counts as alive */
        unsigned fall;          /* polls without one before it counts as dead */
        unsigned brake_percent; /* more deaths than this share of the living, at least 3: hold them */
        int64_t ttl_us;         /* of a heartbeat */
        int64_t window_us;      /* deaths this close to each other are one event */
} DampingRules;

typedef enum {
        EVIDENCE_NONE,   /* assumed: a member of the file that nobody could ask about */
        EVIDENCE_SAVED,  /* from the view saved by an earlier run */
        EVIDENCE_POLLED, /* seen in redis by this one */
} DampingEvidence;

typedef struct {
        char *name;
        bool alive; /* believed */
        bool configured;
        int64_t since_us; /* last change of `alive` */
        /* The rest is for damping.c. */
        DampingEvidence evidence;
        bool registered;                  /* as the last poll found it */
        bool seen;                        /* in the poll being taken in */
        bool held;                        /* dead by the polls, alive by the brake */
        unsigned streak;                  /* polls in a row that contradict `alive` */
        int64_t died_us;                  /* when a seen heartbeat was believed expired, else 0 */
        bool has_died;                    /* so, at any time */
        bool flapping;                    /* died again soon after it came back: now it has to prove itself */
        int64_t risen_us;                 /* when it came back after such a death, else 0 */
        int64_t beating_us;               /* first heartbeat of the present streak */
        int64_t changes_us[VIEW_CHANGES]; /* of `alive`, a ring */
        unsigned n_changes;
} DampedHost;

typedef struct Damping Damping;

Damping *damping_new(void);
void damping_free(Damping *damping); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Damping, damping_free)

/*
 * Takes in one poll of all clusters (of LivenessCluster *): a cluster that is not among them is forgotten,
 * one that is not known stays as it was. @restarted: this redis process is not the one of the poll before; if
 * it also knows fewer living hosts, the brake holds what was believed. True if what damping_hosts() or
 * damping_is_frozen() tells may be another now. A poll that found nothing `changed` costs next to nothing,
 * unless something is still in question.
 */
bool damping_update(Damping *damping, const DampingRules *rules, GPtrArray *clusters, bool restarted,
                    int64_t now_us) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Between polls: @members (NULL-terminated) are those of the file now. New ones come in as @alive, those that
 * left go unless they are registered.
 */
void damping_set_members(Damping *damping, const char *cluster, const char *const *members, bool alive,
                         int64_t now_us);

/* A host as the saved view has it; for a start without redis. */
void damping_restore(Damping *damping, const char *cluster, const char *host, bool alive, int64_t now_us);

/* Host name -> DampedHost *, or NULL if the cluster is not known here. Valid until the next change. */
GHashTable *damping_hosts(const Damping *damping, const char *cluster);

/* Does the brake hold anything? */
bool damping_is_frozen(const Damping *damping);
