/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/report.h"

#include <glib.h>
#include <stdint.h>

/*
 * What the dashboard shows beyond this moment: rates, hop times and parked messages in steps of 1 s over five
 * minutes and of 10 s over an hour (router/history.h bounds their memory: about 0.6 MB at 200 series, next to
 * nothing while idle), and what changed when (router/changes.h).
 */
typedef struct Recorder Recorder;

enum { RECORDER_FINE_STEP_S = 1, RECORDER_FINE_POINTS = 300 };
enum { RECORDER_COARSE_STEP_S = 10, RECORDER_COARSE_POINTS = 360 };

Recorder *recorder_new(int64_t now_us) G_GNUC_WARN_UNUSED_RESULT;
void recorder_free(Recorder *recorder); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Recorder, recorder_free)

/* Once a second; if it comes late, the steps it missed get the average of the time they span. Any thread. */
void recorder_look(Recorder *recorder, const ReportInput *input, int64_t now_unix);

/*
 * The document of /api/v1/history: {"windows": [two of history_append_json()], "changes":
 * [changes_append_json()], "reasons": {CODE: MEANING}}. New, ends in a newline. Any thread.
 */
char *recorder_report(Recorder *recorder) G_GNUC_WARN_UNUSED_RESULT;
