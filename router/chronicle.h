/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/stats.h"

#include <glib.h>
#include <stdint.h>

/*
 * Writes what was counted in each minute into MySQL (cluster/minutes.h), in a thread of its own, and deletes
 * there what is older than [mysql] stats_keep. It follows the configuration in force of @stats.
 *
 * A minute that could not be written is lost and counted; the first of a row of them is told. Nobody ever
 * waits for it, but for chronicle_free(), which writes what the last minute had so far if the last write
 * went well.
 */
typedef struct Chronicle Chronicle;

enum { CHRONICLE_STEP_S = 60 };

/* @step_s is CHRONICLE_STEP_S, less only in tests. @stats must outlive it. */
Chronicle *chronicle_new(Stats *stats, unsigned step_s) G_GNUC_WARN_UNUSED_RESULT;
void chronicle_free(Chronicle *chronicle); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Chronicle, chronicle_free)

/*
 * Counters at the last look. The rows (of MinutesRow *) tell by how much each has grown since then; what has
 * not grown has none.
 */
typedef struct ChronicleMarks ChronicleMarks;
ChronicleMarks *chronicle_marks_new(void) G_GNUC_WARN_UNUSED_RESULT;
void chronicle_marks_free(ChronicleMarks *marks); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ChronicleMarks, chronicle_marks_free)
GPtrArray *chronicle_rows(ChronicleMarks *marks, Stats *stats) G_GNUC_WARN_UNUSED_RESULT;
