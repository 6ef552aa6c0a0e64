/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/registry.h"
#include "conf/conf.h"
#include "router/recorder.h"
#include "router/stats.h"

#include <glib.h>

/*
 * The read-only HTTP side: the dashboard at /, /metrics, /healthz, /readyz,
 * /api/v1/{status,routes,clusters,stats,config,history}. libmicrohttpd runs it in a thread of its own, which
 * reads counters, views and the recorder and touches nothing else, so that routing never waits for a reader.
 */
typedef struct Http Http;

/*
 * Listens on the address and port of @conf. @stats, @registry and @recorder must outlive it. Fails if the
 * port is taken.
 */
Http *http_new(const Conf *conf, Stats *stats, Registry *registry, Recorder *recorder,
               GError **error) G_GNUC_WARN_UNUSED_RESULT;
void http_free(Http *http); /* closes the port and joins the thread; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Http, http_free)
