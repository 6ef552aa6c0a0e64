/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/ctl/broker.h"

#include <glib.h>
#include <stdbool.h>

/*
 * Prints the message of that ID (or the only one whose ID begins so) from the dead queues of @routes (of
 * ConfRoute *), secrets hidden unless @raw; returns the exit status.
 */
int dead_show(Broker *broker, const GPtrArray *routes, const char *id, bool raw, bool json);
