/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"

#include <amqp.h>
#include <glib.h>
#include <stdbool.h>

/*
 * Makes one AMQP connection from a URL: connect, TLS, log in, open channel 1. Blocks, at most DIAL_CONNECT_MS
 * + DIAL_LOGIN_MS. Any thread.
 */
enum { LINK_CHANNEL = 1, LINK_SIDE_CHANNEL = 2, LINK_FRAME_BYTES = 131072 };

enum { DIAL_CONNECT_MS = 5000, DIAL_LOGIN_MS = 10000, DIAL_RPC_MS = 10000 };

typedef enum { DIAL_ERROR_REFUSED, DIAL_ERROR_LOGIN, DIAL_ERROR_SETUP } DialError;
#define DIAL_ERROR (dial_error_quark())
GQuark dial_error_quark(void);

/*
 * @name is shown in the broker's list of connections. Announces consumer_cancel_notify and
 * connection.blocked. The error names the URL without its password.
 */
amqp_connection_state_t dial(const char *url, const ConfTls *tls, unsigned heartbeat_s, const char *name,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Closes the socket and frees the connection, without a word to the broker. */
void dial_discard(amqp_connection_state_t connection);

/* What went wrong in a call of the library, for people; new string. */
char *dial_describe_reply(amqp_rpc_reply_t reply);
