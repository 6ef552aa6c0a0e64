/* SPDX-License-Identifier: MIT */
#include "cluster/liveness.h"
#include "tests/support/fault_run.h"
#include "tests/support/live.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <unistd.h>

/*
 * Redis in trouble under load, F19 of the matrix: what is known stays in force, so that nothing is parked and
 * nothing goes another way. And what takes longer: F20, F21, F25.
 */

enum { DEADLINE_MS = 10000, BEAT_MS = 120000, TIMEOUT_MS = 1000, TTL_MS = 2000, HOUR_S = 3600 };

static const FaultBrokers ONE = {.shared = "AMQP_URL"};
static const char *const MEMBERS[][2] = {{"east", "e1"}, {"east", "e2"}, {"west", "w1"}, {"west", "w2"}};

typedef struct {
        FaultRun run;
        uint16_t port;
        char *directory;
        char *url;
        Program *redis;
        FaultProxy *proxy;
} World;

static void
start_redis(World *world)
{
        g_autofree char *port = g_strdup_printf("%u", world->port);
        const char *const argv[] = {"redis-server", "--port", port,    "--bind",         "127.0.0.1",
                                    "--save",       "",       "--dir", world->directory, NULL};

        program_free(world->redis);
        world->redis = program_start(argv);
        program_wait_line(world->redis, "Ready to accept connections", DEADLINE_MS);
}

static void
beat_one(World *world, unsigned member)
{
        g_autoptr(Liveness) liveness = liveness_new(world->url, TIMEOUT_MS, NULL);
        g_autoptr(GError) error = NULL;

        if (!liveness_send_heartbeat(liveness, MEMBERS[member][0], MEMBERS[member][1], BEAT_MS, &error))
                g_error("cannot beat: %s", error->message);
}

/* All four members: fewer that vanish at once would be believed. */
static void
beat(World *world)
{
        for (unsigned i = 0; i < G_N_ELEMENTS(MEMBERS); i++)
                beat_one(world, i);
}

static bool
world_init(World *world, const char *fault, const char *more_keys)
{
        g_autofree char *keys = NULL;

        if (live_env("REDIS_URL") == NULL)
                return false;
        world->directory = g_dir_make_tmp("faults-redis-XXXXXX", NULL);
        world->port = live_free_port();
        world->url = g_strdup_printf("redis://127.0.0.1:%u/0", world->port);
        world->proxy = fault_proxy_new(world->url);
        start_redis(world);
        beat(world);
        keys = g_strdup_printf("[redis]\nurl = %s\npoll = 50ms\ntimeout = 200ms\n%s",
                               fault_proxy_url(world->proxy), more_keys);
        if (!fault_run_init(&world->run, fault, &ONE, keys))
                return false;
        fault_run_start(&world->run);
        return true;
}

static void
world_clear(World *world)
{
        fault_run_clear(&world->run);
        program_free(world->redis);
        fault_proxy_free(world->proxy);
        if (world->directory != NULL)
                rmdir(world->directory);
        g_free(world->directory);
        g_free(world->url);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

/* A second's worth of polls passes by; then everything has gone where it always goes, once, in order. */
static void
expect_nothing_changed(World *world)
{
        checker_wait_confirmed(world->run.checker, 600);
        fault_run_count(&world->run, 0);
        fault_run_recover(&world->run);
        g_assert_cmpint(stage_number(world->run.stage, "$N", "clusters/east/parked"), ==, 0);
        g_assert_cmpint(stage_number(world->run.stage, "$N", "clusters/west/parked"), ==, 0);
}

static void
finish(World *world)
{
        fault_run_finish(&world->run);
        checker_assert_perfect(world->run.checker);
}

static void
redis_cli(World *world, const char *first, const char *second, const char *third, const char *fourth)
{
        g_autofree char *port = g_strdup_printf("%u", world->port);
        const char *const argv[] = {"redis-cli", "-p", port, first, second, third, fourth, NULL};
        g_autofree char *output = NULL;

        g_assert_cmpint(program_run(argv, &output, NULL), ==, 0);
}

static void
test_dead_silent_and_stopped_redis(void)
{
        unsigned times = fault_run_times(1, 10);
        g_auto(World) world = {0};

        if (!world_init(&world, "F19 redis killed, stopped, cut, silent", ""))
                return;
        for (unsigned i = 0; i < times; i++) {
                fault_proxy_end(world.proxy, FAULT_CUT);
                expect_nothing_changed(&world);
                fault_proxy_silence(world.proxy, FAULT_BOTH);
                expect_nothing_changed(&world);
                fault_proxy_heal(world.proxy);
                program_signal(world.redis, SIGSTOP);
                expect_nothing_changed(&world);
                program_signal(world.redis, SIGCONT);
                g_clear_pointer(&world.redis, program_free);
                expect_nothing_changed(&world);
                start_redis(&world); /* and nobody has beaten yet */
                expect_nothing_changed(&world);
                beat(&world);
        }
        finish(&world);
}

static void
test_redis_that_answers_nonsense(void)
{
        unsigned times = fault_run_times(1, 10);
        g_auto(World) world = {0};

        if (!world_init(&world, "F19 redis flushed, loading, no auth, replica", ""))
                return;
        for (unsigned i = 0; i < times; i++) {
                redis_cli(&world, "flushall", NULL, NULL, NULL);
                expect_nothing_changed(&world);
                beat(&world);
                redis_cli(&world, "replicaof", "127.0.0.1", "1", NULL);
                expect_nothing_changed(&world);
                redis_cli(&world, "replicaof", "no", "one", NULL);
                redis_cli(&world, "config", "set", "requirepass", "secret");
                fault_proxy_end(world.proxy, FAULT_CUT); /* old connections stay trusted */
                expect_nothing_changed(&world);
                redis_cli(&world, "-a", "secret", "flushall", NULL);
                g_clear_pointer(&world.redis, program_free);
                start_redis(&world);
                beat(&world);
                expect_nothing_changed(&world);
        }
        finish(&world);
}

/* ---- what takes longer ---- */

static void
expire(World *world, unsigned member)
{
        g_autofree char *key = g_strdup_printf("%s_%s", MEMBERS[member][0], MEMBERS[member][1]);

        redis_cli(world, "pexpireat", key, "1", NULL);
}

/* Too many deaths to be true: not believed for three TTLs, and then they are. */
static void
test_all_heartbeats_expire_at_once(void)
{
        unsigned times = fault_run_times(1, 10);
        g_auto(World) world = {0};

        if (!world_init(&world, "F20 all heartbeats expire at once", "heartbeat_ttl = 2s\n"))
                return;
        for (unsigned i = 0; i < times; i++) {
                int64_t began_us = g_get_monotonic_time();

                for (unsigned member = 0; member < G_N_ELEMENTS(MEMBERS); member++)
                        expire(&world, member);
                stage_wait_flow(world.run.stage, "east", "parking");
                stage_wait_flow(world.run.stage, "west", "parking");
                fault_run_expect(&world.run, g_get_monotonic_time() - began_us > 2 * TTL_MS * 1000,
                                 "the death of all was believed at once");
                beat(&world);
                fault_run_count(&world.run, 0);
                fault_run_recover(&world.run);
                stage_wait_flow(world.run.stage, "east", "open");
                stage_wait_flow(world.run.stage, "west", "open");
        }
        finish(&world);
}

static unsigned
count_lines(World *world, const char *text)
{
        g_autofree char *log = program_log(world->run.stage->router);
        g_auto(GStrv) parts = g_strsplit(log, text, -1);

        return g_strv_length(parts) - 1;
}

/* The only host of east goes and comes twice in each TTL: after its second death it has to prove itself. */
static void
test_one_host_flaps(void)
{
        enum { FLAPS = 24, TTLS = FLAPS / 2 };
        g_auto(World) world = {0};

        if (!world_init(&world, "F21 one host flaps twice in each TTL", "heartbeat_ttl = 2s\n"))
                return;
        expire(&world, 0);
        for (unsigned i = 0; i < FLAPS; i++) {
                expire(&world, 1);
                g_usleep(TTL_MS * 1000 / 4);
                beat_one(&world, 1);
                g_usleep(TTL_MS * 1000 / 4);
        }
        fault_run_expect(&world.run, count_lines(&world, "cluster east is ") <= 2 + TTLS / 3,
                         "east goes up and down more than once in three TTLs");
        beat(&world);
        fault_run_count(&world.run, 0);
        fault_run_recover(&world.run);
        finish(&world);
}

/* Programs that are started from here on have a time of day that jumps by what is written to this file. */
static void
preload_clock(const char *path)
{
        const char *options = g_getenv("ASAN_OPTIONS");
        g_autofree char *more =
            g_strconcat(options != NULL ? options : "", ":verify_asan_link_order=0", NULL);

        g_setenv("ASAN_OPTIONS", more, TRUE);
        g_setenv("SHIFTED_CLOCK_FILE", path, TRUE);
        g_setenv("LD_PRELOAD", g_getenv("SHIFTED_CLOCK"), TRUE);
}

/* In place, since it is mapped. */
static void
jump(int fd, int64_t seconds)
{
        g_assert_cmpint(pwrite(fd, &seconds, sizeof seconds, 0), ==, sizeof seconds);
}

/* An hour forward, and all that redis knows has expired; an hour back, and nothing expires for an hour. */
static void
test_clocks_jump(void)
{
        static const int64_t jumps_s[] = {HOUR_S, -HOUR_S, 0};
        unsigned times = fault_run_times(3, 30);
        g_autofree char *path = NULL;
        int fd = g_file_open_tmp("faults-clock-XXXXXX", &path, NULL);
        g_auto(World) world = {0};

        if (live_env("SHIFTED_CLOCK") == NULL)
                return;
        jump(fd, 0);
        preload_clock(path);
        if (!world_init(&world, "F25 clocks of redis and router jump an hour", ""))
                return;
        for (unsigned i = 0; i < times; i++) {
                jump(fd, jumps_s[i % G_N_ELEMENTS(jumps_s)]);
                expect_nothing_changed(&world);
                beat(&world);
                expect_nothing_changed(&world);
        }
        finish(&world);
        g_unsetenv("LD_PRELOAD");
        close(fd);
        g_unlink(path);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/faults-redis/dead-silent-and-stopped-redis", test_dead_silent_and_stopped_redis);
        g_test_add_func("/faults-redis/redis-that-answers-nonsense", test_redis_that_answers_nonsense);
        if (g_getenv("FAULTS_LONG") != NULL) {
                g_test_add_func("/faults-redis/all-heartbeats-expire-at-once",
                                test_all_heartbeats_expire_at_once);
                g_test_add_func("/faults-redis/one-host-flaps", test_one_host_flaps);
                g_test_add_func("/faults-redis/clocks-jump", test_clocks_jump);
        }
        return g_test_run();
}
