/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/message.h"

#include <amqp.h>
#include <glib.h>

/*
 * A message out of a file, as if it had just been delivered.
 *
 * The file is one JSON object: {"exchange", "routing_key", "properties": {"headers": {...}, "reply_to", ...,
 * under the names that AMQP has for them}, "body": "TEXT"}. Any of them may be missing, others are ignored.
 * Without exchange and routing key it was published straight to the queue @queue.
 */
#define MESSAGE_FILE_ERROR (message_file_error_quark())
GQuark message_file_error_quark(void);

/* NULL and @error (code 0) if the text is not such a file. */
Message *message_file_parse(const char *text, size_t length, const char *queue,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A message of that content; @properties may be NULL. NULL and @error if AMQP cannot carry it. */
Message *message_file_make(amqp_bytes_t exchange, amqp_bytes_t key, const amqp_basic_properties_t *properties,
                           amqp_bytes_t body, GError **error) G_GNUC_WARN_UNUSED_RESULT;
