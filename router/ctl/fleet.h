/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"

#include <glib.h>
#include <jansson.h>

/*
 * All routers of a site and what each says under /api/v1/stats: those that have announced themselves in
 * redis, or where that tells of none, the one of the configuration.
 */
typedef struct {
        char *id;
        char *address;  /* HOST:PORT */
        json_t *before; /* the last two answers, or NULL */
        json_t *after;
        char *error; /* why there was no answer to the last question, NULL: there was one */
} FleetRouter;

typedef struct Fleet Fleet;

Fleet *fleet_new(const Conf *conf) G_GNUC_WARN_UNUSED_RESULT; /* @conf must outlive it */
void fleet_free(Fleet *fleet);                                /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Fleet, fleet_free)

/* Asks redis and every router. Returns how many answered. */
unsigned fleet_look(Fleet *fleet);

/* Of FleetRouter *, sorted by id; until the next look. */
const GPtrArray *fleet_routers(const Fleet *fleet);

/* What could not be asked, in one line; NULL if all answered. New. */
char *fleet_complaint(const Fleet *fleet) G_GNUC_WARN_UNUSED_RESULT;
