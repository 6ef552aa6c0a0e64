/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * What was done already although the broker does not know it: messages whose publish was confirmed and whose
 * ack was lost with the consuming connection. They come back redelivered and need only be acknowledged. Known
 * by what their sender calls them (message_id, or the _unique_id of oslo.messaging), never by their content:
 * two equal messages are two messages. Bounded: the oldest is forgotten first, and then published twice,
 * marked. One thread.
 */
typedef struct Recall Recall;

Recall *recall_new(size_t limit);
void recall_free(Recall *recall); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Recall, recall_free)

/* Remembers the message of that name; @note is kept with it. An empty name is no name. */
void recall_add(Recall *recall, const char *name, size_t length, void *note);

/* True, once, if it was remembered; @out_note is what was kept. */
bool recall_take(Recall *recall, const char *name, size_t length, void **out_note);
