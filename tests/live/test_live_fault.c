/* SPDX-License-Identifier: MIT */
#include "tests/support/checker.h"
#include "tests/support/live.h"
#include "tests/support/stage.h"

#include <signal.h>
#include <string.h>

/* Faults on the broker's side under load: queues that vanish, missing exchanges, an alarm. One cluster's
 * trouble is not another's. */

#define EAST "[east]\ncluster_member_ips = e\n"
#define WEST "[west]\ncluster_member_ips = w\n"
#define ROUTE                                                                                                \
        "[route:$N]\nqueue = $N\ndestination = queue:{queue}.{cluster}\ncluster_from = header:cluster\n"     \
        "prefetch = 100\n"

static const char *const BOTH[] = {"east", "west", NULL};

enum { DEADLINE_MS = 30000, PREFETCH = 100, BACKLOG = 2000 };

typedef struct {
        Stage *stage;
        Checker *checker;
        uint64_t collected;
} Drain;

/* Empties both destinations until all that was confirmed has been seen. */
static bool
has_all(void *data)
{
        Drain *drain = data;
        g_autofree char *east = stage_text(drain->stage, "$N.east");
        g_autofree char *west = stage_text(drain->stage, "$N.west");
        CheckerVerdict verdict;

        checker_collect(drain->checker, east, "east");
        checker_collect(drain->checker, west, "west");
        verdict = checker_verdict(drain->checker);
        return verdict.lost == 0;
}

static void
collect(Stage *stage, Checker *checker)
{
        Drain drain = {stage, checker, 0};

        if (!live_wait(DEADLINE_MS, has_all, &drain)) {
                g_autofree char *stats = NULL;
                g_autofree char *log = program_log(stage->router);

                stage_get(stage, "/api/v1/stats", &stats);
                g_error("%" G_GUINT64_FORMAT " messages do not arrive: %s\n%s", checker_verdict(checker).lost,
                        stats, log);
        }
        stage_wait_number(stage, "$N", "in_flight", 0);
        stage_wait_number(stage, "$N", "parked_now", 0);
        g_assert_true(stage_balances(stage, "$N"));
        has_all(&drain); /* copies that came last */
}

static void
test_vanished_queue_under_load_stops_nobody_else(void)
{
        g_autoptr(Stage) stage = stage_new("vanish");
        g_autoptr(Checker) checker = NULL;

        if (stage == NULL)
                return;
        stage_run(stage, "retry_max = 300ms\n" EAST WEST ROUTE);
        checker = checker_new(stage->url, stage->name);
        stage_send(stage, "$N", "east", "the router has made its queue");
        stage_expect(stage, "$N.east", "the router has made its queue");
        stage_delete(stage, "$N.east");
        checker_start(checker, BOTH, 1000);
        checker_wait_confirmed(checker, 1500);
        g_assert_cmpuint(stage_count(stage, "$N.west"), >, 300);
        stage_declare(stage, "$N.east");
        checker_wait_confirmed(checker, 1000);
        checker_stop(checker);
        collect(stage, checker);
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
        stage_run(stage, "retry_max = 500ms\n" EAST WEST
                         "[route:$N]\nqueue = $N\ncluster_from = header:cluster\nprefetch = 100\n"
                         "destination = exchange:$N.{cluster}/{key}\n");
        checker = checker_new(stage->url, stage->name);
        checker_start(checker, BOTH, 500);
        checker_wait_confirmed(checker, 1500);
        g_assert_cmpuint(stage_count(stage, "$N.west"), >, 200);
        client_declare_exchange(stage->client, east, "topic");
        client_bind(stage->client, east, east, "#");
        checker_wait_confirmed(checker, 300);
        checker_stop(checker);
        collect(stage, checker);
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
        stage_run(stage, "hold_time = 500ms\nretry_max = 200ms\n" EAST WEST ROUTE);
        checker = checker_new(stage->url, stage->name);
        checker_start(checker, BOTH, 600);
        checker_wait_confirmed(checker, 1500);
        stage_wait_number(stage, "$N", "clusters/east/delivered", 50);
        g_assert_cmpuint(stage_count(stage, "$N.west"), >, 200);
        checker_stop(checker);
        collect(stage, checker);
        checker_assert_safe(checker);
        g_assert_cmpuint(checker_verdict(checker).duplicated_marked, ==, 0);
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
        stage_run(stage, "hold_time = 1s\nretry_max = 500ms\n" EAST WEST ROUTE);
        checker = checker_new(stage->url, stage->name);
        checker_send(checker, BOTH, 2);
        stage_wait_number(stage, "$N", "delivered", 2);
        program_signal(stage->router, SIGSTOP); /* so that it has much to do when the alarm is there */
        checker_send(checker, BOTH, BACKLOG);
        set_alarm(true);
        program_signal(stage->router, SIGCONT);
        blocked = live_wait(DEADLINE_MS, is_blocked, stage);
        /* after the hold time the messages are the broker's again */
        given_back = live_wait(DEADLINE_MS, has_given_back, stage);
        alive = stage_get(stage, "/healthz", NULL) == 200;
        set_alarm(false);
        g_assert_true(blocked && given_back && alive);
        collect(stage, checker);
        checker_assert_safe(checker);
        g_assert_cmpuint(checker_verdict(checker).duplicated_marked, <=, PREFETCH);
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
        return g_test_run();
}
