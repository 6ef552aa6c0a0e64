/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/view.h"
#include "conf/conf.h"
#include "router/decide.h"
#include "router/envelope.h"
#include "router/message.h"

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What a lane of that route would do with one message, by the lane's own code (router/dispatch.h), step by
 * step. Pure.
 */

/* One source of the route, asked alone. */
typedef struct {
        const char *source; /* as written */
        bool asked;         /* false: one before it had decided */
        SourceAnswer says;
        char *value;     /* KNOWN and UNKNOWN: hostile data made UTF-8, else NULL */
        const char *why; /* BAD: a sentence */
} ExplainedSource;

typedef struct {
        GArray *sources; /* of ExplainedSource */
        Envelope envelope;
        Decision decision;
        Reason reason;
        char *policy;         /* "on_cluster_down = cast:park", or NULL if none was needed */
        bool spread;          /* `any` chose: the next message may get another cluster */
        bool in_turn;         /* hosts take turns: the next message may get another host */
        const char *outcome;  /* "deliver", "queue", "park", "dead", "fail" */
        char *exchange, *key; /* where it would be published */
        const char *broker;   /* URL of the cluster's own broker, with password; NULL: the shared one */
        json_t *headers;      /* of that publication */
        GPtrArray *added;     /* of char *: headers that it did not have, or with another value */
        GPtrArray *removed;   /* of char *: headers that it had */
        bool is_bare;         /* its headers leave no room for ours */
} Explanation;

/*
 * Takes @message over. @stored: it lies in a parking or dead queue, so its own headers tell where it came
 * from. @ticket stands for what would have been counted: which cluster `any` and which host {host} gives.
 */
Explanation *explanation_new(const Conf *conf, const ConfRoute *route, const View *view, Message *message,
                             bool stored, uint64_t ticket) G_GNUC_WARN_UNUSED_RESULT;
void explanation_free(Explanation *explanation); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Explanation, explanation_free)
