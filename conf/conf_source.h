/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"
#include "conf/conf_fault.h"

#include <stdbool.h>

enum { CONF_SOURCES_MAX = 64 };

/*
 * Places in a message: `[host:]header:NAME`, `[host:]json:POINTER`, `[host:]oslo:POINTER`,
 * `[host:]key:TEMPLATE`. New, or NULL after adding an error to @place.
 */
ConfSource *conf_source_parse(const ConfPlace *place, const char *text) G_GNUC_WARN_UNUSED_RESULT;
void conf_source_free(ConfSource *source); /* NULL is fine */

/* A list of sources and of groups of them, `fields:NAME`. An array of ConfSource * that owns them. */
bool conf_source_parse_list(const ConfPlace *place, const char *text,
                            GPtrArray **out_sources) G_GNUC_WARN_UNUSED_RESULT;

/* The sources of a fields: group, each key of it being one, appended to @sources. */
bool conf_source_parse_group(const ConfPlace *place, ConfGroup *group, GPtrArray *sources);
