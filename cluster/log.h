/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Log lines that programs can search by what they are about: fields ROUTE, CLUSTER, REASON and
 * AMQP_MESSAGE_ID of the journal (whose own MESSAGE_ID means something else), keys of JSON. The text must say
 * the same for people. Never a body, nor anything that was read in one. Any thread.
 */

/* NULL for what does not apply. */
typedef struct {
        const char *route;
        const char *cluster;    /* a known one */
        const char *reason;     /* a code */
        const char *message_id; /* as its sender named it: any bytes, escaped here */
} LogPlace;

void log_line(GLogLevelFlags level, const LogPlace *place, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* How many lines may still be written: what repeats must not flood the log. Zeroed is new. One thread. */
typedef struct {
        int64_t began_us;
        unsigned lines;
        unsigned left_out;
} LogBudget;

/* True if a line may be written; says now and then how many could not. */
bool log_budget_take(LogBudget *budget) G_GNUC_WARN_UNUSED_RESULT;
