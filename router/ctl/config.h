/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"
#include "router/ctl/command.h"

/* The configuration of this call; NULL after saying on stderr what is wrong with it (then: EXIT_CONFIG). */
Conf *config_load(const Options *options) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The route that --route names, or the only one there is. NULL after saying on stderr which there are (then:
 * EXIT_USAGE).
 */
const ConfRoute *config_route(const Conf *conf, const Options *options) G_GNUC_WARN_UNUSED_RESULT;
