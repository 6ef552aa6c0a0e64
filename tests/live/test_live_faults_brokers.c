/* SPDX-License-Identifier: MIT */
#include "tests/support/fault_run.h"
#include "tests/support/live.h"

#include <amqp_framing.h>
#include <errno.h>
#include <signal.h>

/*
 * Brokers that die, stand still, block or fall silent, and a network that does. East has a broker of its own:
 * what happens to that one must not reach west. F1, F4, F5, F8, F11, F12, F24 of the matrix.
 */

enum { DEADLINE_MS = 30000 };

/* Parked after the hold time; besides that it takes two heartbeats and a few seconds to find out. */
enum { PARKED_WITHIN_MS = FAULT_HOLD_MS + 2 * 2000 + 5000 };

static const FaultBrokers OWN = {.shared = "AMQP_URL", .east = "AMQP_URL_2"};
static const FaultBrokers MORTAL = {.shared = "AMQP_URL_2"};

/* While east is broken: its messages are parked in time, west flows, and no more than a window is held. */
static void
expect_isolation(FaultRun *run)
{
        int64_t began_us = g_get_monotonic_time();

        fault_run_watch_west(run);
        stage_wait_flow(run->stage, "east", "parking");
        fault_run_expect(run, g_get_monotonic_time() - began_us < PARKED_WITHIN_MS * 1000, "parked too late");
        fault_run_expect_west(run, 600);
        fault_run_expect(run, stage_number(run->stage, "$N", "in_flight") <= FAULT_PREFETCH,
                         "more than the window is in flight");
}

static void
over(FaultRun *run)
{
        fault_run_count(run, FAULT_PREFETCH);
        fault_run_recover(run);
}

/* ---- F4, F5: a broker dies or stands still ---- */

static bool
has_gone(void *data)
{
        return kill(*(int *)data, 0) != 0 && errno == ESRCH;
}

/* The launcher of the servers starts it again. A queue that was made a moment before would be forgotten with
 * all that was confirmed in it; what the broker loses by itself is not looked at here. */
static void
kill_second_broker(void)
{
        int pid = fault_broker_pid("RABBITMQCTL_2");

        fault_tell("RABBITMQCTL_2", "eval", "mnesia:sync_log().", NULL);
        g_assert_no_errno(kill(pid, SIGKILL));
        g_assert_true(live_wait(DEADLINE_MS, has_gone, &pid));
}

/* A classic queue may forget what it has delivered: then a copy is unmarked, and that is the broker's. */
static void
test_kill_of_the_shared_broker(void)
{
        unsigned times = fault_run_times(1, 20);
        g_auto(FaultRun) run = {0};

        if (live_env("RABBITMQCTL_2") == NULL ||
            !fault_run_init(&run, "F4 shared broker kill -9", &MORTAL, ""))
                return;
        run.forgetful = true;
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++) {
                checker_wait_confirmed(run.checker, 300);
                g_clear_pointer(&run.stage->client, client_free);
                kill_second_broker();
                fault_run_count(&run, FAULT_PREFETCH);
                run.stage->client = client_new(checker_url(run.checker));
                fault_run_recover(&run);
        }
        fault_run_finish(&run);
}

static void
test_kill_of_a_cluster_broker(void)
{
        unsigned times = fault_run_times(1, 20);
        g_auto(FaultRun) run = {0};

        if (live_env("RABBITMQCTL_2") == NULL || !fault_run_init(&run, "F5 east's broker kill -9", &OWN, ""))
                return;
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++) {
                kill_second_broker();
                expect_isolation(&run);
                over(&run);
        }
        fault_run_finish(&run);
}

static void
test_cluster_broker_stands_still(void)
{
        unsigned times = fault_run_times(1, 10);
        g_auto(FaultRun) run = {0};
        int pid;

        if (live_env("RABBITMQCTL_2") == NULL || !fault_run_init(&run, "F5 east's broker SIGSTOP", &OWN, ""))
                return;
        fault_run_start(&run);
        pid = fault_broker_pid("RABBITMQCTL_2");
        for (unsigned i = 0; i < times; i++) {
                g_assert_no_errno(kill(pid, SIGSTOP));
                expect_isolation(&run);
                g_assert_no_errno(kill(pid, SIGCONT));
                over(&run);
        }
        fault_run_finish(&run);
}

/* ---- F8: it blocks ---- */

static void
test_memory_alarm_at_a_cluster_broker(void)
{
        unsigned times = fault_run_times(1, 10);
        g_auto(FaultRun) run = {0};

        if (live_env("RABBITMQCTL_2") == NULL ||
            !fault_run_init(&run, "F8 memory alarm at east's broker", &OWN, ""))
                return;
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++) {
                fault_tell("RABBITMQCTL_2", "set_vm_memory_high_watermark", "0.000001", NULL);
                expect_isolation(&run);
                fault_tell("RABBITMQCTL_2", "set_vm_memory_high_watermark", "0.6", NULL);
                over(&run);
        }
        fault_run_finish(&run);
}

/* ---- F11, F12: the network falls silent, or is bad ---- */

static void
test_silence_in_the_middle_of_a_publish(void)
{
        static const FaultTrigger trigger = {FAULT_UP, FAULT_BODY, 5, FAULT_MIDDLE, FAULT_SILENCE};
        unsigned times = fault_run_times(1, 20);
        g_auto(FaultRun) run = {0};

        if (!fault_run_init(&run, "F11 east's broker blackholed mid-publish", &OWN, ""))
                return;
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++) {
                fault_proxy_arm(run.east, &trigger);
                g_assert_true(fault_proxy_wait_fired(run.east, DEADLINE_MS));
                fault_proxy_silence(run.east, FAULT_BOTH);
                expect_isolation(&run);
                fault_proxy_heal(run.east);
                over(&run);
        }
        fault_run_finish(&run);
}

/* What is for a queue waits until the broker has answered that it is there. */
static void
test_silence_before_a_declare(void)
{
        static const FaultTrigger trigger = {FAULT_UP, AMQP_QUEUE_DECLARE_METHOD, 1, FAULT_BEFORE,
                                             FAULT_SILENCE};
        unsigned times = fault_run_times(1, 20);
        g_auto(FaultRun) run = {0};

        if (!fault_run_init(&run, "F11 east's broker blackholed at a declare", &OWN, ""))
                return;
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++) {
                fault_proxy_arm(run.east, &trigger);
                fault_proxy_end(run.east, FAULT_CUT); /* declares again when it is back */
                g_assert_true(fault_proxy_wait_fired(run.east, DEADLINE_MS));
                fault_proxy_silence(run.east, FAULT_BOTH);
                expect_isolation(&run);
                fault_proxy_heal(run.east);
                over(&run);
        }
        fault_run_finish(&run);
}

static void
test_silence_one_way(void)
{
        static const FaultDirection directions[] = {FAULT_UP, FAULT_DOWN};
        unsigned times = fault_run_times(2, 20);
        g_auto(FaultRun) run = {0};

        if (!fault_run_init(&run, "F12 east's broker blackholed one way", &OWN, ""))
                return;
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++) {
                fault_proxy_silence(run.east, directions[i % G_N_ELEMENTS(directions)]);
                expect_isolation(&run);
                fault_proxy_heal(run.east);
                over(&run);
        }
        fault_run_finish(&run);
}

static void
test_slow_network_is_no_fault(void)
{
        static const FaultShape shapes[] = {
            {.slice_bytes = 1}, {.delay_ms = 100, .jitter_ms = 400}, {.bytes_per_s = 200 * 1000}};
        unsigned times = fault_run_times(3, 30);
        g_auto(FaultRun) run = {0};

        if (!fault_run_init(&run, "F12 slices, jitter, little bandwidth", &OWN, ""))
                return;
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++) {
                fault_proxy_shape(run.east, &shapes[i % G_N_ELEMENTS(shapes)]);
                checker_wait_confirmed(run.checker, 600);
                fault_proxy_heal(run.east);
                fault_run_count(&run, 0);
                fault_run_recover(&run);
        }
        fault_run_finish(&run);
}

/* Its socket is full before its part of the window is on its way, and no heartbeat tells for a minute. */
static void
test_large_messages_for_a_silent_broker(void)
{
        enum { MESSAGES = 200, BYTES = 262144 };
        const char *east_url = live_env("AMQP_URL_2");
        g_autoptr(Stage) stage = east_url != NULL ? stage_new("large") : NULL;
        g_autoptr(Client) east = stage != NULL ? client_new(east_url) : NULL;
        g_autofree char *body = g_strnfill(BYTES, 'x');
        g_autofree char *queue = NULL;
        g_autofree char *text = NULL;
        int pid;

        if (stage == NULL)
                return;
        pid = fault_broker_pid("RABBITMQCTL_2");
        queue = stage_text(stage, "$N.east");
        client_declare_queue(east, queue, NULL);
        stage_declare(stage, "$N.west");
        text = g_strdup_printf("heartbeat = 60s\n[east]\ncluster_member_ips = e\namqp_url = %s\n"
                               "[west]\ncluster_member_ips = w\n[route:$N]\nqueue = $N\n"
                               "cluster_from = header:cluster\ndestination = queue:{key}.{cluster}\n",
                               east_url);
        stage_run(stage, text);
        stage_send(stage, "$N", "east", "first");
        stage_wait_number(stage, "$N", "clusters/east/delivered", 1);
        g_assert_no_errno(kill(pid, SIGSTOP));
        for (unsigned i = 0; i < 2 * MESSAGES; i++)
                client_publish_text(stage->client, stage->name, FAULT_LOAD[i % 2], body);
        client_confirm(stage->client);
        stage_wait_count(stage, "$N.west", MESSAGES);
        g_assert_no_errno(kill(pid, SIGCONT));
}

/* ---- F24, F1: the router ends while a destination takes nothing ---- */

static void
stop_in_time(Stage *stage)
{
        int64_t began_us = g_get_monotonic_time();

        stage_stop(stage);
        /* the deadline to drain is 2 s */
        g_assert_cmpint(g_get_monotonic_time() - began_us, <, 6 * G_USEC_PER_SEC);
}

/* Soon, while messages are held; and later, when they are parked. */
static void
end_while_silent(const char *fault, void (*end)(Stage *stage))
{
        unsigned times = fault_run_times(2, 20);
        g_auto(FaultRun) run = {0};

        if (!fault_run_init(&run, fault, &OWN, ""))
                return;
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++) {
                fault_proxy_silence(run.east, FAULT_BOTH);
                checker_wait_confirmed(run.checker, i % 2 == 0 ? 100 : 2000);
                end(run.stage);
                fault_proxy_end(run.east, FAULT_CUT); /* what was on its way does not arrive */
                fault_proxy_heal(run.east);
                fault_run_count(&run, FAULT_PREFETCH);
                stage_start(run.stage);
                fault_run_recover(&run);
        }
        fault_run_finish(&run);
}

static void
test_stop_while_a_cluster_is_silent(void)
{
        end_while_silent("F24 SIGTERM, east's broker silent", stop_in_time);
}

static void
test_kill_while_a_cluster_is_silent(void)
{
        end_while_silent("F1 router kill -9, east's broker silent", stage_kill);
}

/* ---- two at once ---- */

/* Nothing can be published, so it consumes nothing. */
static bool
has_given_up(void *data)
{
        FaultRun *run = data;
        uint32_t consumers = 0;

        return client_count(run->stage->client, run->stage->name, NULL, &consumers) && consumers == 0;
}

/* The parking queue has just been emptied when the shared broker goes, for longer than the hold time. */
static void
test_shared_broker_goes_at_the_end_of_a_pass(void)
{
        static const FaultTrigger at_look = {FAULT_UP, AMQP_QUEUE_DECLARE_METHOD, 1, FAULT_BEFORE, FAULT_CUT};
        unsigned times = fault_run_times(1, 20);
        g_auto(FaultRun) run = {0};

        if (!fault_run_init(&run, "F28 shared broker refuses after a pass", &OWN, ""))
                return;
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++) {
                fault_run_pause(&run);
                fault_proxy_silence(run.east, FAULT_BOTH);
                checker_send(run.checker, FAULT_LOAD, 400);
                stage_wait_flow(run.stage, "east", "parking");
                fault_proxy_refuse(run.shared);
                fault_proxy_arm(run.shared, &at_look);
                fault_proxy_heal(run.east);
                g_assert_true(fault_proxy_wait_fired(run.shared, DEADLINE_MS));
                g_assert_true(live_wait(DEADLINE_MS, has_given_up, &run));
                fault_proxy_heal(run.shared);
                fault_run_load(&run);
                fault_run_count(&run, 2 * FAULT_PREFETCH);
                fault_run_recover(&run);
        }
        fault_run_finish(&run);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/faults-brokers/kill-of-the-shared-broker", test_kill_of_the_shared_broker);
        g_test_add_func("/faults-brokers/kill-of-a-cluster-broker", test_kill_of_a_cluster_broker);
        g_test_add_func("/faults-brokers/cluster-broker-stands-still", test_cluster_broker_stands_still);
        g_test_add_func("/faults-brokers/memory-alarm-at-a-cluster-broker",
                        test_memory_alarm_at_a_cluster_broker);
        g_test_add_func("/faults-brokers/silence-in-the-middle-of-a-publish",
                        test_silence_in_the_middle_of_a_publish);
        g_test_add_func("/faults-brokers/silence-before-a-declare", test_silence_before_a_declare);
        g_test_add_func("/faults-brokers/silence-one-way", test_silence_one_way);
        g_test_add_func("/faults-brokers/large-messages-for-a-silent-broker",
                        test_large_messages_for_a_silent_broker);
        g_test_add_func("/faults-brokers/slow-network-is-no-fault", test_slow_network_is_no_fault);
        g_test_add_func("/faults-brokers/stop-while-a-cluster-is-silent",
                        test_stop_while_a_cluster_is_silent);
        g_test_add_func("/faults-brokers/kill-while-a-cluster-is-silent",
                        test_kill_while_a_cluster_is_silent);
        g_test_add_func("/faults-brokers/shared-broker-goes-at-the-end-of-a-pass",
                        test_shared_broker_goes_at_the_end_of_a_pass);
        return g_test_run();
}
