/* SPDX-License-Identifier: MIT */
#include "tests/support/fault_run.h"
#include "tests/support/live.h"

#include <stdio.h>
#include <string.h>

/*
 * Limits: nobody takes from the destinations, up to a million messages, F27 of the matrix; and a shared queue
 * whose messages may be delivered three times only, while the router dies more often, F29.
 */

enum { DEADLINE_MS = 600000, TWO_INTAKES = 2, DELIVERY_LIMIT = 3, DEATHS = 5 };

/* A broker with much in its queues may be silent for a while, which is no fault. */
static const FaultBrokers ONE = {.shared = "AMQP_URL", .hold_ms = 60000};
static const FaultBrokers OWN = {.shared = "AMQP_URL", .east = "AMQP_URL_2"};

/* ---- F27 ---- */

typedef struct {
        FaultRun *run;
        uint64_t messages;
} Arrival;

static bool
has_arrived(void *data)
{
        const Arrival *arrival = data;

        return fault_run_count_queue(arrival->run, "east") + fault_run_count_queue(arrival->run, "west") >=
               arrival->messages;
}

/* Sends until so many messages are in the destinations. */
static void
fill(FaultRun *run, unsigned messages)
{
        Arrival arrival = {run, messages};

        checker_send(run->checker, FAULT_LOAD, messages - (unsigned)checker_confirmed(run->checker));
        g_assert_true(live_wait(DEADLINE_MS, has_arrived, &arrival));
}

static uint64_t
resident_kb(const FaultRun *run)
{
        g_autofree char *path = g_strdup_printf("/proc/%d/status", program_pid(run->stage->router));
        g_autofree char *status = NULL;
        const char *line = NULL;

        g_assert_true(g_file_get_contents(path, &status, NULL, NULL));
        line = strstr(status, "VmRSS:");
        g_assert_nonnull(line);
        return g_ascii_strtoull(line + strlen("VmRSS:"), NULL, 10);
}

/* The address sanitizer keeps freed memory for a while: little, that it does not hide what grows. */
static void
keep_little_freed_memory(void)
{
        const char *options = g_getenv("ASAN_OPTIONS");
        g_autofree char *more = g_strconcat(options != NULL ? options : "", ":quarantine_size_mb=1", NULL);

        g_setenv("ASAN_OPTIONS", more, TRUE);
}

static void
test_nobody_takes_from_the_destinations(void)
{
        enum { GROWTH_KB = 16 * 1024 };
        unsigned messages = fault_run_times(20000, 1000000);
        g_auto(FaultRun) run = {0};
        uint64_t before = 0;
        uint64_t after = 0;

        keep_little_freed_memory();
        if (!fault_run_init(&run, "F27 nobody takes from the destinations", &ONE, ""))
                return;
        stage_start(run.stage);
        fill(&run, messages / 10);
        before = resident_kb(&run);
        fill(&run, messages);
        after = resident_kb(&run);
        g_test_message("resident: %" G_GUINT64_FORMAT " kB, then %" G_GUINT64_FORMAT " kB", before, after);
        fault_run_count(&run, 0);
        fault_run_expect(&run, after < before + GROWTH_KB, "the router grows with the queues behind it");
        fault_run_finish(&run);
        checker_assert_perfect(run.checker);
}

/* ---- F29 ---- */

static void
declare_limited(FaultRun *run, const char *dead_letters)
{
        amqp_table_entry_t entries[] = {
            client_entry_text("x-queue-type", "quorum"),
            client_entry_int("x-delivery-limit", DELIVERY_LIMIT),
            client_entry_text("x-dead-letter-exchange", ""),
            client_entry_text("x-dead-letter-routing-key", dead_letters),
            client_entry_text("x-dead-letter-strategy", "at-least-once"),
            client_entry_text("x-overflow", "reject-publish"),
        };
        amqp_table_t arguments = {*dead_letters != '\0' ? G_N_ELEMENTS(entries) : 2, entries};

        if (*dead_letters != '\0')
                client_declare_queue(run->stage->client, dead_letters, NULL);
        client_declare_queue(run->stage->client, run->stage->name, &arguments);
}

/*
 * East's broker is silent, so that its messages are in hand whenever the router dies. The limit leaves a
 * message one delivery after the third death, and the router must not waste it: beyond that the broker drops
 * it, or sends it to the dead letters if there are any.
 */
static void
die_with_messages_in_hand(FaultRun *run, unsigned deaths)
{
        fault_proxy_silence(run->east, FAULT_BOTH);
        for (unsigned i = 0; i < deaths; i++) {
                checker_wait_confirmed(run->checker, FAULT_PREFETCH);
                stage_kill(run->stage);
                fault_run_count(run, FAULT_PREFETCH);
                stage_start(run->stage);
        }
        fault_proxy_end(run->east, FAULT_CUT); /* what was on its way does not arrive */
        fault_proxy_heal(run->east);
        fault_run_count(run, TWO_INTAKES * FAULT_PREFETCH);
        fault_run_recover(run);
}

static void
delivery_limit(const char *fault, bool with_dead_letters)
{
        unsigned times = fault_run_times(1, 10);
        g_auto(FaultRun) run = {0};
        g_autofree char *dead_letters = NULL;

        if (!fault_run_init(&run, fault, &OWN, ""))
                return;
        dead_letters = stage_text(run.stage, with_dead_letters ? "$N.refused" : "");
        declare_limited(&run, dead_letters);
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++) {
                if (i > 0)
                        fault_run_load(&run);
                die_with_messages_in_hand(&run, with_dead_letters ? DEATHS : DELIVERY_LIMIT);
                fault_run_pause(&run); /* a message of this round must not die in the next one, too */
        }
        if (with_dead_letters)
                checker_collect(run.checker, dead_letters, NULL);
        fault_run_finish(&run);
}

static void
test_delivery_limit_with_dead_letters(void)
{
        delivery_limit("F29 delivery-limit 3 and DLX, router kill -9 x 5", true);
}

static void
test_delivery_limit_without_dead_letters(void)
{
        delivery_limit("F29 delivery-limit 3, no DLX, router kill -9 x 3", false);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/faults-limits/delivery-limit-with-dead-letters",
                        test_delivery_limit_with_dead_letters);
        g_test_add_func("/faults-limits/delivery-limit-without-dead-letters",
                        test_delivery_limit_without_dead_letters);
        g_test_add_func("/faults-limits/nobody-takes-from-the-destinations",
                        test_nobody_takes_from_the_destinations);
        return g_test_run();
}
