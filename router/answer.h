/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/decide.h"
#include "router/envelope.h"
#include "router/message.h"

#include <glib.h>
#include <jansson.h>

/*
 * What a caller is told at once when its call cannot be served, instead of being left to time out. Pure.
 *
 * To an oslo.messaging client it is a reply that carries a remote exception, which the client raises as
 * RemoteError (class ClusterUnavailable, module cluster_router). To any other client it is a small JSON
 * document,
 * {"error": {"cluster", "reason", "message"}}, with the correlation id of the request.
 */

/* Where the caller waits: _reply_q of an oslo call, else the property reply_to; NULL if nowhere. New string.
 */
char *answer_address(const Envelope *envelope, const Message *request) G_GNUC_WARN_UNUSED_RESULT;

/* The answer, a new message addressed to the default exchange and @address. */
Message *answer_new(const Envelope *envelope, const Message *request, const char *address,
                    const char *cluster, Reason reason) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The body of a reply as oslo.messaging sends it: @result (taken over; NULL: null) or, with @class_name, a
 * remote exception with @text. @msg_id of the request, or NULL. Free with free().
 */
char *answer_oslo_body(const char *msg_id, json_t *result, const char *class_name,
                       const char *text) G_GNUC_WARN_UNUSED_RESULT;
