/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Two looks at /api/v1/stats made into rates, sorted, and fitted to a screen. Pure.
 */
typedef enum {
        TOP_NAME,
        TOP_IN,
        TOP_OUT,
        TOP_DEAD,
        TOP_PARKED,
        TOP_IN_FLIGHT,
        TOP_P99,
        TOP_COLUMNS,
} TopColumn;

/* "name", "in", ...; and the key that sorts by it. */
const char *top_column_name(TopColumn column);
char top_column_key(TopColumn column);

typedef struct {
        const char *router;  /* borrowed; NULL: the sum of all */
        const char *route;   /* borrowed from the later document */
        const char *cluster; /* NULL: all of the route */
        const char *state;
        double values[TOP_COLUMNS]; /* per second, a number, or microseconds; negative: there is none */
        double p50_us;
} TopRow;

GArray *top_rows_new(void) G_GNUC_WARN_UNUSED_RESULT; /* of TopRow */
/* What @router says. @before NULL: no rates. The rows borrow from @after. */
void top_add_rows(GArray *rows, const char *router, const json_t *before, const json_t *after);

/*
 * Makes one row of those of one route and cluster: sums, but of times the longest, and of a parking queue,
 * which all routers share, what the one knows that saw most of it.
 */
void top_merge(GArray *rows);

/* By name upwards, with the clusters behind their route; by numbers downwards. @reverse: the other way. */
void top_sort(GArray *rows, TopColumn column, bool reverse);

/* The table, new; lines cut to @width characters, and to @height lines of which the last tells what is
 * missing. 0: no limit. */
char *top_text(const GArray *rows, size_t width, size_t height) G_GNUC_WARN_UNUSED_RESULT;

json_t *top_json(const GArray *rows) G_GNUC_WARN_UNUSED_RESULT;
