/* SPDX-License-Identifier: MIT */
#include "tests/support/live.h"
#include "tests/support/trial.h"

/* Destinations that are missing, or full: what is for them is parked, and the other clusters go on. */

enum { DEADLINE_MS = 30000, MESSAGES = 400 };

static void
test_returned_message_is_parked_alone_and_tried_again(void)
{
        g_autoptr(Stage) stage = stage_new("returned");
        g_autoptr(ClientMessage) delivered = NULL;

        if (stage == NULL)
                return;
        stage_run(stage, "retry_max = 300ms\n" TRIAL_EAST TRIAL_WEST TRIAL_ROUTE);
        stage_send(stage, "$N", "east", "first");
        stage_expect(stage, "$N.east", "first");
        stage_delete(stage, "$N.east");
        stage_send(stage, "$N", "east", "returned");
        stage_wait_number(stage, "$N", "parked_now", 1);
        stage_send(stage, "$N", "west", "flows");
        stage_expect(stage, "$N.west", "flows");
        g_assert_cmpint(stage_number(stage, "$N", "reasons/unroutable"), >=, 1);
        stage_wait_number(stage, "$N", "parked_now", 1);
        g_assert_true(stage_balances(stage, "$N"));
        stage_declare(stage, "$N.east");
        delivered = stage_take(stage, "$N.east");
        g_assert_cmpint(delivered->message.properties.headers.num_entries, ==, 2);
        stage_wait_number(stage, "$N", "parked_now", 0);
        g_assert_true(stage_balances(stage, "$N"));
}

static void
test_max_attempts_ends_in_the_dead_queue(void)
{
        g_autoptr(Stage) stage = stage_new("attempts");
        g_autoptr(ClientMessage) dead = NULL;

        if (stage == NULL)
                return;
        client_declare_exchange(stage->client, stage->name, "topic");
        stage_run(stage,
                  "retry_max = 100ms\n" TRIAL_EAST "[route:$N]\nqueue = $N\ncluster_from = header:cluster\n"
                  "destination = exchange:$N/nobody.{cluster}\nmax_attempts = 3\n");
        stage_send(stage, "$N", "east", "nobody wants it");
        dead = stage_take(stage, "cluster-router.$N.dead");
        client_message_expect_text(dead, "x-router-reason", "unroutable");
        g_assert_cmpint(client_message_header(dead, "x-router-attempt")->value.i64, ==, 4);
        stage_wait_number(stage, "$N", "dead", 1);
        stage_wait_number(stage, "$N", "parked_now", 0);
        g_assert_true(stage_balances(stage, "$N"));
}

static void
test_full_queue_holds_then_parks_then_delivers(void)
{
        g_autoptr(Stage) stage = stage_new("full");
        g_autoptr(Checker) checker = NULL;
        g_autofree char *east = NULL;

        if (stage == NULL)
                return;
        stage_declare_limited(stage, "$N.east", 100);
        stage_run(stage, "hold_time = 500ms\nretry_max = 200ms\n" TRIAL_EAST TRIAL_WEST TRIAL_ROUTE);
        checker = checker_new(stage->url, stage->name);
        checker_send(checker, TRIAL_BOTH, 1000);
        stage_wait_count(stage, "$N.west", 500); /* the full one does not hold the others up */
        stage_wait_number(stage, "$N", "parked_now", 400);
        g_assert_cmpint(stage_number(stage, "$N", "nacked"), >, 0);
        g_assert_cmpint(stage_number(stage, "$N", "reasons/nacked"), >, 0);
        east = stage_text(stage, "$N.east");
        for (unsigned taken = 0; taken < 500;)
                taken += checker_collect(checker, east, "east");
        /* Not in order: what the broker refused is overtaken by what it took just after. */
        trial_expect_once(stage, checker);
}

static void
test_missing_exchange_parks_only_its_own(void)
{
        g_autoptr(Stage) stage = stage_new("missing");
        g_autoptr(Checker) checker = NULL;
        g_autofree char *east = NULL;
        g_autofree char *west = NULL;

        if (stage == NULL)
                return;
        east = stage_text(stage, "$N.east");
        west = stage_text(stage, "$N.west");
        client_declare_exchange(stage->client, west, "topic");
        client_declare_queue(stage->client, west, NULL);
        client_bind(stage->client, west, west, "#");
        stage_run(stage, "retry_max = 500ms\n" TRIAL_EAST TRIAL_WEST
                         "[route:$N]\nqueue = $N\ncluster_from = header:cluster\nprefetch = 50\n"
                         "destination = exchange:$N.{cluster}/{key}\n");
        checker = checker_new(stage->url, stage->name);
        checker_send(checker, TRIAL_BOTH, 60);
        stage_wait_count(stage, "$N.west", 30);
        stage_wait_number(stage, "$N", "parked_now", 30);
        g_assert_true(stage_balances(stage, "$N"));
        g_autofree char *warning = g_strdup_printf("a publish to %s/%s was refused", east, stage->name);
        program_wait_line(stage->router, warning, 20000);
        client_declare_queue(stage->client, east, NULL);
        client_declare_exchange(stage->client, east, "topic");
        client_bind(stage->client, east, east, "#");
        stage_wait_number(stage, "$N", "parked_now", 0);
        stage_wait_number(stage, "$N", "in_flight", 0);
        checker_collect(checker, east, "east");
        checker_collect(checker, west, "west");
        /* Each refusal closes the channel, so that what was in flight then may be there twice, marked. */
        checker_assert_safe(checker);
        g_assert_cmpuint(checker_verdict(checker).delivered, ==, 60);
}

/* So often have messages been taken out of the parking queue in vain. */
static bool
all_have_come_back(void *data)
{
        return stage_number(data, "$N", "redelivered") >= MESSAGES;
}

/* Each try closes the channel that all clusters share, and after it everything goes one by one for a while.
 */
static void
test_missing_exchange_with_a_name_from_messages_is_not_tried_with_each(void)
{
        g_autoptr(Stage) stage = stage_new("missing-often");
        g_autoptr(Checker) checker = NULL;
        g_autofree char *west = NULL;
        g_autofree char *exchange = NULL;

        if (stage == NULL)
                return;
        west = stage_text(stage, "$N.west");
        exchange = stage_text(stage, "$N.$N.west");
        client_declare_exchange(stage->client, exchange, "topic");
        client_declare_queue(stage->client, west, NULL);
        client_bind(stage->client, west, exchange, "#");
        stage_run(stage, "retry_max = 300ms\n" TRIAL_EAST TRIAL_WEST
                         "[route:$N]\nqueue = $N\nprefetch = 20\ncluster_from = header:cluster\n"
                         "destination = exchange:$N.{key}.{cluster}/{key}\n");
        checker = checker_new(stage->url, stage->name);
        checker_send(checker, TRIAL_BOTH, 2 * MESSAGES);
        stage_wait_number(stage, "$N", "clusters/west/delivered", MESSAGES);
        g_assert_true(live_wait(DEADLINE_MS, all_have_come_back, stage));
        g_assert_cmpint(stage_number(stage, "$N", "republished"), <, MESSAGES);
        stage_wait_number(stage, "$N", "parked_now", MESSAGES);
}

/* As many as a pass takes at once: it may not wait for them to be the only ones left. */
static void
test_windowful_of_unroutable_does_not_stop_a_pass_under_load(void)
{
        static const char east_ready[] = "[east]\ncluster_member_ips = e\n";
        static const char route[] = TRIAL_WEST "[route:$N]\nqueue = $N\ncluster_from = header:cluster\n"
                                               "prefetch = 20\ndestination = exchange:$N/to.{cluster}\n";
        g_autofree char *ready = g_strconcat("retry_max = 500ms\n", east_ready, route, NULL);
        g_autofree char *drain =
            g_strconcat("retry_max = 500ms\n", east_ready, "state = drain\n", route, NULL);
        g_autoptr(Stage) stage = stage_new("windowful");
        g_autoptr(Checker) checker = NULL;

        if (stage == NULL)
                return;
        g_autofree char *east = stage_text(stage, "$N.east");
        g_autofree char *west = stage_text(stage, "$N.west");

        client_declare_exchange(stage->client, stage->name, "topic");
        client_declare_queue(stage->client, east, NULL);
        client_declare_queue(stage->client, west, NULL);
        client_bind(stage->client, west, stage->name, "to.west");
        stage_run(stage, drain);
        checker = checker_new(stage->url, stage->name);
        checker_send(checker, TRIAL_BOTH, 100);
        stage_wait_number(stage, "$N", "clusters/east/parked_now", 50);
        checker_start(checker, TRIAL_BOTH, 300);
        stage_reload(stage, ready);
        checker_wait_confirmed(checker, 300);
        g_assert_cmpint(stage_number(stage, "$N", "reasons/unroutable"), >, 20);
        client_bind(stage->client, east, stage->name, "to.east");
        stage_wait_number(stage, "$N", "parked_now", 0); /* although the load goes on */
        checker_stop(checker);
        /* What was returned has lost its place. */
        trial_expect_once(stage, checker);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/refused/returned-message-is-parked-alone-and-tried-again",
                        test_returned_message_is_parked_alone_and_tried_again);
        g_test_add_func("/refused/max-attempts-ends-in-the-dead-queue",
                        test_max_attempts_ends_in_the_dead_queue);
        g_test_add_func("/refused/full-queue-holds-then-parks-then-delivers",
                        test_full_queue_holds_then_parks_then_delivers);
        g_test_add_func("/refused/missing-exchange-parks-only-its-own",
                        test_missing_exchange_parks_only_its_own);
        g_test_add_func("/refused/missing-exchange-with-a-name-from-messages-is-not-tried-with-each",
                        test_missing_exchange_with_a_name_from_messages_is_not_tried_with_each);
        g_test_add_func("/refused/windowful-of-unroutable-does-not-stop-a-pass-under-load",
                        test_windowful_of_unroutable_does_not_stop_a_pass_under_load);
        return g_test_run();
}
