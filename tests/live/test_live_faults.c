/* SPDX-License-Identifier: MIT */
#include "tests/support/fault_run.h"
#include "tests/support/live.h"

#include <amqp_framing.h>

/*
 * Faults between a router and its shared broker, each in a short form; with FAULTS_LONG set, often. F1, F7,
 * F13, F14, F15, F16, F17 of the matrix.
 */

enum { DEADLINE_MS = 30000, TRIES = 8 };

static const FaultBrokers ONE = {.shared = "AMQP_URL"};
/* Confirms that take longer leave more in flight for a fault to hit. */
static const FaultShape SLOW = {.delay_ms = 15, .jitter_ms = 10};

/* ---- F1, F7: the router dies, its connections die ---- */

static void
test_kill_of_the_router(void)
{
        unsigned times = fault_run_times(4, 200);
        g_auto(FaultRun) run = {0};

        if (!fault_run_init(&run, "F1 router kill -9", &ONE, ""))
                return;
        fault_proxy_shape(run.shared, &SLOW);
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++) {
                checker_wait_confirmed(run.checker, (uint64_t)g_test_rand_int_range(50, 400));
                stage_kill(run.stage);
                fault_run_count(&run, FAULT_PREFETCH);
                stage_start(run.stage);
                fault_run_recover(&run);
        }
        fault_run_finish(&run);
}

static void
test_all_connections_closed(void)
{
        unsigned times = fault_run_times(2, 50);
        g_auto(FaultRun) run = {0};

        if (live_env("RABBITMQCTL") == NULL || !fault_run_init(&run, "F7 all connections closed", &ONE, ""))
                return;
        fault_proxy_shape(run.shared, &SLOW);
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++) {
                g_clear_pointer(&run.stage->client, client_free);
                fault_tell("RABBITMQCTL", "close_all_connections", "the test says so", NULL);
                run.stage->client = client_new(checker_url(run.checker));
                fault_run_count(&run, FAULT_PREFETCH);
                fault_run_recover(&run);
                checker_wait_confirmed(run.checker, 300);
        }
        fault_run_finish(&run);
}

static void
test_cut_network(void)
{
        static const FaultAction actions[] = {FAULT_CUT, FAULT_CLOSE};
        unsigned times = fault_run_times(4, 100);
        g_auto(FaultRun) run = {0};

        if (!fault_run_init(&run, "F7 network cut, closed", &ONE, ""))
                return;
        fault_proxy_shape(run.shared, &SLOW);
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++) {
                checker_wait_confirmed(run.checker, (uint64_t)g_test_rand_int_range(50, 400));
                fault_proxy_end(run.shared, actions[i % G_N_ELEMENTS(actions)]);
                fault_run_count(&run, FAULT_PREFETCH);
                fault_run_recover(&run);
        }
        fault_run_finish(&run);
}

/* ---- F13: cut in an exact window ---- */

typedef struct {
        const char *fault;
        FaultTrigger trigger;
        unsigned doubles; /* copies that one cut may make */
} Window;

static const Window WINDOWS[] = {
    {"F13 cut between publish and confirm",
     {FAULT_DOWN, AMQP_BASIC_ACK_METHOD, 3, FAULT_BEFORE, FAULT_CUT},
     1},
    /* The checker's messages have names, so the router knows them again: no copy. */
    {"F13 cut between confirm and ack", {FAULT_UP, AMQP_BASIC_ACK_METHOD, 3, FAULT_BEFORE, FAULT_CUT}, 0},
    {"F13 cut in the middle of the method",
     {FAULT_UP, AMQP_BASIC_PUBLISH_METHOD, 3, FAULT_MIDDLE, FAULT_CUT},
     0},
    {"F13 cut in the middle of the header", {FAULT_UP, FAULT_HEADER, 3, FAULT_MIDDLE, FAULT_CUT}, 0},
    {"F13 cut in the middle of the body", {FAULT_UP, FAULT_BODY, 3, FAULT_MIDDLE, FAULT_CUT}, 0},
    {"F13 cut in the middle of a delivery", {FAULT_DOWN, FAULT_BODY, 3, FAULT_MIDDLE, FAULT_CUT}, 0},
};

static void
cut_at(FaultRun *run, const Window *window, unsigned bound)
{
        fault_proxy_arm(run->shared, &window->trigger);
        if (!fault_proxy_wait_fired(run->shared, DEADLINE_MS))
                g_error("%s: no such frame passed", window->fault);
        fault_run_count(run, bound);
        fault_run_recover(run);
}

/* One message in flight: none or exactly one copy. */
static void
test_cut_in_a_window_of_one(const void *data)
{
        const Window *window = data;
        unsigned times = fault_run_times(2, 100);
        g_auto(FaultRun) run = {0};

        if (!fault_run_init(&run, window->fault, &ONE, "prefetch = 1\n"))
                return;
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++)
                cut_at(&run, window, window->doubles);
        fault_run_finish(&run);
}

static void
test_cut_under_load(void)
{
        unsigned rounds = fault_run_times(1, 20);
        g_auto(FaultRun) run = {0};

        if (!fault_run_init(&run, "F13 all of these, window 100", &ONE, ""))
                return;
        fault_run_start(&run);
        for (unsigned i = 0; i < rounds * G_N_ELEMENTS(WINDOWS); i++)
                cut_at(&run, &WINDOWS[i % G_N_ELEMENTS(WINDOWS)], FAULT_PREFETCH);
        fault_run_finish(&run);
}

/* ---- F14, F15, F16: destinations that do not take ---- */

/* The queue is empty when it goes, so that nothing goes with it. */
static void
test_queue_deleted_and_made_again(void)
{
        unsigned times = fault_run_times(2, 20);
        g_auto(FaultRun) run = {0};

        if (!fault_run_init(&run, "F14 destination queue deleted", &ONE, ""))
                return;
        fault_run_start(&run);
        fault_run_pause(&run);
        for (unsigned i = 0; i < times; i++) {
                stage_delete(run.stage, "$N.east");
                fault_run_load(&run);
                fault_run_expect_parked(&run);
                fault_run_watch_west(&run);
                fault_run_expect_west(&run, 400);
                stage_declare(run.stage, "$N.east");
                fault_run_count(&run, 0);
                fault_run_recover(&run);
                fault_run_pause(&run);
        }
        fault_run_finish(&run);
}

static void
make_exchange(FaultRun *run, const char *cluster)
{
        g_autofree char *name = g_strdup_printf("%s.%s", run->stage->name, cluster);

        client_declare_exchange(run->stage->client, name, "topic");
        client_declare_queue(run->stage->client, name, NULL);
        client_bind(run->stage->client, name, name, "#");
}

static void
test_exchange_deleted_and_made_again(void)
{
        unsigned times = fault_run_times(2, 20);
        g_auto(FaultRun) run = {0};

        if (!fault_run_init(&run, "F15 exchange deleted (404)", &ONE,
                            "destination = exchange:$N.{cluster}/{key}\n"))
                return;
        make_exchange(&run, "east");
        make_exchange(&run, "west");
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++) {
                g_autofree char *east = stage_text(run.stage, "$N.east");

                client_delete_exchange(run.stage->client, east);
                fault_run_expect_parked(&run);
                fault_run_watch_west(&run);
                fault_run_expect_west(&run, 300);
                make_exchange(&run, "east");
                fault_run_count(&run, FAULT_PREFETCH);
                fault_run_recover(&run);
        }
        fault_run_finish(&run);
}

static void
set_permission(const char *write)
{
        fault_tell("RABBITMQCTL", "set_permissions", "guest", ".*", write, ".*", NULL);
}

/* The broker remembers what a channel may; a new connection asks again. */
static void
test_permission_revoked(void)
{
        g_auto(FaultRun) run = {0};
        g_autofree char *all_but_east = NULL;

        if (live_env("RABBITMQCTL") == NULL || !fault_run_init(&run, "F15 permission revoked (403)", &ONE,
                                                               "destination = exchange:$N.{cluster}/{key}\n"))
                return;
        make_exchange(&run, "east");
        make_exchange(&run, "west");
        fault_run_start(&run);
        all_but_east = g_strdup_printf("^(?!%s.east$)", run.stage->name);
        set_permission(all_but_east);
        fault_proxy_end(run.shared, FAULT_CUT);
        /* By the cut, by the search for the offender, and by each try while the permission is away, since the
         * broker closes the channel each time: as many as a slow machine makes. */
        fault_run_count(&run, TRIES * FAULT_PREFETCH);
        fault_run_expect_parked(&run);
        fault_run_watch_west(&run);
        fault_run_expect_west(&run, 300);
        set_permission(".*");
        fault_proxy_end(run.shared, FAULT_CUT);
        fault_run_count(&run, 2 * FAULT_PREFETCH);
        fault_run_recover(&run);
        fault_run_finish(&run);
}

static void
full_queue(const char *fault, const char *type)
{
        amqp_table_entry_t entries[] = {client_entry_int("x-max-length", 50),
                                        client_entry_text("x-overflow", "reject-publish"),
                                        client_entry_text("x-queue-type", type)};
        amqp_table_t arguments = {G_N_ELEMENTS(entries), entries};
        g_autofree char *east = NULL;
        g_auto(FaultRun) run = {0};

        if (!fault_run_init(&run, fault, &ONE, ""))
                return;
        east = stage_text(run.stage, "$N.east");
        client_declare_queue(run.stage->client, east, &arguments);
        fault_run_start(&run);
        fault_run_count(&run, 0);
        fault_run_expect_parked(&run);
        fault_run_watch_west(&run);
        fault_run_expect_west(&run, 400);
        fault_run_expect(&run, stage_number(run.stage, "$N", "nacked") > 0, "no refusal is counted");
        fault_run_finish(&run);
}

static void
test_full_classic_queue(void)
{
        full_queue("F16 classic queue full", "classic");
}

static void
test_full_quorum_queue(void)
{
        full_queue("F16 quorum queue full", "quorum");
}

/* ---- F17: the input queue goes ---- */

static bool
is_consumed_again(void *data)
{
        FaultRun *run = data;
        uint32_t consumers = 0;

        return client_count(run->stage->client, run->stage->name, NULL, &consumers) && consumers > 0;
}

static void
test_input_queue_deleted(void)
{
        unsigned times = fault_run_times(2, 20);
        g_auto(FaultRun) run = {0};

        if (!fault_run_init(&run, "F17 input queue deleted", &ONE, ""))
                return;
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++) {
                fault_run_pause(&run);
                stage_delete(run.stage, "$N");
                fault_run_count(&run, 0);
                g_assert_true(live_wait(DEADLINE_MS, is_consumed_again, &run));
                fault_run_load(&run);
                fault_run_recover(&run);
        }
        fault_run_finish(&run);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/faults/kill-of-the-router", test_kill_of_the_router);
        g_test_add_func("/faults/all-connections-closed", test_all_connections_closed);
        g_test_add_func("/faults/cut-network", test_cut_network);
        for (unsigned i = 0; i < G_N_ELEMENTS(WINDOWS); i++) {
                g_autofree char *name = g_strdelimit(g_strdup(WINDOWS[i].fault + strlen("F13 ")), " ", '-');
                g_autofree char *path = g_strdup_printf("/faults/%s", name);

                g_test_add_data_func(path, &WINDOWS[i], test_cut_in_a_window_of_one);
        }
        g_test_add_func("/faults/cut-under-load", test_cut_under_load);
        g_test_add_func("/faults/queue-deleted-and-made-again", test_queue_deleted_and_made_again);
        g_test_add_func("/faults/exchange-deleted-and-made-again", test_exchange_deleted_and_made_again);
        g_test_add_func("/faults/permission-revoked", test_permission_revoked);
        g_test_add_func("/faults/full-classic-queue", test_full_classic_queue);
        g_test_add_func("/faults/full-quorum-queue", test_full_quorum_queue);
        g_test_add_func("/faults/input-queue-deleted", test_input_queue_deleted);
        return g_test_run();
}
