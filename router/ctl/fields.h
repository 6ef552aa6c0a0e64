/* SPDX-License-Identifier: MIT */
#pragma once

#include <amqp.h>
#include <glib.h>
#include <jansson.h>

/*
 * Header tables as JSON and back. Text that is no UTF-8 is shown with replacement characters; a number keeps
 * its value, not its width.
 */
json_t *fields_to_json(const amqp_table_t *table) G_GNUC_WARN_UNUSED_RESULT;
json_t *fields_value_to_json(const amqp_field_value_t *value) G_GNUC_WARN_UNUSED_RESULT;

/* @object's members; memory comes from @pool, and strings are borrowed from @object. */
amqp_table_t fields_from_json(const json_t *object, amqp_pool_t *pool);

/* Bytes as a JSON string. */
json_t *fields_text(amqp_bytes_t bytes) G_GNUC_WARN_UNUSED_RESULT;
