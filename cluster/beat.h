/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"

#include <glib.h>
#include <stdbool.h>

/* One way to say it: calls that take no longer than some seconds, for one thread. */
typedef struct {
        const char *place; /* where heartbeats arrive, for people: "redis" */
        bool (*send)(void *sender, const char *cluster, const char *host, int64_t ttl_ms, GError **error);
        bool (*goodbye)(void *sender, const char *cluster, const char *host, GError **error);
        void (*free)(void *sender);
} BeatWay;

extern const BeatWay beat_by_redis; /* the sender is a Liveness */

/*
 * Says "this host is alive" by some way, from a thread of its own: nothing that its caller does can hold up a
 * heartbeat, and a server that hangs cannot hold up the caller. Logs one line when heartbeats are lost and
 * one when they arrive again.
 */
typedef struct Beat Beat;

/* Registers @host in @cluster and beats from now on. Takes over @sender. */
Beat *beat_start(const Conf *conf, const BeatWay *way, void *sender, const char *cluster,
                 const char *host) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Removes the heartbeat and the registration and stops. Takes no longer than [redis] timeout: if the server
 * has not answered by then, the thread is left to itself (the program is about to end) and the heartbeat
 * expires.
 */
void beat_stop(Beat *beat);
