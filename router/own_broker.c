/* SPDX-License-Identifier: MIT */
/*
 * A count for each state in place of one word, so that lanes that come and go with a reload leave no state of
 * theirs behind, and none needs to know what the others see.
 */
#include "router/own_broker.h"

#include <stddef.h>

const char *
own_broker_state_name(OwnBrokerState state)
{
        switch (state) {
        case OWN_BROKER_CONNECTED:
                return "connected";
        case OWN_BROKER_CONNECTING:
                return "connecting";
        case OWN_BROKER_BLOCKED:
                return "blocked";
        case OWN_BROKER_DOWN:
                return "down";
        case OWN_BROKER_NONE:
        case OWN_BROKER_STATES:
                break;
        }
        return NULL;
}

OwnBrokerState
own_broker_state(const OwnBroker *broker)
{
        OwnBrokerState state = OWN_BROKER_DOWN;

        while (state > OWN_BROKER_NONE && broker->lanes[state] == 0)
                state--;
        return state;
}

void
own_broker_change(OwnBroker *broker, OwnBrokerState before, OwnBrokerState after, int64_t now_us)
{
        OwnBrokerState state = own_broker_state(broker);

        if (before != OWN_BROKER_NONE)
                broker->lanes[before]--;
        if (after != OWN_BROKER_NONE)
                broker->lanes[after]++;
        if (own_broker_state(broker) != state)
                broker->since_us = now_us;
}
