/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/view.h"
#include "router/envelope.h"

/* What the router does in its head with one message, to be measured: read its envelope, decide. */
typedef struct {
        ConfRoute route;
        View *view;
        EnvelopeReader *reader;
        unsigned clusters;
        unsigned named;
        char *names; /* of the clusters, one after the other */
        char *body;
        size_t body_bytes;
        char *place; /* in the body: where the name stands; NULL: it is always the first cluster's */
} Steps;

/*
 * @capture: a file as in tests/data whose message names the cluster "east". NULL: a flat message of 512
 * bytes, which names the first @named of the clusters in turn.
 */
void steps_init(Steps *steps, const char *capture_or_null, unsigned clusters, unsigned named);
void steps_clear(Steps *steps);

/* The steps for the message of that number. */
void steps_take(const Steps *steps, unsigned number);
