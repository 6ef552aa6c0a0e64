/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/registry.h"
#include "conf/conf.h"
#include "router/stats.h"

#include <glib.h>

/*
 * The read-only HTTP side: /metrics, /healthz, /readyz, /api/v1/{status,routes,clusters,stats}. libmicrohttpd
 * runs it in a thread of its own, which reads counters and views and touches nothing else, so that routing
 * never waits for a reader.
 */
typedef struct Http Http;

/* Listens on the address and port of @conf. @stats and @registry must outlive it. Fails if the port is taken.
 */
Http *http_new(const Conf *conf, Stats *stats, Registry *registry, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void http_free(Http *http); /* closes the port and joins the thread; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Http, http_free)
