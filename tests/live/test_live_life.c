/* SPDX-License-Identifier: MIT */
#include "tests/support/live.h"
#include "tests/support/trial.h"

#include <signal.h>

/* A router's life under load: stopped, reloaded, killed, cut off. Whatever happens, nothing is lost. */

#define NORTH "[north]\ncluster_member_ips = n\naliases = pole\n"
#define SECOND_ROUTE                                                                                         \
        "[route:$N-b]\nqueue = $N-b\ndestination = queue:{queue}.{cluster}\ncluster_from = header:cluster\n"

static const char PLAIN[] = TRIAL_EAST TRIAL_WEST TRIAL_ROUTE;
static const char DRAIN[] = TRIAL_EAST "state = drain\n" TRIAL_WEST TRIAL_ROUTE;

enum { DEADLINE_MS = 30000, PREFETCH = 100 };

/* ---- SIGTERM ---- */

static void
test_stop_under_load_loses_and_doubles_nothing(void)
{
        g_autoptr(Stage) stage = NULL;
        g_autoptr(Checker) checker = NULL;

        if (!trial_set_up(&stage, &checker, "stop", PLAIN))
                return;
        checker_start(checker, TRIAL_BOTH, 2000);
        for (unsigned i = 0; i < 4; i++) {
                checker_wait_confirmed(checker, 700);
                stage_stop(stage);
                stage_start(stage);
        }
        checker_stop(checker);
        trial_collect(stage, checker);
        checker_assert_perfect(checker);
}

static void
test_stop_while_unparking_under_load_doubles_nothing(void)
{
        g_autoptr(Stage) stage = NULL;
        g_autoptr(Checker) checker = NULL;

        if (!trial_set_up(&stage, &checker, "stop-unpark", DRAIN))
                return;
        checker_start(checker, TRIAL_BOTH, 1500);
        for (unsigned i = 0; i < 3; i++) {
                checker_wait_confirmed(checker, 1200);
                stage_reload(stage, PLAIN);
                stage_stop(stage);
                stage_configure(stage, DRAIN);
                stage_start(stage);
        }
        stage_reload(stage, PLAIN);
        checker_stop(checker);
        trial_collect(stage, checker);
        checker_assert_perfect(checker);
}

static void
test_second_sigterm_ends_at_once(void)
{
        g_autoptr(Stage) stage = stage_new("twice");

        if (stage == NULL)
                return;
        stage_declare_limited(stage, "$N.east", 1);
        stage_run(stage, "drain_deadline = 60s\n" TRIAL_EAST TRIAL_WEST TRIAL_ROUTE);
        for (unsigned i = 0; i < 3; i++)
                stage_send(stage, "$N", "east", "no room");
        stage_wait_number(stage, "$N", "in_flight", 2);
        program_signal(stage->router, SIGTERM);
        program_wait_line(stage->router, "stopping: settling", DEADLINE_MS);
        g_assert_true(program_is_running(stage->router));
        program_signal(stage->router, SIGTERM);
        g_assert_cmpint(program_wait_exit(stage->router, 2000), ==, 0);
        stage_wait_count(stage, "$N", 2);
}

static void
test_stop_gives_back_what_cannot_be_settled(void)
{
        g_autoptr(Stage) stage = stage_new("deadline");

        if (stage == NULL)
                return;
        stage_declare_limited(stage, "$N.east", 1);
        stage_run(stage, "drain_deadline = 500ms\n" TRIAL_EAST TRIAL_WEST TRIAL_ROUTE);
        for (unsigned i = 0; i < 3; i++)
                stage_send(stage, "$N", "east", "no room");
        stage_wait_number(stage, "$N", "in_flight", 2);
        stage_stop(stage);
        stage_wait_count(stage, "$N", 2);
        g_assert_cmpuint(stage_count(stage, "$N.east"), ==, 1);
}

/* ---- SIGHUP ---- */

static void
refuse_reload(Stage *stage, const char *conf)
{
        stage_configure(stage, conf);
        program_signal(stage->router, SIGHUP);
        program_wait_line(stage->router, "reload refused", DEADLINE_MS);
}

static void
test_reload_under_load_loses_and_doubles_nothing(void)
{
        static const char *const files[] = {
            TRIAL_EAST TRIAL_WEST NORTH TRIAL_ROUTE,        /* a cluster more */
            TRIAL_EAST TRIAL_WEST TRIAL_ROUTE SECOND_ROUTE, /* one less, a route more */
            TRIAL_EAST TRIAL_WEST TRIAL_ROUTE
            "lanes = 1\non_unknown_cluster = park\n",             /* a route changed, the other gone */
            "hold_time = 30s\n" TRIAL_EAST TRIAL_WEST TRIAL_ROUTE /* a setting changed */
        };
        g_autoptr(Stage) stage = NULL;
        g_autoptr(Checker) checker = NULL;

        if (!trial_set_up(&stage, &checker, "reload", PLAIN))
                return;
        checker_start(checker, TRIAL_BOTH, 1500);
        for (unsigned i = 0; i < 20; i++) {
                stage_reload(stage, files[i % G_N_ELEMENTS(files)]);
                if (i % 5 == 4)
                        refuse_reload(stage, TRIAL_EAST TRIAL_WEST TRIAL_ROUTE "prefetch = many\n");
                checker_wait_confirmed(checker, 100);
        }
        stage_reload(stage, files[1]);
        stage_wait_ready(stage);
        stage_send(stage, "$N-b", "west", "the second route");
        stage_expect(stage, "$N-b.west", "the second route");
        checker_stop(checker);
        trial_collect(stage, checker);
        checker_assert_perfect(checker);
}

static void
test_storm_of_hangups_under_load(void)
{
        g_autoptr(Stage) stage = NULL;
        g_autoptr(Checker) checker = NULL;

        if (!trial_set_up(&stage, &checker, "storm", PLAIN))
                return;
        checker_start(checker, TRIAL_BOTH, 1500);
        for (unsigned i = 0; i < 20; i++) {
                stage_configure(stage, i % 2 == 0 ? TRIAL_EAST TRIAL_WEST TRIAL_ROUTE
                                           "lanes = 1\npark_ttl = 1h\n"
                                                  : PLAIN);
                program_signal(stage->router, SIGHUP);
        }
        checker_wait_confirmed(checker, 500);
        checker_stop(checker);
        trial_collect(stage, checker);
        checker_assert_perfect(checker);
}

static void
test_bad_file_leaves_the_old_one_in_force(void)
{
        g_autoptr(Stage) stage = stage_new("refused");

        if (stage == NULL)
                return;
        stage_run(stage, PLAIN);
        refuse_reload(stage, TRIAL_EAST TRIAL_WEST "[route:$N]\nqueu = $N\n");
        stage_send(stage, "$N", "east", "as before");
        stage_expect(stage, "$N.east", "as before");
        stage_reload(stage, TRIAL_EAST TRIAL_WEST NORTH TRIAL_ROUTE);
        stage_send(stage, "$N", "pole", "as now");
        stage_expect(stage, "$N.north", "as now");
}

/* ---- kill -9 ---- */

static void
test_kill_under_load_loses_nothing_and_marks_copies(void)
{
        enum { KILLS = 5, LANES = 2 };
        g_autoptr(Stage) stage = NULL;
        g_autoptr(Checker) checker = NULL;
        CheckerVerdict verdict;

        if (!trial_set_up(&stage, &checker, "kill", TRIAL_EAST TRIAL_WEST TRIAL_ROUTE "lanes = 2\n"))
                return;
        checker_start(checker, TRIAL_BOTH, 3000);
        for (unsigned i = 0; i < KILLS; i++) {
                checker_wait_confirmed(checker, 1000);
                stage_kill(stage);
                stage_start(stage);
        }
        checker_stop(checker);
        trial_collect(stage, checker);
        checker_assert_safe(checker);
        verdict = checker_verdict(checker);
        g_assert_cmpuint(verdict.duplicated_marked, <=, KILLS * LANES * PREFETCH);
}

static void
test_kill_while_unparking_loses_nothing(void)
{
        enum { KILLS = 4 };
        g_autoptr(Stage) stage = NULL;
        g_autoptr(Checker) checker = NULL;

        if (!trial_set_up(&stage, &checker, "kill-unpark", DRAIN))
                return;
        checker_start(checker, TRIAL_BOTH, 1500);
        for (unsigned i = 0; i < KILLS; i++) {
                checker_wait_confirmed(checker, 1000);
                stage_reload(stage, PLAIN);
                stage_kill(stage);
                stage_configure(stage, i % 2 == 0 ? DRAIN : PLAIN);
                stage_start(stage);
        }
        checker_stop(checker);
        stage_reload(stage, PLAIN);
        trial_collect(stage, checker);
        checker_assert_safe(checker);
        /* each of the two intakes, shared and parked, may double a window */
        g_assert_cmpuint(checker_verdict(checker).duplicated_marked, <=, KILLS * 2 * PREFETCH);
}

static void
test_two_routers_share_and_one_may_die(void)
{
        g_autoptr(Stage) stage = NULL;
        g_autoptr(Stage) other = NULL;
        g_autoptr(Checker) checker = NULL;

        if (!trial_set_up(&stage, &checker, "two", PLAIN))
                return;
        other = stage_new("two");
        g_free(other->name);
        other->name = g_strdup(stage->name);
        stage_run(other, PLAIN);
        checker_start(checker, TRIAL_BOTH, 2000);
        checker_wait_confirmed(checker, 2000);
        g_assert_cmpint(stage_number(stage, "$N", "delivered"), >, 0);
        g_assert_cmpint(stage_number(other, "$N", "delivered"), >, 0);
        stage_kill(other);
        checker_wait_confirmed(checker, 1000);
        checker_stop(checker);
        trial_collect(stage, checker);
        checker_assert_safe(checker);
        g_assert_cmpuint(checker_verdict(checker).duplicated_marked, <=, PREFETCH);
}

/* ---- cut off ---- */

static void
test_closed_connections_lose_nothing(void)
{
        enum { CUTS = 3 };
        const char *const ctl = live_env("RABBITMQCTL");
        const char *const argv[] = {ctl, "close_all_connections", "the test says so", NULL};
        g_autoptr(Stage) stage = NULL;
        g_autoptr(Checker) checker = NULL;

        if (ctl == NULL ||
            !trial_set_up(&stage, &checker, "cut", "retry_max = 500ms\n" TRIAL_EAST TRIAL_WEST TRIAL_ROUTE))
                return;
        checker_start(checker, TRIAL_BOTH, 2000);
        client_free(g_steal_pointer(&stage->client));
        for (unsigned i = 0; i < CUTS; i++) {
                g_autofree char *output = NULL;

                checker_wait_confirmed(checker, 700);
                g_assert_cmpint(program_run(argv, &output, NULL), ==, 0);
        }
        checker_wait_confirmed(checker, 700);
        checker_stop(checker);
        stage->client = client_new(stage->url);
        trial_collect(stage, checker);
        checker_assert_safe(checker);
        g_assert_cmpuint(checker_verdict(checker).duplicated_marked, <=, CUTS * PREFETCH);
}

/* ---- the books ---- */

static void
test_books_balance_at_every_moment(void)
{
        g_autoptr(Stage) stage = NULL;
        g_autoptr(Checker) checker = NULL;
        static const char *const mixed[] = {"east", "west", "nowhere", "", NULL};

        if (!trial_set_up(&stage, &checker, "books", PLAIN))
                return;
        checker_start(checker, mixed, 2000);
        for (unsigned round = 0; round < 4; round++) {
                stage_reload(stage, round % 2 == 0 ? DRAIN : PLAIN);
                for (unsigned i = 0; i < 100; i++)
                        g_assert_true(stage_balances(stage, "$N"));
                checker_wait_confirmed(checker, 300);
        }
        checker_stop(checker);
        stage_wait_number(stage, "$N", "in", (int64_t)checker_confirmed(checker));
        stage_wait_number(stage, "$N", "in_flight", 0);
        stage_wait_number(stage, "$N", "parked_now", 0);
        g_assert_true(stage_balances(stage, "$N"));
        g_assert_cmpint(stage_number(stage, "$N", "dead"), ==, stage_count(stage, "cluster-router.$N.dead"));
        g_assert_cmpint(stage_number(stage, "$N", "delivered"), ==,
                        stage_count(stage, "$N.east") + stage_count(stage, "$N.west"));
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/life/stop-under-load-loses-and-doubles-nothing",
                        test_stop_under_load_loses_and_doubles_nothing);
        g_test_add_func("/life/stop-while-unparking-under-load-doubles-nothing",
                        test_stop_while_unparking_under_load_doubles_nothing);
        g_test_add_func("/life/second-sigterm-ends-at-once", test_second_sigterm_ends_at_once);
        g_test_add_func("/life/stop-gives-back-what-cannot-be-settled",
                        test_stop_gives_back_what_cannot_be_settled);
        g_test_add_func("/life/reload-under-load-loses-and-doubles-nothing",
                        test_reload_under_load_loses_and_doubles_nothing);
        g_test_add_func("/life/storm-of-hangups-under-load", test_storm_of_hangups_under_load);
        g_test_add_func("/life/bad-file-leaves-the-old-one-in-force",
                        test_bad_file_leaves_the_old_one_in_force);
        g_test_add_func("/life/kill-under-load-loses-nothing-and-marks-copies",
                        test_kill_under_load_loses_nothing_and_marks_copies);
        g_test_add_func("/life/kill-while-unparking-loses-nothing", test_kill_while_unparking_loses_nothing);
        g_test_add_func("/life/two-routers-share-and-one-may-die", test_two_routers_share_and_one_may_die);
        g_test_add_func("/life/closed-connections-lose-nothing", test_closed_connections_lose_nothing);
        g_test_add_func("/life/books-balance-at-every-moment", test_books_balance_at_every_moment);
        return g_test_run();
}
