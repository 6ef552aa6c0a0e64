/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"

#include <glib.h>
#include <jansson.h>

/*
 * A configuration for programs: {"file", "fingerprint", "keys": [{"group", "key", "value", "default",
 * "reloadable", "origin"}], "routes": [{"route", "fingerprint"}]}, passwords as "***". What /api/v1/config
 * and clusterctl config show say. New.
 */
json_t *report_config_document(const Conf *conf) G_GNUC_WARN_UNUSED_RESULT;
