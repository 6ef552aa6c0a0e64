/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/ctl/command.h"

/* Taking clusters and hosts out and back in: commands of the nouns cluster and host. */
int drain_cluster(const Options *options, char **arguments);
int resume_cluster(const Options *options, char **arguments);
int drain_host(const Options *options, char **arguments);
int resume_host(const Options *options, char **arguments);

extern const CommandOption drain_options[];
extern const CommandOption drain_host_options[];
