/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * A template for routing keys, such as "cinder-volume.{host}@*": one {cluster} or {host}, which stands for at
 * least one character, and any number of "*", each of which stands for any run of characters, also none. All
 * match as little as they can, the first before the second. Immutable; any thread.
 */
typedef struct KeyTemplate KeyTemplate;

/* NULL if @text does not hold exactly one placeholder. */
KeyTemplate *key_template_new(const char *text) G_GNUC_WARN_UNUSED_RESULT;
void key_template_free(KeyTemplate *key_template); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KeyTemplate, key_template_free)

/* True if the whole @key matches; @out_value then points at what stands in it for the placeholder. */
bool key_template_match(const KeyTemplate *key_template, const char *key, size_t length,
                        const char **out_value, size_t *out_value_length);
