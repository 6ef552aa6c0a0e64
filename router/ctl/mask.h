/* SPDX-License-Identifier: MIT */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * What may be shown of a message: tokens, catalogues and passwords are replaced by "***", wherever they
 * stand. Texts that hold JSON, as an oslo.messaging envelope does, are shown as that JSON. Pure.
 */

/* A copy of @value; with @raw nothing is hidden. */
json_t *mask_json(const json_t *value, bool raw);

/*
 * A body as JSON: its content if it is JSON, else a string. A text that is no JSON and speaks of secrets is
 * not shown unless @raw, since nobody can tell where they end; nor are bytes that are no text.
 */
json_t *mask_body(const char *body, size_t length, bool raw);
