/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"

#include <jansson.h>
#include <stdint.h>

/*
 * What all routers counted since then, from the minutes that MySQL keeps: a document of the form of
 * /api/v1/stats with its counters alone, and what it spans. NULL after saying why not on stderr and setting
 * @out_status.
 */
json_t *stats_since(const Conf *conf, int64_t ago_s, int *out_status) G_GNUC_WARN_UNUSED_RESULT;

/* As tables for people. */
void stats_since_print(const json_t *document);
