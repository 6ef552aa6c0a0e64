/* SPDX-License-Identifier: MIT */
#include "tests/support/fault_run.h"
#include "tests/support/live.h"

#include <signal.h>
#include <string.h>

/*
 * One router for a long time: half of the load that it can carry, a fault each minute, and at the end nothing
 * that has grown. SOAK_MINUTES says how long. What counts is the second third and the last: in the first
 * every fault is met once, and everything that is kept gets there.
 */

enum { CAPACITY_MESSAGES = 10000, LOOK_S = 5, FAULT_EVERY_S = 60, BROKEN_S = 3 };
enum { DEADLINE_MS = 120000, PREFETCH = 500, EXCUSED = 2 * PREFETCH };

#define NOISE_KIB 512.0
#define GROWTH_MAX_KIB_PER_MINUTE 64.0

typedef struct {
        double minute;
        double memory_kib;
        double descriptors;
        double threads;
} Look;

typedef struct {
        FaultRun run;
        GArray *looks; /* of Look */
        int64_t begin_us;
} Soak;

/* ---- looking ---- */

static double
status_field(pid_t pid, const char *field)
{
        g_autofree char *path = g_strdup_printf("/proc/%d/status", (int)pid);
        g_autofree char *text = NULL;

        if (!g_file_get_contents(path, &text, NULL, NULL) || !strstr(text, field))
                g_error("the router is gone");
        return g_ascii_strtod(strstr(text, field) + strlen(field), NULL);
}

static double
count_descriptors(pid_t pid)
{
        g_autofree char *path = g_strdup_printf("/proc/%d/fd", (int)pid);
        g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
        double count = 0;

        while (folder && g_dir_read_name(folder))
                count++;
        return count;
}

static void
look(Soak *soak)
{
        pid_t pid = program_pid(soak->run.stage->router);
        Look now = {.minute = (double)(g_get_monotonic_time() - soak->begin_us) / 60e6,
                    .memory_kib = status_field(pid, "VmRSS:"),
                    .descriptors = count_descriptors(pid),
                    .threads = status_field(pid, "Threads:")};

        g_array_append_val(soak->looks, now);
}

/* ---- faults ---- */

static void
cut(Soak *soak)
{
        fault_proxy_end(soak->run.shared, FAULT_CUT);
}

static void
close_connections(Soak *soak)
{
        fault_proxy_end(soak->run.shared, FAULT_CLOSE);
}

static void
refuse_for_a_while(Soak *soak)
{
        fault_proxy_refuse(soak->run.shared);
        fault_proxy_end(soak->run.shared, FAULT_CUT);
        g_usleep(BROKEN_S * G_USEC_PER_SEC);
        fault_proxy_heal(soak->run.shared);
}

static void
stand_still(Soak *soak)
{
        program_signal(soak->run.stage->router, SIGSTOP);
        g_usleep(BROKEN_S * G_USEC_PER_SEC);
        program_signal(soak->run.stage->router, SIGCONT);
}

static void (*const faults[])(Soak *soak) = {cut, close_connections, refuse_for_a_while, stand_still};

static void
break_something(Soak *soak)
{
        faults[soak->run.runs % G_N_ELEMENTS(faults)](soak);
        fault_run_count(&soak->run, EXCUSED);
        fault_run_recover(&soak->run);
}

/* ---- the load ---- */

static bool
has_moved_all(void *data)
{
        FaultRun *run = data;

        return fault_run_count_queue(run, "east") + fault_run_count_queue(run, "west") >= CAPACITY_MESSAGES;
}

/* Messages a second, from a backlog. */
static unsigned
measure_capacity(FaultRun *run)
{
        int64_t begin_us;

        stage_start(run->stage);
        program_signal(run->stage->router, SIGSTOP);
        checker_send(run->checker, FAULT_LOAD, CAPACITY_MESSAGES);
        program_signal(run->stage->router, SIGCONT);
        begin_us = g_get_monotonic_time();
        if (!live_wait(DEADLINE_MS, has_moved_all, run))
                g_error("the router has not moved %d messages", CAPACITY_MESSAGES);
        return (unsigned)(CAPACITY_MESSAGES * 1e6 / (double)(g_get_monotonic_time() - begin_us));
}

static void
bear(Soak *soak, double minutes)
{
        int64_t fault_us = FAULT_EVERY_S * G_USEC_PER_SEC;
        int64_t passed_us = 0;

        soak->begin_us = g_get_monotonic_time();
        while ((passed_us = g_get_monotonic_time() - soak->begin_us) < (int64_t)(minutes * 60e6)) {
                fault_run_collect(&soak->run);
                look(soak);
                if (passed_us >= (int64_t)(soak->run.runs + 1) * fault_us)
                        break_something(soak);
                g_usleep(LOOK_S * G_USEC_PER_SEC);
        }
}

/* ---- the verdict ---- */

/* Between faults there is as much as before: the least of a third counts, not what a fault needs. Memory goes
 * up and down by a megabyte with the buffers of the connections that come and go. */
static double
least(const GArray *looks, unsigned from, unsigned to, size_t offset)
{
        double least = G_MAXDOUBLE;

        for (unsigned i = from; i < to; i++)
                least = MIN(least, G_STRUCT_MEMBER(double, &g_array_index(looks, Look, i), offset));
        return least;
}

static void
judge(const Soak *soak)
{
        const GArray *looks = soak->looks;
        unsigned third = looks->len / 3;
        double memory[] = {least(looks, third, 2 * third, G_STRUCT_OFFSET(Look, memory_kib)),
                           least(looks, 2 * third, looks->len, G_STRUCT_OFFSET(Look, memory_kib))};
        double minutes = g_array_index(looks, Look, looks->len - 1).minute / 3;
        double descriptors[] = {least(looks, third, 2 * third, G_STRUCT_OFFSET(Look, descriptors)),
                                least(looks, 2 * third, looks->len, G_STRUCT_OFFSET(Look, descriptors))};
        double threads[] = {least(looks, third, 2 * third, G_STRUCT_OFFSET(Look, threads)),
                            least(looks, 2 * third, looks->len, G_STRUCT_OFFSET(Look, threads))};

        g_print("# soak: %u looks, %u faults; least of the second third, then of the last: "
                "memory %.0f KiB, %.0f; descriptors %.0f, %.0f; threads %.0f, %.0f\n",
                looks->len, soak->run.runs, memory[0], memory[1], descriptors[0], descriptors[1], threads[0],
                threads[1]);
        g_assert_cmpfloat(memory[1] - memory[0], <=, NOISE_KIB + GROWTH_MAX_KIB_PER_MINUTE * minutes);
        g_assert_cmpfloat(descriptors[1], <=, descriptors[0]);
        g_assert_cmpfloat(threads[1], <=, threads[0]);
}

static void
test_soak(void)
{
        static const FaultBrokers ONE = {.shared = "AMQP_URL"};
        const char *minutes = g_getenv("SOAK_MINUTES");
        Soak soak = {.looks = g_array_new(FALSE, FALSE, sizeof(Look))};
        unsigned capacity;

        g_autofree char *prefetch = g_strdup_printf("prefetch = %d\n", PREFETCH);

        if (!fault_run_init(&soak.run, "soak", &ONE, prefetch))
                return;
        capacity = measure_capacity(&soak.run);
        g_print("# soak: moves %u messages/s; load: half of that\n", capacity);
        checker_start(soak.run.checker, FAULT_LOAD, capacity / 2);
        soak.run.loaded = true;
        bear(&soak, minutes ? g_ascii_strtod(minutes, NULL) : 1);
        fault_run_pause(&soak.run);
        judge(&soak);
        fault_run_finish(&soak.run);
        fault_run_clear(&soak.run);
        g_array_unref(soak.looks);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/soak/bears-half-its-load-and-a-fault-each-minute-and-does-not-grow", test_soak);
        return g_test_run();
}
