/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/catalogue.h"
#include "cluster/damping.h"
#include "cluster/view.h"
#include "conf/conf.h"

/*
 * Which clusters there are: those of the file in its order, then those that only the catalogue has, by id. A
 * cluster of both has the members of the file and the state of the catalogue (drained if either says so); one
 * of the catalogue alone has the members that registered in redis. Pure; rows are arrays of
 * CatalogueCluster *.
 */

/*
 * The rows that count: not deleted, legal, one per name. Appends a line to @warnings (of char *) for every
 * other that is not simply deleted, and for a file cluster that the catalogue has deleted.
 */
GPtrArray *merge_select_rows(const Conf *conf, GPtrArray *rows,
                             GPtrArray *warnings) G_GNUC_WARN_UNUSED_RESULT;

/* What to ask redis for: an array of LivenessCluster *. */
GPtrArray *merge_questions(const Conf *conf, GPtrArray *rows) G_GNUC_WARN_UNUSED_RESULT;

View *merge_view(const Conf *conf, GPtrArray *rows, const Damping *damping,
                 const View *previous) G_GNUC_WARN_UNUSED_RESULT;
