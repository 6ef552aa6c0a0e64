/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/view.h"
#include "conf/conf.h"

#include <jansson.h>
#include <stdbool.h>

/*
 * A view to explain with: the one that the running router has in force, if a router answers and runs with
 * this very file; else one made now of the file, the catalogue and redis.
 */
typedef struct {
        View *view;
        char *origin;     /* for people: where it comes from, and why not from a router */
        bool from_router; /* else looked up now */
        bool complete;    /* all that had to be asked has answered */
        double age_s;     /* since it was last known to be true */
        json_t *clusters; /* what the router says under /api/v1/clusters, or NULL */
} Picture;

/* Never fails; what cannot be had is said on stderr. */
Picture *picture_new(const Conf *conf) G_GNUC_WARN_UNUSED_RESULT;
void picture_free(Picture *picture); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Picture, picture_free)

/* How that cluster's messages flow on that route in the router: "open", "parking", "unparking"; NULL if that
 * is not known. Belongs to the picture. */
const char *picture_flow(const Picture *picture, const char *cluster, const char *route);
