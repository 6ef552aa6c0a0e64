/* SPDX-License-Identifier: MIT */
#pragma once

#include "tests/support/client.h"
#include "tests/support/program.h"

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A stage: one broker, one client there, one router with a configuration file of its own. Main thread only.
 *
 * Every stage has a name that no other has; `$N` in configurations stands for it, so that tests share a
 * broker without meeting. What a test writes goes on in the group [broker]: its first lines may be keys of
 * that group.
 */
typedef struct {
        char *name;
        char *url; /* of the broker */
        char *directory;
        char *conf_path;
        uint16_t http_port;
        Client *client;
        Program *router; /* NULL: none is running */
} Stage;

/* At the broker of AMQP_URL; NULL, the test being marked as skipped, if there is none. No router yet. */
Stage *stage_new(const char *name) G_GNUC_WARN_UNUSED_RESULT;
/* The same at the broker of that environment variable, but without a client: it may not be running. */
Stage *stage_new_at(const char *name, const char *variable) G_GNUC_WARN_UNUSED_RESULT;
void stage_free(Stage *stage); /* kills the router; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Stage, stage_free)

/* `$N` replaced; the caller's. */
char *stage_text(const Stage *stage, const char *text) G_GNUC_WARN_UNUSED_RESULT;

/* Writes the configuration. */
void stage_configure(Stage *stage, const char *text);
/* Starts a router on it, and waits until it consumes all its routes. */
void stage_start(Stage *stage);
void stage_start_with(Stage *stage, const char *option_or_null); /* the same, without waiting */
void stage_wait_ready(Stage *stage);
void stage_run(Stage *stage, const char *text); /* both: configure and start */
/* Writes the configuration, sends SIGHUP, waits until the router says that it took it. */
void stage_reload(Stage *stage, const char *text);
/* SIGTERM; the router must exit with 0. */
void stage_stop(Stage *stage);
/* kill -9. */
void stage_kill(Stage *stage);

/* ---- queues: a name may begin with $N ---- */

void stage_declare(Stage *stage, const char *queue);
void stage_declare_limited(Stage *stage, const char *queue, int64_t max_length); /* refuses what is more */
void stage_delete(Stage *stage, const char *queue);
void stage_send(Stage *stage, const char *queue, const char *cluster_or_null, const char *body);
/* The next message of a queue, waiting for it; aborts the test if there is none. */
ClientMessage *stage_take(Stage *stage, const char *queue) G_GNUC_WARN_UNUSED_RESULT;
/* Takes the next message and compares its body. */
void stage_expect(Stage *stage, const char *queue, const char *body);
/* Ready messages; 0 if there is no such queue. */
uint32_t stage_count(Stage *stage, const char *queue);
void stage_wait_count(Stage *stage, const char *queue, uint32_t messages);

/* ---- what the router says of itself ---- */

/* Status of a GET, 0 if nobody answers. */
long stage_get(Stage *stage, const char *path, char **out_body_or_null);
/* The route of that name in /api/v1/stats; NULL if there is no answer. Free with json_decref. */
json_t *stage_route(Stage *stage, const char *route) G_GNUC_WARN_UNUSED_RESULT;
/* A number of it, or with "clusters/CLUSTER/KEY" one of that cluster, "reasons/CODE" a reason; -1 if there is
 * none. */
int64_t stage_number(Stage *stage, const char *route, const char *key);
/* Waits until that cluster's messages flow so: "open", "parking", "unparking". */
void stage_wait_flow(Stage *stage, const char *cluster, const char *flow);
void stage_wait_number(Stage *stage, const char *route, const char *key, int64_t value);
/* in + unparked_found + taken_back = delivered + dead + expired + parked_now + in_flight. */
bool stage_balances(Stage *stage, const char *route);
