/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/view.h"
#include "conf/conf.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The registry joins configuration, catalogue (MySQL) and liveness (redis) into views, in a thread of its
 * own.
 *
 * It polls redis every [redis] poll and the catalogue every [mysql] refresh. Redis or MySQL gone means
 * unknown, never empty: the last good view stays in force and its age is shown. All functions may be called
 * from any thread.
 */
typedef struct Registry Registry;

typedef enum {
        SOURCE_OFF,     /* not configured */
        SOURCE_WAITING, /* never reached so far */
        SOURCE_OK,
        SOURCE_LOST, /* reached before, not now */
} SourceState;

/* What the operator sees; all times monotonic, in microseconds (g_get_monotonic_time). */
typedef struct {
        SourceState redis;
        SourceState mysql;
        int64_t redis_ok_us; /* last good poll, 0: never */
        int64_t mysql_ok_us;
        char redis_error[160]; /* "" if none */
        char mysql_error[160];
        int64_t view_checked_us; /* when the view in force was last known to be true */
        bool frozen;             /* the mass-death brake holds the view */
} RegistryStatus;

/* Called in the registry's thread after a new view is in force; must not block. */
typedef void (*RegistryNotify)(void *user_data);

/*
 * Makes the first view from what can be had at once (the file, the last view in state_dir, one try at redis
 * and MySQL within their timeouts) and starts the thread. Fails only where the configuration names a cluster
 * that neither the file nor a reachable catalogue knows.
 */
Registry *registry_new(Conf *conf, RegistryNotify notify, void *user_data,
                       GError **error) G_GNUC_WARN_UNUSED_RESULT;
void registry_free(Registry *registry); /* stops and joins the thread; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Registry, registry_free)

/* The view in force, a new reference. */
View *registry_get_view(Registry *registry) G_GNUC_WARN_UNUSED_RESULT;

/* Number of the view in force: one atomic read, to see without a lock whether registry_get_view() has news.
 */
uint64_t registry_generation(Registry *registry);

/*
 * Puts @conf in force: the change of file clusters shows in the next view, made before this returns (from
 * what is known of redis and MySQL, without waiting for them). The old configuration stays if it returns
 * false.
 */
bool registry_reload(Registry *registry, Conf *conf, GError **error) G_GNUC_WARN_UNUSED_RESULT;

void registry_get_status(Registry *registry, RegistryStatus *out_status);

/*
 * What a host says by message instead of in redis itself: that it is there, or that it leaves. The registry's
 * thread writes it to redis; without [redis] this process alone keeps it, for one heartbeat TTL. Both names
 * must be legal and the cluster known. False: too many wait to be written, try again later.
 */
typedef enum { REGISTRY_HEARTBEAT, REGISTRY_GOODBYE } RegistryNote;
bool registry_note_host(Registry *registry, RegistryNote note, const char *cluster,
                        const char *host) G_GNUC_WARN_UNUSED_RESULT;

/* Polls now instead of at the next tick. */
void registry_poke(Registry *registry);
