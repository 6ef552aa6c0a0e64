/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/ctl/broker.h"
#include "router/ctl/stored.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The table of dead messages, in groups or one by one. */
typedef struct {
        Selection selection;
        uint64_t most; /* to look at in one queue */
        bool each;
        bool json;
} DeadListOptions;

/* Looks at the dead queues of @routes (of ConfRoute *) and prints; returns the exit status. */
int dead_list(Broker *broker, const GPtrArray *routes, const DeadListOptions *options);
