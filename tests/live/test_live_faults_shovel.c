/* SPDX-License-Identifier: MIT */
#include "tests/support/fault_run.h"
#include "tests/support/live.h"

#include <string.h>

/*
 * The router beside RabbitMQ's own Shovel, under the same checker: F8, F14, F16, F18 of the matrix. Both take
 * all messages from the shared queue to east's queue at another broker, at most FAULT_PREFETCH at a time,
 * acknowledging what is confirmed: a shovel cannot choose by the message. Its rows are written, not judged.
 */

enum { DEADLINE_MS = 60000, LIMIT = 50, RATE_PER_S = FAULT_LOAD_PER_S / 2 };

static const FaultBrokers OWN = {.shared = "AMQP_URL", .east = "AMQP_URL_2"};
static const char *const EAST_ONLY[] = {"east", NULL};

typedef struct {
        const char *fault;
        double seconds; /* how long */
        void (*begin)(FaultRun *run);
        void (*end)(FaultRun *run);
        bool limited; /* east's queue takes 50 messages */
} Scenario;

/* ---- the faults ---- */

static void
declare_queue(FaultRun *run, bool limited)
{
        amqp_table_entry_t entries[] = {client_entry_int("x-max-length", LIMIT),
                                        client_entry_text("x-overflow", "reject-publish")};
        amqp_table_t arguments = {G_N_ELEMENTS(entries), entries};
        g_autoptr(Client) client = client_new(run->east_url);
        g_autofree char *queue = stage_text(run->stage, "$N.east");

        client_declare_queue(client, queue, limited ? &arguments : NULL);
}

static void
load(FaultRun *run)
{
        checker_start(run->checker, EAST_ONLY, RATE_PER_S);
        run->loaded = true;
}

static void
begin_alarm(FaultRun *run)
{
        fault_tell("RABBITMQCTL_2", "set_vm_memory_high_watermark", "0.000001", NULL);
}

static void
end_alarm(FaultRun *run)
{
        fault_tell("RABBITMQCTL_2", "set_vm_memory_high_watermark", "0.6", NULL);
}

/* It is empty when it goes, so that nothing goes with it. */
static void
delete_queue(FaultRun *run)
{
        g_autoptr(Client) client = client_new(run->east_url);
        g_autofree char *queue = stage_text(run->stage, "$N.east");

        fault_run_pause(run);
        client_delete_queue(client, queue);
        load(run);
}

static void
make_queue(FaultRun *run)
{
        declare_queue(run, false);
}

static void
do_nothing(FaultRun *run)
{
}

static void
empty_queue(FaultRun *run)
{
        g_autofree char *queue = stage_text(run->stage, "$N.east");

        checker_collect_at(run->checker, run->east_url, queue, "east");
}

static const Scenario ALARM = {"F8 memory alarm at east's broker", 10, begin_alarm, end_alarm, false};
static const Scenario DELETED = {"F14 destination queue deleted", 3, delete_queue, make_queue, false};
static const Scenario FULL = {"F16 destination queue full", 10, do_nothing, empty_queue, true};
static const Scenario TIMEOUT = {"F18 consumer_timeout, memory alarm", 130, begin_alarm, end_alarm, false};

typedef struct {
        FaultRun *run;
        uint32_t wanted;
} Arrival;

static bool
has_arrived(void *data)
{
        const Arrival *arrival = data;

        return fault_run_count_queue(arrival->run, "east") >= arrival->wanted;
}

static void
happen(FaultRun *run, const Scenario *scenario)
{
        Arrival arrival = {run, 1};

        scenario->begin(run);
        for (double left = scenario->seconds; left > 0; left -= 10)
                checker_wait_confirmed(run->checker, (uint64_t)(RATE_PER_S * MIN(left, 10)));
        if (!scenario->limited)
                arrival.wanted += fault_run_count_queue(run, "east");
        fault_run_count(run, FAULT_PREFETCH);
        scenario->end(run);
        if (!live_wait(DEADLINE_MS, has_arrived, &arrival))
                run->worst_us = INT64_MAX;
        run->worst_us = MAX(run->worst_us, g_get_monotonic_time() - run->began_us);
}

/* ---- who moves ---- */

static void
start_shovel(FaultRun *run)
{
        g_autofree char *definition = g_strdup_printf(
            "{\"src-protocol\": \"amqp091\", \"src-uri\": \"amqp://\", \"src-queue\": \"%s\", "
            "\"src-prefetch-count\": %d, \"dest-protocol\": \"amqp091\", \"dest-uri\": \"%s\", "
            "\"dest-queue\": \"%s.east\", \"ack-mode\": \"on-confirm\", \"reconnect-delay\": 1}",
            run->stage->name, FAULT_PREFETCH, fault_proxy_url(run->east), run->stage->name);

        fault_tell("RABBITMQCTL", "set_parameter", "shovel", run->stage->name, definition, NULL);
}

/* What it still has in hand goes back to the shared queue, and is not lost. */
static void
stop_shovel(FaultRun *run)
{
        fault_run_pause(run);
        fault_tell("RABBITMQCTL", "clear_parameter", "shovel", run->stage->name, NULL);
        run->stopped = true;
}

static void
test_scenario(const Scenario *scenario, bool shovel)
{
        unsigned times = fault_run_times(1, scenario->seconds < 100 ? 10 : 1);
        g_autofree char *fault = g_strdup_printf("%s: %s", scenario->fault, shovel ? "Shovel" : "router");
        g_auto(FaultRun) run = {0};
        Arrival arrival = {&run, 20};

        if (live_env("RABBITMQCTL_2") == NULL || !fault_run_init(&run, fault, &OWN, ""))
                return;
        run.rival = shovel;
        stage_declare(run.stage, "$N");
        declare_queue(&run, scenario->limited);
        if (shovel)
                start_shovel(&run);
        else
                stage_start(run.stage);
        load(&run);
        g_assert_true(live_wait(DEADLINE_MS, has_arrived, &arrival));
        for (unsigned i = 0; i < times && run.worst_us != INT64_MAX; i++)
                happen(&run, scenario);
        if (shovel)
                stop_shovel(&run);
        fault_run_finish(&run);
}

static void
test_both(const void *data)
{
        test_scenario(data, true);
        test_scenario(data, false);
}

/* The broker looks once a minute for consumers that keep a message longer than this. */
static void
test_both_with_consumer_timeout(void)
{
        fault_tell("RABBITMQCTL", "eval", "application:set_env(rabbit, consumer_timeout, 15000).", NULL);
        test_both(&TIMEOUT);
        fault_tell("RABBITMQCTL", "eval", "application:set_env(rabbit, consumer_timeout, 1800000).", NULL);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_data_func("/faults-shovel/memory-alarm", &ALARM, test_both);
        g_test_add_data_func("/faults-shovel/queue-deleted", &DELETED, test_both);
        g_test_add_data_func("/faults-shovel/queue-full", &FULL, test_both);
        g_test_add_func("/faults-shovel/consumer-timeout", test_both_with_consumer_timeout);
        return g_test_run();
}
