/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What routers counted in each minute, as MySQL keeps it: table `route_stats`, see schema/. Every call has
 * time limits, opens the connection if there is none and drops it after a failure that may have broken it.
 * One thread, which calls catalogue_thread_end() before it ends.
 */
typedef struct Minutes Minutes;

typedef struct {
        char *route;
        char *cluster;   /* "": the route as a whole */
        char *statistic; /* name of a counter, or "reasons/CODE" */
        uint64_t value;
} MinutesRow;

void minutes_row_free(MinutesRow *row); /* NULL is fine */

/* Only parses the URL of [mysql]. */
Minutes *minutes_new(const Conf *conf, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void minutes_free(Minutes *minutes); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Minutes, minutes_free)

/*
 * Adds @rows (of MinutesRow *) to those of @router in the minute that begins at @minute_unix. Whatever could
 * not be written is lost: a second try could count twice.
 */
bool minutes_add(Minutes *minutes, int64_t minute_unix, const char *router, GPtrArray *rows,
                 GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Deletes what is older, a portion at a time; @out_more: there may be more. */
bool minutes_purge(Minutes *minutes, int64_t before_unix, bool *out_more,
                   GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What there is since then. */
typedef struct {
        unsigned routers;
        int64_t first_unix; /* of the minutes found, 0: there are none */
        int64_t last_unix;
        GPtrArray *rows; /* of MinutesRow *: the sums over all minutes and routers, by route and cluster */
} MinutesSum;

void minutes_sum_clear(MinutesSum *sum);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MinutesSum, minutes_sum_clear)

bool minutes_sum(Minutes *minutes, int64_t since_unix, MinutesSum *out_sum,
                 GError **error) G_GNUC_WARN_UNUSED_RESULT;
