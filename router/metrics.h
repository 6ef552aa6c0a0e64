/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/report.h"

/*
 * The same numbers for Prometheus: text format 0.0.4, all names `cluster_router_*`, base units. A new text,
 * the caller's; any thread. Labels hold only names from the configuration and the catalogue, so no message
 * can make a new series.
 */
char *metrics_text(const ReportInput *input) G_GNUC_WARN_UNUSED_RESULT;

/* Appends @value as it must stand between the quotes of a label. */
void metrics_append_label(GString *out, const char *value);
