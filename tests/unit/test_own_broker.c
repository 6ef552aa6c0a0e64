/* SPDX-License-Identifier: MIT */
#include "router/own_broker.h"

#include <glib.h>

static void
change(OwnBroker *broker, OwnBrokerState before, OwnBrokerState after, int64_t now_us, const char *state,
       int64_t since_us)
{
        own_broker_change(broker, before, after, now_us);
        g_assert_cmpstr(own_broker_state_name(own_broker_state(broker)), ==, state);
        g_assert_cmpint(broker->since_us, ==, since_us);
}

static void
test_worst_lane_speaks_for_all(void)
{
        OwnBroker broker = {0};

        change(&broker, OWN_BROKER_NONE, OWN_BROKER_CONNECTING, 1, "connecting", 1);
        change(&broker, OWN_BROKER_NONE, OWN_BROKER_CONNECTING, 2, "connecting", 1);
        change(&broker, OWN_BROKER_CONNECTING, OWN_BROKER_CONNECTED, 3, "connecting", 1);
        change(&broker, OWN_BROKER_CONNECTING, OWN_BROKER_CONNECTED, 4, "connected", 4);
        change(&broker, OWN_BROKER_CONNECTED, OWN_BROKER_BLOCKED, 5, "blocked", 5);
        change(&broker, OWN_BROKER_CONNECTED, OWN_BROKER_DOWN, 6, "down", 6);
        change(&broker, OWN_BROKER_BLOCKED, OWN_BROKER_DOWN, 7, "down", 6);
        change(&broker, OWN_BROKER_DOWN, OWN_BROKER_CONNECTED, 8, "down", 6);
        change(&broker, OWN_BROKER_DOWN, OWN_BROKER_CONNECTED, 9, "connected", 9);
}

static void
test_lanes_that_end_leave_nothing_behind(void)
{
        OwnBroker broker = {0};

        change(&broker, OWN_BROKER_NONE, OWN_BROKER_DOWN, 1, "down", 1);
        change(&broker, OWN_BROKER_NONE, OWN_BROKER_CONNECTING, 2, "down", 1);
        change(&broker, OWN_BROKER_DOWN, OWN_BROKER_NONE, 3, "connecting", 3);
        change(&broker, OWN_BROKER_CONNECTING, OWN_BROKER_NONE, 4, NULL, 4);
        for (OwnBrokerState state = OWN_BROKER_NONE; state < OWN_BROKER_STATES; state++)
                g_assert_cmpuint(broker.lanes[state], ==, 0);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/own_broker/worst-lane-speaks-for-all", test_worst_lane_speaks_for_all);
        g_test_add_func("/own_broker/lanes-that-end-leave-nothing-behind",
                        test_lanes_that_end_leave_nothing_behind);
        return g_test_run();
}
