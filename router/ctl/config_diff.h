/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <jansson.h>

/*
 * What would change if a router that runs with the one configuration got the other; both as
 * router/report_config.h has them. Pure.
 */

/*
 * New: {"identical", "changes": [{"group", "key", "before", "after", "takes": reload|restart}], "routes":
 * [{"route", "effect": new|removed|restarts|unchanged}], "clusters": [{"cluster", "effect":
 * new|removed|changed|unchanged, "keys": [KEY]}], "restart": [KEY]}. What a side does not have is null.
 */
json_t *config_diff(const json_t *running, const json_t *next) G_GNUC_WARN_UNUSED_RESULT;

/* For people, on stdout. */
void config_diff_print(const json_t *diff);
