/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"
#include "conf/conf_fault.h"

#include <stdbool.h>

/* on_no_cluster, on_unknown_cluster: any | cluster:NAME | queue:NAME | park | dead. False after adding an
 * error. */
bool conf_policy_parse(const ConfPlace *place, const char *text,
                       ConfPolicy *out_policy) G_GNUC_WARN_UNUSED_RESULT;

/*
 * on_cluster_down: park | dead | any | cluster:NAME | fail, for all messages or for each sort of its own, as
 * in "cast:park, call:fail". What is not said for a sort is `park`.
 */
bool conf_policy_parse_down(const ConfPlace *place, const char *text, ConfPolicy *out_cast,
                            ConfPolicy *out_call) G_GNUC_WARN_UNUSED_RESULT;

/* As it would be written; new. */
char *conf_policy_spell(const ConfPolicy *policy) G_GNUC_WARN_UNUSED_RESULT;

void conf_policy_clear(ConfPolicy *policy);
