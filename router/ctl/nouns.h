/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/ctl/command.h"

/* The commands of each noun, in the file of that name; each array ends in an empty Command. */
extern const Command status_commands[];
extern const Command stats_commands[];
extern const Command top_commands[];
extern const Command route_commands[];
extern const Command explain_commands[];
extern const Command dead_commands[];
extern const Command parked_commands[];
extern const Command cluster_commands[];
extern const Command host_commands[];
extern const Command db_commands[];
extern const Command config_commands[];
extern const Command doctor_commands[];
