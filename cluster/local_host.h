/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"

#include <glib.h>

/*
 * Under which name this machine is a member of its cluster: [DEFAULT] host, else the member address that
 * belongs to this machine, else the host name. NULL with @error (which says the remedy) if that is no legal
 * name.
 */
char *local_host_find(const Conf *conf, GError **error) G_GNUC_WARN_UNUSED_RESULT;
