/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"
#include "router/ctl/command.h"

/* The configuration of this call; NULL after saying on stderr what is wrong with it (then: EXIT_CONFIG). */
Conf *config_load(const Options *options) G_GNUC_WARN_UNUSED_RESULT;
