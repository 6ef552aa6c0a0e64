/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/damping.h"

#include <string.h>

/*
 * A small world: clusters "a", "b", "c", ... of hosts "a0", "a1", ...; a poll shows who beats, who is
 * registered, and whether redis still has the counts.
 */
enum { CLUSTERS_MAX = 4, HOSTS_MAX = 10, SECOND_US = G_USEC_PER_SEC };

typedef struct {
        Damping *damping;
        DampingRules rules;
        unsigned clusters;
        unsigned hosts;
        bool beats[CLUSTERS_MAX][HOSTS_MAX];
        bool registered[CLUSTERS_MAX][HOSTS_MAX];
        bool unknown[CLUSTERS_MAX];
        bool counts_missing;
        bool configured; /* all are members of the file */
        bool same;       /* the poll says of itself that it found nothing new */
        bool taken;      /* in: the last poll was not passed over */
        int64_t now_us;
} World;

static inline void
world_init(World *world, unsigned clusters, unsigned hosts)
{
        *world = (World){.damping = damping_new(), .clusters = clusters, .hosts = hosts, .now_us = 1};
        world->rules = (DampingRules){
            .rise = 1, .fall = 1, .brake_percent = 30, .ttl_us = 15 * SECOND_US, .window_us = 6 * SECOND_US};
        memset(world->beats, true, sizeof world->beats);
        memset(world->registered, true, sizeof world->registered);
}

static inline void
world_clear(World *world)
{
        damping_free(world->damping);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

static inline void
add_host(const World *world, unsigned cluster, unsigned host, LivenessCluster *out_cluster)
{
        if (!world->registered[cluster][host] && !world->configured)
                return;
        LivenessHost *found = g_new0(LivenessHost, 1);
        found->name = g_strdup_printf("%c%u", 'a' + (int)cluster, host);
        found->configured = world->configured;
        found->registered = world->registered[cluster][host];
        found->alive = world->beats[cluster][host];
        g_ptr_array_add(out_cluster->hosts, found);
}

static inline void
poll_as(World *world, int64_t after_s, bool restarted)
{
        g_autoptr(GPtrArray) clusters = g_ptr_array_new_with_free_func((GDestroyNotify)liveness_cluster_free);
        for (unsigned i = 0; i < world->clusters; i++) {
                char name[] = {(char)('a' + i), '\0'};
                LivenessCluster *cluster = liveness_cluster_new(name, NULL);
                cluster->known = !world->unknown[i];
                cluster->counts_missing = world->counts_missing;
                cluster->changed = !world->same;
                for (unsigned j = 0; j < world->hosts && cluster->known; j++)
                        add_host(world, i, j, cluster);
                g_ptr_array_add(clusters, cluster);
        }
        world->now_us += after_s * SECOND_US;
        world->taken = damping_update(world->damping, &world->rules, clusters, restarted, world->now_us);
}

static inline void
poll_after(World *world, int64_t seconds)
{
        poll_as(world, seconds, false);
}

static inline unsigned
alive_in(const World *world, unsigned cluster)
{
        char name[] = {(char)('a' + cluster), '\0'};
        GHashTable *hosts = damping_hosts(world->damping, name);
        unsigned alive = 0;
        GHashTableIter iter;
        gpointer value;
        if (hosts == NULL)
                return 0;
        g_hash_table_iter_init(&iter, hosts);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                alive += ((DampedHost *)value)->alive;
        return alive;
}

static inline unsigned
alive(const World *world)
{
        unsigned total = 0;
        for (unsigned i = 0; i < world->clusters; i++)
                total += alive_in(world, i);
        return total;
}

static inline void
kill_hosts(World *world, unsigned cluster, unsigned first, unsigned count)
{
        memset(&world->beats[cluster][first], false, count);
}

static inline void
leave(World *world, unsigned cluster, unsigned first, unsigned count)
{
        kill_hosts(world, cluster, first, count);
        memset(&world->registered[cluster][first], false, count);
}
