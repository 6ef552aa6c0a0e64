/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdint.h>

/*
 * The last so many steps of some numbers, for charts: a ring for each series, all of the same step. Pure, one
 * thread at a time.
 *
 * Memory: 4 bytes per value and at most HISTORY_SERIES_MAX series, so a history of 360 steps stays below
 * 300 KB. A series takes none before its first value that is not blank, so a router that does nothing has
 * none.
 */
typedef struct History History;

enum { HISTORY_SERIES_MAX = 200 };

/* id, whose it is, name, unit, whether no value (null) differs from 0 */
#define HISTORY_MEASURES(X)                                                                                  \
        X(ROUTE_IN, "route", "in", "1/s", false)                                                             \
        X(ROUTE_DELIVERED, "route", "delivered", "1/s", false)                                               \
        X(ROUTE_DEAD, "route", "dead", "1/s", false)                                                         \
        X(ROUTE_HOP_P50, "route", "hop_p50", "us", true)                                                     \
        X(ROUTE_HOP_P99, "route", "hop_p99", "us", true)                                                     \
        X(CLUSTER_DELIVERED, "cluster", "delivered", "1/s", false)                                           \
        X(CLUSTER_PARKED, "cluster", "parked", "messages", false)

typedef enum {
#define HISTORY_ENUM(id, owner, name, unit, nullable) HISTORY_##id,
        HISTORY_MEASURES(HISTORY_ENUM)
#undef HISTORY_ENUM
            HISTORY_MEASURE_COUNT
} HistoryMeasure;

History *history_new(unsigned step_s, unsigned capacity) G_GNUC_WARN_UNUSED_RESULT;
void history_free(History *history); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(History, history_free)

unsigned history_step_s(const History *history);

/* @steps more have ended, the last of them at @end_unix; they are blank until history_put() fills them. */
void history_advance(History *history, unsigned steps, int64_t end_unix);

/*
 * The value of the steps of the last history_advance(); NAN stands for none. One series too many is left out
 * and counted.
 */
void history_put(History *history, HistoryMeasure measure, const char *owner, double value);

/*
 * Appends {"step_s", "end": UNIX, "points", "left_out", "series": [{"route" or "cluster": NAME, "measure",
 * "unit", "values": [oldest, ..., newest]}]}. A series that was always 0, or never had a value, is absent.
 */
void history_append_json(const History *history, GString *out);
