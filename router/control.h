/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/registry.h"
#include "conf/conf.h"
#include "router/stats.h"

/*
 * Serves the control queue of one broker, in a thread of its own: questions of other programs and heartbeats
 * of hosts, see schema/control.md. Routers compete for the requests, each of which is answered once.
 */
typedef struct Control Control;

#define CONTROL_QUEUE "cluster-router.control"

/* @cluster: at its own broker, where it speaks for itself alone; NULL: at the shared one. Never fails: tries
 * again, and logs what is wrong once. The others must live until control_stop(). */
Control *control_new(Conf *conf, const ConfCluster *cluster, Registry *registry, Stats *stats);

/* From here on its thread touches nothing of the caller's, and ends by itself. Returns at once. */
void control_stop(Control *control);

/* After control_stop(): waits until the thread has said goodbye to the broker, at most a second. */
void control_wait(Control *control);

void control_free(Control *control); /* after control_stop(); does not wait; NULL is fine */
