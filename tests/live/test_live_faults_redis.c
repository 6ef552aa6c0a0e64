/* SPDX-License-Identifier: MIT */
#include "cluster/liveness.h"
#include "tests/support/fault_run.h"
#include "tests/support/live.h"

#include <signal.h>
#include <unistd.h>

/*
 * Redis in trouble under load, F19 of the matrix: what is known stays in force, so that nothing is parked and
 * nothing goes another way.
 */

enum { DEADLINE_MS = 10000, TTL_MS = 120000, TIMEOUT_MS = 1000 };

static const FaultBrokers ONE = {"AMQP_URL", NULL};

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

/* All four members: fewer that vanish at once would be believed. */
static void
beat(World *world)
{
        static const char *const members[][2] = {
            {"east", "e1"}, {"east", "e2"}, {"west", "w1"}, {"west", "w2"}};
        g_autoptr(Liveness) liveness = liveness_new(world->url, TIMEOUT_MS, NULL);
        g_autoptr(GError) error = NULL;

        for (unsigned i = 0; i < G_N_ELEMENTS(members); i++) {
                if (!liveness_send_heartbeat(liveness, members[i][0], members[i][1], TTL_MS, &error))
                        g_error("cannot beat: %s", error->message);
        }
}

static bool
world_init(World *world, const char *fault)
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
        keys = g_strdup_printf("[redis]\nurl = %s\npoll = 50ms\ntimeout = 200ms\n",
                               fault_proxy_url(world->proxy));
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

        if (!world_init(&world, "F19 redis killed, stopped, cut, silent"))
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

        if (!world_init(&world, "F19 redis flushed, loading, no auth, replica"))
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

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/faults-redis/dead-silent-and-stopped-redis", test_dead_silent_and_stopped_redis);
        g_test_add_func("/faults-redis/redis-that-answers-nonsense", test_redis_that_answers_nonsense);
        return g_test_run();
}
