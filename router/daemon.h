/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"

#include <glib.h>
#include <stdbool.h>

/*
 * The daemon owns everything: configuration, registry, counters, HTTP, lanes. Built from the ground up, torn
 * down in reverse. Main thread only.
 */
typedef struct Daemon Daemon;

#define DAEMON_ERROR (daemon_error_quark())
GQuark daemon_error_quark(void);
typedef enum {
        DAEMON_ERROR_CONFIG,      /* exit status 78 */
        DAEMON_ERROR_UNAVAILABLE, /* exit status 69 */
} DaemonError;

/* Starts registry, HTTP and lanes; takes its own reference of @conf. */
Daemon *daemon_new(Conf *conf, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void daemon_free(Daemon *daemon); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Daemon, daemon_free)

/*
 * Runs until SIGTERM or SIGINT: HUP reloads, TERM and INT stop and settle, a second one ends at once. With
 * @fail_fast it gives up when a route cannot reach its broker at start. Returns false with @error then, else
 * true.
 */
bool daemon_run(Daemon *daemon, bool fail_fast, GError **error);
