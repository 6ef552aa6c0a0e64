/* SPDX-License-Identifier: MIT */
#include "tests/support/live.h"
#include "tests/support/stage.h"

/* After a crash: one message at a time, and the one that is in hand at every crash is set aside. */

#define CONF                                                                                                 \
        "[east]\ncluster_member_ips = e\n[west]\ncluster_member_ips = w\n"                                   \
        "[route:$N]\nqueue = $N\ndestination = queue:{queue}.{cluster}\ncluster_from = header:cluster\n"

enum { DEADLINE_MS = 30000, CRASHES = 3, MANY = 50 };

static bool
was_refused(void *data)
{
        return stage_number(data, "$N", "nacked") > 0;
}

/* A stage on which every message for east stays in hand, since its queue takes nothing. */
static Stage *
stage_with_full_east(const char *name)
{
        Stage *stage = stage_new(name);

        if (stage)
                stage_declare_limited(stage, "$N.east", 0);
        return stage;
}

/* One message, and as many crashes with it in hand as make it poison. */
static void
crash_with_it_in_hand(Stage *stage)
{
        stage_configure(stage, CONF);
        stage_declare(stage, "$N");
        stage_send(stage, "$N", "east", "bad");
        for (unsigned i = 0; i < CRASHES; i++) {
                stage_start(stage);
                g_assert_true(live_wait(DEADLINE_MS, was_refused, stage));
                stage_kill(stage);
        }
}

static void
test_in_hand_at_three_crashes_is_set_aside(void)
{
        g_autoptr(Stage) stage = stage_with_full_east("poison");

        if (!stage)
                return;
        crash_with_it_in_hand(stage);
        stage_start(stage);

        g_autoptr(ClientMessage) dead = stage_take(stage, "cluster-router.$N.dead");
        g_autofree char *body = client_message_body(dead);
        g_autofree char *reason = client_message_header_text(dead, "x-router-reason");

        g_assert_cmpstr(body, ==, "bad");
        g_assert_cmpstr(reason, ==, "poison");
        stage_wait_number(stage, "$N", "reasons/poison", 1);
        g_assert_true(stage_balances(stage, "$N"));
}

static void
test_other_messages_go_on_after_it(void)
{
        g_autoptr(Stage) stage = stage_with_full_east("beyond");

        if (!stage)
                return;
        crash_with_it_in_hand(stage);
        for (unsigned i = 0; i < MANY; i++)
                stage_send(stage, "$N", "west", "good");
        stage_start(stage);
        stage_wait_count(stage, "$N.west", MANY);
        stage_wait_count(stage, "cluster-router.$N.dead", 1);
}

static void
test_one_at_a_time_until_the_first_ack(void)
{
        g_autoptr(Stage) stage = stage_with_full_east("window");

        if (!stage)
                return;
        stage_run(stage, CONF);
        stage_kill(stage);
        for (unsigned i = 0; i < MANY; i++)
                stage_send(stage, "$N", "east", "waits");
        stage_start(stage);
        g_assert_true(live_wait(DEADLINE_MS, was_refused, stage));
        g_assert_cmpint(stage_number(stage, "$N", "received"), ==, 1);
        g_assert_cmpuint(stage_count(stage, "$N"), ==, MANY - 1);
}

static void
test_after_a_clean_end_as_usual(void)
{
        g_autoptr(Stage) stage = stage_with_full_east("clean");

        if (!stage)
                return;
        stage_run(stage, CONF);
        stage_stop(stage);
        for (unsigned i = 0; i < MANY; i++)
                stage_send(stage, "$N", "east", "waits");
        stage_start(stage);
        stage_wait_number(stage, "$N", "received", MANY);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/careful/what-is-in-hand-at-three-crashes-is-set-aside",
                        test_in_hand_at_three_crashes_is_set_aside);
        g_test_add_func("/careful/other-messages-go-on-after-it", test_other_messages_go_on_after_it);
        g_test_add_func("/careful/takes-one-message-at-a-time-until-the-first-ack",
                        test_one_at_a_time_until_the_first_ack);
        g_test_add_func("/careful/goes-on-as-usual-after-a-clean-end", test_after_a_clean_end_as_usual);
        return g_test_run();
}
