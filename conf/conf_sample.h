/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * The complete sample file, made from the table: every key with its sentence, standard values commented out.
 * conf/cluster-router.conf is this text; a test compares them.
 */
char *conf_sample(void) G_GNUC_WARN_UNUSED_RESULT;
