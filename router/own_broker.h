/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

/*
 * How the lanes of a route are connected to the broker that a cluster has of its own. What stands for all of
 * them is the worst. Whoever has a block guards it.
 */
typedef enum {
        OWN_BROKER_NONE, /* the cluster's messages go to the shared one */
        OWN_BROKER_CONNECTED,
        OWN_BROKER_CONNECTING, /* for the first time */
        OWN_BROKER_BLOCKED,    /* it said connection.blocked: it takes no publishes just now */
        OWN_BROKER_DOWN,       /* lost or never reached; dialled again and again */
        OWN_BROKER_STATES,
} OwnBrokerState;

const char *own_broker_state_name(OwnBrokerState state); /* NULL for NONE */

typedef struct {
        unsigned lanes[OWN_BROKER_STATES]; /* by state; those in NONE are not counted */
        int64_t since_us;                  /* monotonic: when the state of all began */
} OwnBroker;

OwnBrokerState own_broker_state(const OwnBroker *broker);

/* A lane's connection changed. */
void own_broker_change(OwnBroker *broker, OwnBrokerState before, OwnBrokerState after, int64_t now_us);
