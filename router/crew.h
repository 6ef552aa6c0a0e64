/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/lane.h"

#include <glib.h>
#include <stdbool.h>

/*
 * The lanes of all routes. Main thread, but for crew_wake().
 */
typedef struct Crew Crew;

Crew *crew_new(void);
void crew_free(Crew *crew); /* stops and joins what still runs; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Crew, crew_free)

/*
 * Starts the lanes of every route of that conf that has none: a route waits while lanes of its former self
 * still settle. Of @common everything is taken but route and number.
 */
void crew_start(Crew *crew, const LaneOptions *common);

void crew_stop(Crew *crew); /* returns at once */
/* Stops the lanes whose route is not in @after as it was in @before; true if there are such. */
bool crew_stop_changed(Crew *crew, const Conf *before, const Conf *after);

/* Forgets the lanes that have come to their end; returns how many are left. */
unsigned crew_reap(Crew *crew);

/* The view has news. Any thread. */
void crew_wake(Crew *crew);

/*
 * The route of a lane that did not get round once since the last call that returned NULL; NULL if all did,
 * or have come to their end. The caller's until lanes are reaped.
 */
const char *crew_find_standing(Crew *crew);
