/* SPDX-License-Identifier: MIT */
#pragma once

#include "tests/support/checker.h"
#include "tests/support/stage.h"

#include <stdbool.h>

/*
 * A stage whose load a checker judges: clusters east and west, one host each, their queues $N.east and
 * $N.west. Main thread only.
 */

#define TRIAL_EAST "[east]\ncluster_member_ips = e\n"
#define TRIAL_WEST "[west]\ncluster_member_ips = w\n"
#define TRIAL_ROUTE_OF(prefetch)                                                                             \
        "[route:$N]\nqueue = $N\ndestination = queue:{queue}.{cluster}\ncluster_from = header:cluster\n"     \
        "prefetch = " prefetch "\n"
#define TRIAL_ROUTE TRIAL_ROUTE_OF("100")

extern const char *const TRIAL_BOTH[]; /* clusters */

/* Router and checker on that configuration; false, the test being marked as skipped, if there is no broker.
 */
bool trial_set_up(Stage **out_stage, Checker **out_checker, const char *name, const char *conf);

/* Takes all out of both queues until nothing that was confirmed is missing and the router has come to rest.
 */
void trial_collect(Stage *stage, Checker *checker);

/* Collects: all is there, once; and in order, too. */
void trial_expect_once(Stage *stage, Checker *checker);
void trial_expect_perfect(Stage *stage, Checker *checker);
