/* SPDX-License-Identifier: MIT */
#include "tests/support/fault_run.h"
#include "tests/support/live.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>

/*
 * The faults that take longer than a test on every commit may, and a random mix of all: scripts/test
 * --faults-long. F2, F3, F6, F9, F10, F18, F23, F26, F28, F29, F30 of the matrix.
 */

enum { DEADLINE_MS = 60000, TWO_INTAKES = 2 };

static const FaultBrokers ONE = {.shared = "AMQP_URL"};
static const FaultBrokers OWN = {.shared = "AMQP_URL", .east = "AMQP_URL_2"};
static const FaultBrokers MORTAL = {.shared = "AMQP_URL_2"};

static void
over(FaultRun *run)
{
        fault_run_count(run, TWO_INTAKES * FAULT_PREFETCH);
        fault_run_recover(run);
}

static void
seconds_of_load(FaultRun *run, double seconds)
{
        checker_wait_confirmed(run->checker, (uint64_t)(FAULT_LOAD_PER_S * seconds));
}

/* ---- the router ---- */

static void
stop_for_a_while(FaultRun *run)
{
        program_signal(run->stage->router, SIGSTOP);
        seconds_of_load(run, 7); /* three heartbeats of 2 s, and some */
        program_signal(run->stage->router, SIGCONT);
}

static void
test_router_stands_still(void)
{
        unsigned times = fault_run_times(1, 10);
        g_auto(FaultRun) run = {0};

        if (!fault_run_init(&run, "F2 router SIGSTOP, three heartbeats", &ONE, ""))
                return;
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++) {
                stop_for_a_while(&run);
                over(&run);
        }
        fault_run_finish(&run);
}

static void
test_second_router_takes_over(void)
{
        unsigned times = fault_run_times(2, 50);
        g_auto(FaultRun) run = {0};
        g_autoptr(Stage) other = NULL;

        if (!fault_run_init(&run, "F3 two routers, one killed", &ONE, ""))
                return;
        fault_run_start(&run);
        other = stage_new("other");
        g_free(other->name);
        other->name = g_strdup(run.stage->name);
        stage_configure(other, "[east]\ncluster_member_ips = e1, e2\n[west]\ncluster_member_ips = w1, w2\n"
                               "[route:$N]\nqueue = $N\ncluster_from = header:cluster\nprefetch = 100\n"
                               "destination = queue:{queue}.{cluster}\n");
        for (unsigned i = 0; i < times; i++) {
                stage_start(other);
                seconds_of_load(&run, 0.5);
                stage_kill(other);
                over(&run);
        }
        fault_run_finish(&run);
}

static void
test_storm_of_hangups(void)
{
        unsigned times = fault_run_times(50, 1000);
        g_auto(FaultRun) run = {0};
        g_autofree char *good = NULL;

        if (!fault_run_init(&run, "F23 reload storm, every other one invalid", &ONE, ""))
                return;
        fault_run_start(&run);
        g_assert_true(g_file_get_contents(run.stage->conf_path, &good, NULL, NULL));
        for (unsigned i = 0; i < times; i++) {
                g_autofree char *bad = g_strconcat(good, "prefetch = many\n", NULL);
                g_autofree char *other = g_strconcat(good, "lanes = 1\npark_ttl = 1h\n", NULL);
                const char *texts[] = {other, bad, good};

                g_assert_true(
                    g_file_set_contents(run.stage->conf_path, texts[i % G_N_ELEMENTS(texts)], -1, NULL));
                program_signal(run.stage->router, SIGHUP);
                seconds_of_load(&run, 0.02);
                fault_run_count(&run, 0);
        }
        fault_run_recover(&run);
        fault_run_finish(&run);
        checker_assert_perfect(run.checker);
}

/* ---- resources ---- */

static unsigned
open_files(const Stage *stage)
{
        g_autofree char *path = g_strdup_printf("/proc/%d/fd", program_pid(stage->router));
        g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
        unsigned count = 0;

        while (g_dir_read_name(directory) != NULL)
                count++;
        return count;
}

static void
limit_files(const Stage *stage, rlim_t files)
{
        struct rlimit limit = {files, 4096};

        g_assert_no_errno(prlimit(program_pid(stage->router), RLIMIT_NOFILE, &limit, NULL));
}

static void
test_no_more_files(void)
{
        unsigned times = fault_run_times(1, 10);
        g_auto(FaultRun) run = {0};

        if (!fault_run_init(&run, "F26 no descriptors, then cut", &ONE, ""))
                return;
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++) {
                unsigned files = open_files(run.stage);

                limit_files(run.stage, files > 6 ? files - 6 : 3);
                fault_proxy_end(run.shared, FAULT_CUT);
                seconds_of_load(&run, 3);
                g_assert_true(program_is_running(run.stage->router));
                limit_files(run.stage, 1024);
                over(&run);
        }
        fault_run_finish(&run);
}

/* ---- brokers ---- */

static void
test_broker_application_restarts(void)
{
        unsigned times = fault_run_times(1, 20);
        g_auto(FaultRun) run = {0};

        if (live_env("RABBITMQCTL_2") == NULL ||
            !fault_run_init(&run, "F6 shared broker stop_app, start_app", &MORTAL, ""))
                return;
        run.forgetful = true;
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++) {
                g_clear_pointer(&run.stage->client, client_free);
                fault_tell("RABBITMQCTL_2", "stop_app", NULL);
                fault_tell("RABBITMQCTL_2", "start_app", NULL);
                run.stage->client = client_new(checker_url(run.checker));
                over(&run);
        }
        fault_run_finish(&run);
}

static void
alarm_and_back(const char *fault, const FaultBrokers *brokers, const char *ctl, const char *const *on,
               const char *const *off)
{
        unsigned times = fault_run_times(1, 10);
        g_auto(FaultRun) run = {0};

        if (live_env(ctl) == NULL || !fault_run_init(&run, fault, brokers, ""))
                return;
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++) {
                fault_tell(ctl, on[0], on[1], NULL);
                g_usleep(2 * FAULT_HOLD_MS * 1000); /* nothing can be published, so there is nothing to see */
                fault_tell(ctl, off[0], off[1], NULL);
                over(&run);
        }
        fault_run_finish(&run);
}

static void
test_memory_alarm_at_the_shared_broker(void)
{
        static const char *const on[] = {"set_vm_memory_high_watermark", "0.000001"};
        static const char *const off[] = {"set_vm_memory_high_watermark", "0.6"};

        alarm_and_back("F9 memory alarm at the shared broker", &ONE, "RABBITMQCTL", on, off);
}

static void
test_disk_alarm_at_a_cluster_broker(void)
{
        static const char *const on[] = {"set_disk_free_limit", "999GB"};
        static const char *const off[] = {"set_disk_free_limit", "50MB"};

        alarm_and_back("F10 disk alarm at east's broker", &OWN, "RABBITMQCTL_2", on, off);
}

static void
set_consumer_timeout(const char *milliseconds)
{
        g_autofree char *expression =
            g_strdup_printf("application:set_env(rabbit, consumer_timeout, %s).", milliseconds);

        fault_tell("RABBITMQCTL", "eval", expression, NULL);
}

/* The broker looks once a minute for consumers that keep a message longer than this. */
static void
test_consumer_timeout_is_never_reached(void)
{
        g_auto(FaultRun) run = {0};
        g_autofree char *log = NULL;

        if (live_env("RABBITMQCTL") == NULL ||
            !fault_run_init(&run, "F18 consumer_timeout, east's broker silent", &OWN, ""))
                return;
        set_consumer_timeout("15000");
        fault_run_start(&run);
        fault_proxy_silence(run.east, FAULT_BOTH);
        for (unsigned i = 0; i < 10; i++)
                seconds_of_load(&run, 13);
        fault_proxy_heal(run.east);
        over(&run);
        set_consumer_timeout("1800000");
        log = program_log(run.stage->router);
        g_assert_null(strstr(log, "delivery acknowledgement on channel"));
        fault_run_finish(&run);
}

static void
test_refused_connections(void)
{
        unsigned times = fault_run_times(2, 20);
        g_auto(FaultRun) run = {0};

        if (!fault_run_init(&run, "F28 connection refused", &OWN, ""))
                return;
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++) {
                FaultProxy *proxy = i % 2 == 0 ? run.shared : run.east;

                fault_proxy_refuse(proxy);
                fault_proxy_end(proxy, FAULT_CUT);
                seconds_of_load(&run, 3);
                fault_proxy_heal(proxy);
                over(&run);
        }
        fault_run_finish(&run);
}

static void
test_quorum_queue_and_crashes(void)
{
        amqp_table_entry_t entry = client_entry_text("x-queue-type", "quorum");
        amqp_table_t arguments = {1, &entry};
        unsigned times = fault_run_times(3, 50);
        g_auto(FaultRun) run = {0};

        if (!fault_run_init(&run, "F29 quorum queue, router kill -9", &ONE, ""))
                return;
        client_declare_queue(run.stage->client, run.stage->name, &arguments);
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++) {
                seconds_of_load(&run, 0.5);
                stage_kill(run.stage);
                stage_start(run.stage);
                over(&run);
        }
        fault_run_finish(&run);
}

/* ---- F30: anything ---- */

static void
cut_anything(FaultRun *run)
{
        fault_proxy_end(g_test_rand_bit() ? run->shared : run->east,
                        g_test_rand_bit() ? FAULT_CUT : FAULT_CLOSE);
}

static void
silence_anything(FaultRun *run)
{
        FaultProxy *proxy = g_test_rand_bit() ? run->shared : run->east;

        fault_proxy_silence(proxy, (FaultDirection)g_test_rand_int_range(FAULT_UP, FAULT_BOTH + 1));
        seconds_of_load(run, g_test_rand_double_range(0.1, 6));
        fault_proxy_heal(proxy);
}

static void
slow_anything(FaultRun *run)
{
        FaultShape shape = {.delay_ms = (unsigned)g_test_rand_int_range(0, 100),
                            .jitter_ms = (unsigned)g_test_rand_int_range(0, 200),
                            .slice_bytes = g_test_rand_bit() ? 1 : 0};
        FaultProxy *proxy = g_test_rand_bit() ? run->shared : run->east;

        fault_proxy_shape(proxy, &shape);
        seconds_of_load(run, g_test_rand_double_range(0.1, 3));
        if (g_test_rand_bit())
                fault_proxy_end(proxy, FAULT_CUT);
        fault_proxy_heal(proxy);
}

static void
kill_router(FaultRun *run)
{
        stage_kill(run->stage);
        stage_start(run->stage);
}

static void
stop_router(FaultRun *run)
{
        stage_stop(run->stage);
        stage_start(run->stage);
}

static void
refuse_east(FaultRun *run)
{
        fault_proxy_refuse(run->east);
        fault_proxy_end(run->east, FAULT_CUT);
        seconds_of_load(run, g_test_rand_double_range(0.1, 6));
        fault_proxy_heal(run->east);
}

static void
block_east(FaultRun *run)
{
        fault_tell("RABBITMQCTL_2", "set_vm_memory_high_watermark", "0.000001", NULL);
        seconds_of_load(run, g_test_rand_double_range(0.1, 5));
        fault_tell("RABBITMQCTL_2", "set_vm_memory_high_watermark", "0.6", NULL);
}

/* The seed stands in the first line of output; --seed repeats it. */
static void
test_random_mix(void)
{
        static void (*const faults[])(FaultRun * run) = {cut_anything, silence_anything, slow_anything,
                                                         kill_router,  stop_router,      refuse_east,
                                                         block_east,   stop_for_a_while};
        unsigned times = fault_run_times(10, 300);
        g_auto(FaultRun) run = {0};

        if (live_env("RABBITMQCTL_2") == NULL || !fault_run_init(&run, "F30 random mix", &OWN, ""))
                return;
        fault_run_start(&run);
        for (unsigned i = 0; i < times; i++) {
                unsigned which = (unsigned)g_test_rand_int_range(0, G_N_ELEMENTS(faults));

                g_test_message("fault %u: %u", i, which);
                faults[which](&run);
                over(&run);
                seconds_of_load(&run, g_test_rand_double_range(0, 1));
        }
        fault_run_finish(&run);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/faults-long/router-stands-still", test_router_stands_still);
        g_test_add_func("/faults-long/second-router-takes-over", test_second_router_takes_over);
        g_test_add_func("/faults-long/storm-of-hangups", test_storm_of_hangups);
        g_test_add_func("/faults-long/no-more-files", test_no_more_files);
        g_test_add_func("/faults-long/broker-application-restarts", test_broker_application_restarts);
        g_test_add_func("/faults-long/memory-alarm-at-the-shared-broker",
                        test_memory_alarm_at_the_shared_broker);
        g_test_add_func("/faults-long/disk-alarm-at-a-cluster-broker", test_disk_alarm_at_a_cluster_broker);
        g_test_add_func("/faults-long/refused-connections", test_refused_connections);
        g_test_add_func("/faults-long/quorum-queue-and-crashes", test_quorum_queue_and_crashes);
        g_test_add_func("/faults-long/random-mix", test_random_mix);
        g_test_add_func("/faults-long/consumer-timeout-is-never-reached",
                        test_consumer_timeout_is_never_reached);
        return g_test_run();
}
