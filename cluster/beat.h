/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"

#include <glib.h>
#include <stdbool.h>

/*
 * Says "this host is alive" to redis, from a thread of its own: nothing that its caller does can hold up a
 * heartbeat, and a redis that hangs cannot hold up the caller. Logs one line when redis is lost and one when
 * it is back.
 */
typedef struct Beat Beat;

/* Registers @host in @cluster and beats from now on. Fails only if the URL in @conf cannot be read. */
Beat *beat_start(const Conf *conf, const char *cluster, const char *host,
                 GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Removes the heartbeat and the registration and stops. Takes no longer than the redis timeout: if redis has
 * not answered by then, the thread is left to itself (the program is about to end) and the heartbeat expires.
 */
void beat_stop(Beat *beat);
