/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"

#include <amqp.h>
#include <glib.h>
#include <stdbool.h>

/*
 * One attempt to connect, in a thread of its own, since a silent broker can hold it up for seconds. Shared by
 * that thread and the owner; whichever lets go last frees it.
 */
typedef struct Dialler Dialler;

/*
 * Prepares a fresh connection whose LINK_CHANNEL is open; called in the dialling thread. May only use its
 * arguments. On failure sets @error, and the connection is thrown away.
 */
typedef bool (*DiallerSetup)(amqp_connection_state_t connection, const Conf *conf, const ConfRoute *route,
                             GError **error);

typedef struct {
        Conf *conf;             /* the dialler takes a reference */
        const ConfRoute *route; /* of that conf */
        const char *url;        /* of that conf */
        const ConfTls *tls;     /* of that conf */
        const char *role;       /* for the connection name: "intake", "outlet", ... */
        DiallerSetup setup;
        int wake_fd; /* eventfd, written when it is done */
} DiallerOptions;

Dialler *dialler_start(const DiallerOptions *options);
void dialler_unref(Dialler *dialler); /* the thread ends by itself; NULL is fine */

bool dialler_is_done(const Dialler *dialler);

/* Once done: the connection, now the caller's, or NULL with why in @out_error (belongs to the dialler). */
amqp_connection_state_t dialler_take(Dialler *dialler, const char **out_error);
