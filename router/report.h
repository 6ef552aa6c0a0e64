/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/registry.h"
#include "cluster/view.h"
#include "router/stats.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What the router tells of itself: the JSON documents under /api/v1/, and what /readyz misses. Pure but
 * for reading counters; any thread. Texts are new, end in a newline and are the caller's. No document holds a
 * secret: of URLs, which stand in the configuration alone, passwords are not shown.
 *
 * The stats document is a contract; keys may be added, none renamed. Times are seconds (_s), microseconds
 * (_us) or Unix seconds (started, at); what is not known is null.
 */
typedef struct {
        Stats *stats;
        const View *view;
        const RegistryStatus *registry;
        int64_t now_us; /* monotonic */
} ReportInput;

char *report_stats(const ReportInput *input) G_GNUC_WARN_UNUSED_RESULT;
char *report_status(const ReportInput *input) G_GNUC_WARN_UNUSED_RESULT;
char *report_routes(const ReportInput *input) G_GNUC_WARN_UNUSED_RESULT;
char *report_config(const ReportInput *input) G_GNUC_WARN_UNUSED_RESULT; /* router/report_config.h */
char *report_clusters(const ReportInput *input) G_GNUC_WARN_UNUSED_RESULT;

/*
 * {"ready": BOOL, "missing": [SENTENCE, ...]}: ready once a configuration is in force and every route of it
 * has a lane that consumes. @out_ready says the same.
 */
char *report_readiness(const ReportInput *input, bool *out_ready) G_GNUC_WARN_UNUSED_RESULT;

/* Time since the view was last known to be true; 0 always where the file alone makes it. */
int64_t report_view_age_us(const ReportInput *input);

/* "off", "waiting", "ok", "lost": for JSON and people. */
const char *report_source_state(SourceState state);
