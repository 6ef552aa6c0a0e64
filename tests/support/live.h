/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What every live test needs: where the servers are, waiting for something to become true, a configuration
 * file, a look at HTTP. A live test runs under tests/support/servers.py; what breaks aborts it with the
 * reason.
 */

/* The value of an environment variable such as AMQP_URL; NULL, after marking the test as skipped, if unset.
 */
const char *live_env(const char *name) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Asks @predicate every 20 ms until it says true; false if @deadline_ms passed first, as many times as
 * LIVE_PATIENCE in the environment says.
 */
bool live_wait(int64_t deadline_ms, bool (*predicate)(void *data), void *data) G_GNUC_WARN_UNUSED_RESULT;

/* A port of 127.0.0.1 that nobody listens on just now. */
uint16_t live_free_port(void);

/* A file of that text in a new directory of its own; free the path with live_remove_file(). */
char *live_write_file(const char *name, const char *text) G_GNUC_WARN_UNUSED_RESULT;
void live_remove_file(char *path); /* the file, its directory, and the path itself; NULL is fine */

/* GET of an http: URL: the JSON of a 200 answer (free with json_decref), NULL for anything else. */
json_t *live_http_json(const char *url) G_GNUC_WARN_UNUSED_RESULT;

/* GET of an http: URL: its status and, if @out_body is not NULL, its body (g_free); 0 if there is no answer.
 */
long live_http_get(const char *url, char **out_body);
