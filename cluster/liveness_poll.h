/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/redis_link.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* What one look at redis finds (schema/redis.md); for everybody else through cluster/liveness.h. */

/* One member as a poll found it. */
typedef struct {
        char *name;
        int64_t ttl_ms;  /* until its heartbeat expires; negative if it has none */
        bool configured; /* member by the config file */
        bool registered; /* member by the set in redis */
        bool alive;      /* its heartbeat key exists and will expire */
} LivenessHost;

/* One cluster: what to ask for goes in, what was found comes out, and helps the next poll to ask. */
typedef struct {
        char *name;
        GPtrArray *hosts;    /* of LivenessHost *; after a poll sorted by name and all members */
        unsigned alive;      /* how many of them */
        bool known;          /* false: redis gave no usable answer for this cluster; nothing was learnt */
        bool changed;        /* the poll before found others, or another of the fields around this one */
        bool counts_missing; /* the two counts are not in redis, as after a flush */
        int64_t host_num;    /* the counts as they stand in redis, -1 if missing or no number */
        int64_t up_host_num;
        /* The rest is for the next poll alone. */
        GString *listed; /* names in the set, in the order of redis, a space behind each */
        char *question;  /* commands in redis' protocol, or NULL: not written yet */
        size_t question_bytes;
        size_t heartbeats_at; /* in question: where those for heartbeats begin */
} LivenessCluster;

/* @members (NULL-terminated, or NULL): those of the config file. */
LivenessCluster *liveness_cluster_new(const char *name, const char *const *members);
void liveness_cluster_free(LivenessCluster *cluster); /* NULL is fine */

/* As liveness_check_hosts(), on an open link. */
bool liveness_poll(RedisLink *link, GPtrArray *clusters, GPtrArray *warnings,
                   GError **error) G_GNUC_WARN_UNUSED_RESULT;
