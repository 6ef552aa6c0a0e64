/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * What is known of crashes, in [DEFAULT] state_dir: whether the last run of this router ended by itself, and
 * which message each lane had in hand. A message that crashes the router would otherwise do so for ever.
 *
 * After a crash a lane takes one message at a time until its first ack, and notes each before it looks at it.
 * Routers of one machine may share the folder: each takes the first free place in it (a lock that ends with
 * the process).
 */
typedef struct Crashes Crashes;

enum { CRASHES_POISON = 3 };

/* NULL with @error if the folder cannot be used. Main thread. */
Crashes *crashes_open(const char *state_dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A clean end. NULL is fine. */
void crashes_close(Crashes *crashes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Crashes, crashes_close)

/* Did the run before this one end without crashes_close()? Any thread. */
bool crashes_was_one(const Crashes *crashes);

/*
 * Notes that the lane has the message of this fingerprint in hand. Returns at how many crashes in a row it
 * was in hand, taking the first for granted: at CRASHES_POISON it is poison. Thread of the lane.
 */
unsigned crashes_note(const Crashes *crashes, const char *route, unsigned lane, const char *fingerprint);

/* The lane has acknowledged something: nothing is in hand. Thread of the lane. */
void crashes_clear(const Crashes *crashes, const char *route, unsigned lane);
