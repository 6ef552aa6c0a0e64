/* SPDX-License-Identifier: MIT */
#include "tests/support/live.h"
#include "tests/support/trial.h"

#include <signal.h>
#include <string.h>

/* Faults on the broker's side under load: queues that vanish, missing exchanges, an alarm. One cluster's
 * trouble is not another's. */

enum { DEADLINE_MS = 30000, PREFETCH = 100, BACKLOG = 2000, HEARTBEATS_US = 5 * 1000 * 1000 };
enum { HEAVY = 10, HEAVY_BYTES = 1 << 20 };

static void
test_vanished_queue_under_load_stops_nobody_else(void)
{
        g_autoptr(Stage) stage = stage_new("vanish");
        g_autoptr(Checker) checker = NULL;

        if (stage == NULL)
                return;
        stage_run(stage, "retry_max = 300ms\n" TRIAL_EAST TRIAL_WEST TRIAL_ROUTE);
        checker = checker_new(stage->url, stage->name);
        stage_send(stage, "$N", "east", "the router has made its queue");
        stage_expect(stage, "$N.east", "the router has made its queue");
        stage_delete(stage, "$N.east");
        checker_start(checker, TRIAL_BOTH, 1000);
        checker_wait_confirmed(checker, 1500);
        g_assert_cmpuint(stage_count(stage, "$N.west"), >, 300);
        stage_declare(stage, "$N.east");
        checker_wait_confirmed(checker, 1000);
        checker_stop(checker);
        trial_collect(stage, checker);
        checker_assert_safe(checker);
        g_assert_cmpuint(checker_verdict(checker).duplicated_marked, ==, 0);
}

static void
test_missing_exchange_under_load_stops_nobody_else(void)
{
        g_autoptr(Stage) stage = stage_new("no-exchange");
        g_autoptr(Checker) checker = NULL;
        g_autofree char *east = NULL;
        g_autofree char *west = NULL;

        if (stage == NULL)
                return;
        east = stage_text(stage, "$N.east");
        west = stage_text(stage, "$N.west");
        client_declare_queue(stage->client, east, NULL);
        client_declare_queue(stage->client, west, NULL);
        client_declare_exchange(stage->client, west, "topic");
        client_bind(stage->client, west, west, "#");
        stage_run(stage, "retry_max = 500ms\n" TRIAL_EAST TRIAL_WEST
                         "[route:$N]\nqueue = $N\ncluster_from = header:cluster\nprefetch = 100\n"
                         "destination = exchange:$N.{cluster}/{key}\n");
        checker = checker_new(stage->url, stage->name);
        checker_start(checker, TRIAL_BOTH, 500);
        checker_wait_confirmed(checker, 1500);
        g_assert_cmpuint(stage_count(stage, "$N.west"), >, 200);
        client_declare_exchange(stage->client, east, "topic");
        client_bind(stage->client, east, east, "#");
        checker_wait_confirmed(checker, 300);
        checker_stop(checker);
        trial_collect(stage, checker);
        checker_assert_safe(checker);
}

static void
test_full_queue_under_load_stops_nobody_else(void)
{
        g_autoptr(Stage) stage = stage_new("full-load");
        g_autoptr(Checker) checker = NULL;

        if (stage == NULL)
                return;
        stage_declare_limited(stage, "$N.east", 50);
        stage_run(stage, "hold_time = 500ms\nretry_max = 200ms\n" TRIAL_EAST TRIAL_WEST TRIAL_ROUTE);
        checker = checker_new(stage->url, stage->name);
        checker_start(checker, TRIAL_BOTH, 600);
        checker_wait_confirmed(checker, 1500);
        stage_wait_number(stage, "$N", "clusters/east/delivered", 50);
        g_assert_cmpuint(stage_count(stage, "$N.west"), >, 200);
        checker_stop(checker);
        trial_collect(stage, checker);
        checker_assert_safe(checker);
        g_assert_cmpuint(checker_verdict(checker).duplicated_marked, ==, 0);
}

/* Each takes all that a lane may have in hand. */
static void
test_large_messages_for_a_full_queue_stop_nobody_else(void)
{
        g_autoptr(Stage) stage = stage_new("full-large");
        g_autofree char *body = g_strnfill(HEAVY_BYTES, 'x');

        if (stage == NULL)
                return;
        stage_declare_limited(stage, "$N.east", 0);
        stage_run(stage,
                  "hold_time = 60s\nretry_max = 200ms\nin_flight_bytes = 512KiB\n" TRIAL_EAST TRIAL_WEST
                      TRIAL_ROUTE);
        for (unsigned i = 0; i < HEAVY; i++)
                stage_send(stage, "$N", "east", body);
        stage_send(stage, "$N", "west", "flows");
        stage_expect(stage, "$N.west", "flows");
        stage_wait_count(stage, "cluster-router.$N.parked.east", HEAVY);
}

/* ---- an alarm ---- */

static void
set_alarm(bool on)
{
        const char *const argv[] = {g_getenv("RABBITMQCTL"), "set_vm_memory_high_watermark",
                                    on ? "0.000001" : "0.6", NULL};
        g_autofree char *output = NULL;

        g_assert_cmpint(program_run(argv, &output, NULL), ==, 0);
}

static bool
is_blocked(void *data)
{
        g_autofree char *body = NULL;

        stage_get(data, "/api/v1/status", &body);
        return body != NULL && strstr(body, "\"blocked\"") != NULL;
}

static bool
has_given_back(void *data)
{
        return stage_count(data, "$N") == BACKLOG;
}

static void
test_alarm_holds_everything_and_loses_nothing(void)
{
        g_autoptr(Stage) stage = live_env("RABBITMQCTL") != NULL ? stage_new("alarm") : NULL;
        g_autoptr(Checker) checker = NULL;
        bool blocked, given_back, alive;

        if (stage == NULL)
                return;
        stage_run(stage, "hold_time = 1s\nretry_max = 500ms\n" TRIAL_EAST TRIAL_WEST TRIAL_ROUTE);
        checker = checker_new(stage->url, stage->name);
        checker_send(checker, TRIAL_BOTH, 2);
        stage_wait_number(stage, "$N", "delivered", 2);
        program_signal(stage->router, SIGSTOP); /* so that it has much to do when the alarm is there */
        checker_send(checker, TRIAL_BOTH, BACKLOG);
        set_alarm(true);
        program_signal(stage->router, SIGCONT);
        blocked = live_wait(DEADLINE_MS, is_blocked, stage);
        /* after the hold time the messages are the broker's again */
        given_back = live_wait(DEADLINE_MS, has_given_back, stage);
        alive = stage_get(stage, "/healthz", NULL) == 200;
        set_alarm(false);
        g_assert_true(blocked && given_back && alive);
        trial_collect(stage, checker);
        checker_assert_safe(checker);
        g_assert_cmpuint(checker_verdict(checker).duplicated_marked, <=, PREFETCH);
}

/* Nothing more is read then, but the broker must go on hearing from us. */
static void
test_alarm_with_all_bytes_in_hand_keeps_the_connection(void)
{
        g_autoptr(Stage) stage = live_env("RABBITMQCTL") != NULL ? stage_new("alarm-bytes") : NULL;
        bool blocked;
        int64_t requeued;

        if (stage == NULL)
                return;
        stage_run(
            stage,
            "hold_time = 60s\nheartbeat = 1s\nin_flight_bytes = 4KiB\n" TRIAL_EAST TRIAL_WEST TRIAL_ROUTE);
        program_signal(stage->router, SIGSTOP);
        for (unsigned i = 0; i < PREFETCH; i++)
                stage_send(stage, "$N", "east",
                           "not so small a message, as there are more of them than bytes allow");
        set_alarm(true);
        program_signal(stage->router, SIGCONT);
        blocked = live_wait(DEADLINE_MS, is_blocked, stage);
        g_usleep(HEARTBEATS_US); /* what must not happen has no event to wait for */
        requeued = stage_number(stage, "$N", "requeued");
        set_alarm(false);
        g_assert_true(blocked);
        g_assert_cmpint(requeued, ==, 0);
        stage_wait_count(stage, "$N.east", PREFETCH);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/fault/vanished-queue-under-load-stops-nobody-else",
                        test_vanished_queue_under_load_stops_nobody_else);
        g_test_add_func("/fault/missing-exchange-under-load-stops-nobody-else",
                        test_missing_exchange_under_load_stops_nobody_else);
        g_test_add_func("/fault/full-queue-under-load-stops-nobody-else",
                        test_full_queue_under_load_stops_nobody_else);
        g_test_add_func("/fault/alarm-holds-everything-and-loses-nothing",
                        test_alarm_holds_everything_and_loses_nothing);
        g_test_add_func("/fault/large-messages-for-a-full-queue-stop-nobody-else",
                        test_large_messages_for_a_full_queue_stop_nobody_else);
        g_test_add_func("/fault/alarm-with-all-bytes-in-hand-keeps-the-connection",
                        test_alarm_with_all_bytes_in_hand_keeps_the_connection);
        return g_test_run();
}
