/* SPDX-License-Identifier: MIT */
#pragma once

#include <jansson.h>

/* Prints all statistics that this document of the form of /api/v1/stats has, with their meanings. */
void stats_all_print(const json_t *document);
