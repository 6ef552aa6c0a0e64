/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/liveness_poll.h"
#include "cluster/redis_link.h"
#include "cluster/view.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Who is alive, as redis has it (schema/redis.md): hosts beat, the router's registry checks.
 *
 * A heartbeat is a key with a time to live; its expiry is the only timeout and no clocks are compared. Every
 * call has a time limit (per read and write) and opens the connection if there is none; after a failure the
 * next call connects anew, so the caller decides how soon that is. One thread.
 */
typedef struct Liveness Liveness;

Liveness *liveness_new(const char *url, int64_t timeout_ms, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void liveness_free(Liveness *liveness); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Liveness, liveness_free)

/* Registers @host in @cluster and renews its heartbeat key for @ttl_ms. */
bool liveness_send_heartbeat(Liveness *liveness, const char *cluster, const char *host, int64_t ttl_ms,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The host leaves: its heartbeat key and its registration go at once. */
bool liveness_goodbye(Liveness *liveness, const char *cluster, const char *host,
                      GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Reads the members and heartbeats of all @clusters (of LivenessCluster *), cheapest for those of the poll
 * before. False: nothing is known of any; the next poll begins with new ones. What is odd but does not stop
 * the poll (a key of the wrong type, a heartbeat that never expires, an illegal name) is appended to
 * @warnings (of char *), the same text every time it is seen.
 */
bool liveness_check_hosts(Liveness *liveness, GPtrArray *clusters, GPtrArray *warnings,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Writes the counts of each known cluster where redis has others or none. For people; that redis takes no
 * writes is a warning, not a failure of the poll.
 */
void liveness_write_counts(Liveness *liveness, GPtrArray *clusters, GPtrArray *warnings);

/* Its connection, for what else the same thread asks of redis. */
RedisLink *liveness_link(Liveness *liveness);

/* Identity of the redis process seen by the last poll, "" if it is not known. */
const char *liveness_run_id(const Liveness *liveness);

/*
 * Names of the usable hosts of @cluster (name or alias), or with NULL those of all clusters: new array of
 * char *, NULL if there is no such cluster. Drained clusters have none.
 */
GPtrArray *liveness_get_usable_hosts(const View *view, const char *cluster) G_GNUC_WARN_UNUSED_RESULT;
