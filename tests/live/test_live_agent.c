/* SPDX-License-Identifier: MIT */
#include "cluster/redis_link.h"
#include "tests/support/live.h"
#include "tests/support/program.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* The program cluster-agent beside real children, with a redis of its own that it may stop and kill. */

enum { DEADLINE_MS = 10000, TTL_MS = 3000, TIMEOUT_MS = 500 };

typedef struct {
        uint16_t port;
        Program *redis;
        RedisLink *link;
        char *conf;
} World;

static void
start_redis(World *world)
{
        g_autofree char *port = g_strdup_printf("%u", world->port);
        const char *argv[] = {"redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", NULL};
        world->redis = program_start(argv);
        program_wait_line(world->redis, "Ready to accept connections", DEADLINE_MS);
}

static char *
write_conf(const World *world, const char *defaults)
{
        g_autofree char *text =
            g_strdup_printf("[DEFAULT]\n%s\n[east]\ncluster_member_ips = 192.0.2.1, 127.0.0.1\n"
                            "[broker]\nurl = amqp://guest:guest@127.0.0.1:5672/%%2f\n"
                            "[redis]\nurl = redis://127.0.0.1:%u/0\n"
                            "heartbeat_ttl = %dms\ntimeout = %dms\n",
                            defaults, world->port, TTL_MS, TIMEOUT_MS);
        return live_write_file("agent.conf", text);
}

static bool
world_init(World *world)
{
        *world = (World){0};
        if (live_env("REDIS_URL") == NULL)
                return false;
        world->port = live_free_port();
        g_autofree char *url = g_strdup_printf("redis://127.0.0.1:%u/0", world->port);
        world->link = redis_link_new(url, DEADLINE_MS, NULL);
        world->conf = write_conf(world, "cluster = east\nhost = e1");
        start_redis(world);
        return true;
}

static void
world_clear(World *world)
{
        redis_link_free(world->link);
        program_free(world->redis);
        live_remove_file(world->conf);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

static long long
ask(World *world, const char *command)
{
        g_autoptr(GError) error = NULL;
        if (!redis_link_open(world->link, &error))
                g_error("%s", error->message);
        redis_link_send(world->link, command);
        g_autoptr(redisReply) reply = redis_link_receive(world->link, &error);
        g_assert_no_error(error);
        g_assert_cmpint(reply->type, ==, REDIS_REPLY_INTEGER);
        return reply->integer;
}

static bool
is_beating(void *world)
{
        return ask(world, "EXISTS east_e1") == 1 && ask(world, "SISMEMBER east_set e1") == 1;
}

static bool
is_gone(void *world)
{
        return ask(world, "EXISTS east_e1 east_set") == 0;
}

static void
expect(World *world, bool (*predicate)(void *world))
{
        g_assert_true(live_wait(DEADLINE_MS, predicate, world));
}

static Program *
start_agent(const World *world, const char *script)
{
        const char *bare[] = {"cluster-agent", "-c", world->conf, NULL};
        const char *beside[] = {"cluster-agent", "-c", world->conf, "--", "sh", "-c", script, NULL};
        return program_start(script != NULL ? beside : bare);
}

static int
run_agent(const World *world, const char *script)
{
        g_autoptr(Program) agent = start_agent(world, script);
        return program_wait_exit(agent, DEADLINE_MS);
}

static void
test_a_bare_agent_beats_until_it_is_told_to_end(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        g_autoptr(Program) agent = start_agent(&world, NULL);
        expect(&world, is_beating);
        g_usleep(2 * TTL_MS * 1000); /* longer than one heartbeat lives */
        g_assert_true(is_beating(&world));
        program_signal(agent, SIGTERM);
        g_assert_cmpint(program_wait_exit(agent, DEADLINE_MS), ==, 0);
        g_assert_true(is_gone(&world));
}

static void
test_it_takes_its_childs_status(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        g_assert_cmpint(run_agent(&world, "exit 0"), ==, 0);
        g_assert_cmpint(run_agent(&world, "exit 7"), ==, 7);
        g_assert_cmpint(run_agent(&world, "kill -KILL $$"), ==, 128 + SIGKILL);
        g_assert_cmpint(run_agent(&world, "kill -TERM $$"), ==, 128 + SIGTERM);
        g_assert_true(is_gone(&world));
}

static void
test_what_cannot_be_run_says_so_and_registers_nothing(void)
{
        g_auto(World) world;
        g_autofree char *text = NULL;
        if (!world_init(&world))
                return;
        const char *missing[] = {"cluster-agent", "-c", world.conf, "--", "no-such-command", NULL};
        const char *directory[] = {"cluster-agent", "-c", world.conf, "--", "/", NULL};
        g_assert_cmpint(program_run(missing, NULL, &text), ==, 127);
        g_assert_nonnull(strstr(text, "no-such-command"));
        g_assert_cmpint(program_run(directory, NULL, NULL), ==, 126);
        g_assert_true(is_gone(&world));
}

static void
test_signals_are_passed_on(void)
{
        static const struct {
                const char *name;
                int number;
        } signals[] = {{"HUP", SIGHUP},   {"USR1", SIGUSR1}, {"USR2", SIGUSR2},
                       {"QUIT", SIGQUIT}, {"INT", SIGINT},   {"TERM", SIGTERM}};
        g_auto(World) world;
        if (!world_init(&world))
                return;
        for (size_t i = 0; i < G_N_ELEMENTS(signals); i++) {
                g_autofree char *script = g_strdup_printf(
                    "trap 'echo got it; exit %d' %s; echo ready; while :; do sleep 0.05; done", 40 + (int)i,
                    signals[i].name);
                g_autoptr(Program) agent = start_agent(&world, script);
                program_wait_line(agent, "ready", DEADLINE_MS);
                program_signal(agent, signals[i].number);
                g_assert_cmpint(program_wait_exit(agent, DEADLINE_MS), ==, 40 + (int)i);
        }
}

static void
test_the_heartbeat_goes_when_the_child_ends(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        g_autoptr(Program) agent =
            start_agent(&world, "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done");
        program_wait_line(agent, "ready", DEADLINE_MS);
        expect(&world, is_beating);
        program_signal(agent, SIGTERM);
        g_assert_cmpint(program_wait_exit(agent, DEADLINE_MS), ==, 3);
        g_assert_true(is_gone(&world));
}

static bool
is_dead(void *pid)
{
        return kill(*(pid_t *)pid, 0) != 0;
}

static void
test_a_killed_agent_takes_its_child_along(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        g_autoptr(Program) agent = start_agent(&world, "echo child $$.; exec sleep 1000");
        program_wait_line(agent, "child ", DEADLINE_MS);
        g_autofree char *log = program_log(agent);
        pid_t child = (int)g_ascii_strtoll(strstr(log, "child ") + strlen("child "), NULL, 10);
        expect(&world, is_beating);
        g_assert_false(is_dead(&child));
        program_signal(agent, SIGKILL);
        program_wait_exit(agent, DEADLINE_MS);
        g_assert_true(live_wait(DEADLINE_MS, is_dead, &child));
        g_assert_true(is_beating(&world)); /* nobody said goodbye: it expires */
}

static void
test_the_child_runs_with_redis_away_and_beats_when_it_is_back(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        g_clear_pointer(&world.redis, program_free);
        g_autoptr(Program) agent = start_agent(&world, "echo ready; exec sleep 1000");
        program_wait_line(agent, "trying again", DEADLINE_MS);
        start_redis(&world);
        expect(&world, is_beating);
        program_wait_line(agent, "heartbeats arrive", DEADLINE_MS);
        g_clear_pointer(&world.redis, program_free);
        program_wait_line(agent, "trying again", DEADLINE_MS);
        redis_link_close(world.link);
        start_redis(&world);
        program_wait_line(agent, "heartbeats arrive", DEADLINE_MS);
        expect(&world, is_beating);
        g_assert_true(program_is_running(agent));
}

static void
test_a_hanging_redis_delays_the_end_by_its_timeout_only(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        g_autoptr(Program) agent =
            start_agent(&world, "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done");
        program_wait_line(agent, "ready", DEADLINE_MS);
        expect(&world, is_beating);
        program_signal(world.redis, SIGSTOP);
        int64_t began_us = g_get_monotonic_time();
        program_signal(agent, SIGTERM);
        g_assert_cmpint(program_wait_exit(agent, DEADLINE_MS), ==, 5);
        g_assert_cmpint(g_get_monotonic_time() - began_us, <, (TIMEOUT_MS + 500) * 1000);
        program_signal(world.redis, SIGCONT);
}

static void
test_the_host_is_the_member_address_of_this_machine(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        live_remove_file(world.conf);
        world.conf = write_conf(&world, "cluster = east");
        g_autoptr(Program) agent = start_agent(&world, NULL);
        program_wait_line(agent, "host 127.0.0.1 of cluster east", DEADLINE_MS);
        g_assert_cmpint(ask(&world, "EXISTS east_127.0.0.1"), ==, 1);
        program_signal(agent, SIGINT);
        g_assert_cmpint(program_wait_exit(agent, DEADLINE_MS), ==, 0);
}

static void
test_without_a_cluster_it_only_runs_its_command(void)
{
        g_auto(World) world;
        g_autofree char *text = NULL;
        if (!world_init(&world))
                return;
        live_remove_file(world.conf);
        world.conf = write_conf(&world, "");
        const char *bare[] = {"cluster-agent", "-c", world.conf, NULL};
        g_assert_cmpint(run_agent(&world, "exit 9"), ==, 9);
        g_assert_cmpint(program_run(bare, NULL, &text), ==, 78);
        g_assert_nonnull(strstr(text, "set cluster in [DEFAULT]"));
        g_assert_cmpint(ask(&world, "DBSIZE"), ==, 0);
}

static void
test_wrong_usage_and_bad_configuration(void)
{
        static const char *const no_file[] = {"cluster-agent", NULL};
        static const char *const unknown[] = {"cluster-agent", "--no-such-option", NULL};
        static const char *const missing[] = {"cluster-agent", "-c", "/nonexistent/conf", NULL};
        static const char *const version[] = {"cluster-agent", "--version", NULL};
        static const char *const help[] = {"cluster-agent", "--help", NULL};
        g_autofree char *text = NULL;
        g_autofree char *usage = NULL;
        if (live_env("REDIS_URL") == NULL)
                return;
        g_assert_cmpint(program_run(no_file, NULL, NULL), ==, 64);
        g_assert_cmpint(program_run(unknown, NULL, NULL), ==, 64);
        g_assert_cmpint(program_run(missing, NULL, NULL), ==, 78);
        g_assert_cmpint(program_run(version, &text, NULL), ==, 0);
        g_assert_true(g_str_has_prefix(text, "cluster-agent "));
        g_assert_cmpint(program_run(help, &usage, NULL), ==, 0);
        g_assert_nonnull(strstr(usage, "COMMAND"));
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        signal(SIGPIPE, SIG_IGN);
#define TEST(name, function) g_test_add_func("/agent/" name, test_##function)
        TEST("a-bare-agent-beats-until-it-is-told-to-end", a_bare_agent_beats_until_it_is_told_to_end);
        TEST("it-takes-its-childs-status", it_takes_its_childs_status);
        TEST("what-cannot-be-run-says-so-and-registers-nothing",
             what_cannot_be_run_says_so_and_registers_nothing);
        TEST("signals-are-passed-on", signals_are_passed_on);
        TEST("the-heartbeat-goes-when-the-child-ends", the_heartbeat_goes_when_the_child_ends);
        TEST("a-killed-agent-takes-its-child-along", a_killed_agent_takes_its_child_along);
        TEST("the-child-runs-with-redis-away-and-beats-when-it-is-back",
             the_child_runs_with_redis_away_and_beats_when_it_is_back);
        TEST("a-hanging-redis-delays-the-end-by-its-timeout-only",
             a_hanging_redis_delays_the_end_by_its_timeout_only);
        TEST("the-host-is-the-member-address-of-this-machine",
             the_host_is_the_member_address_of_this_machine);
        TEST("without-a-cluster-it-only-runs-its-command", without_a_cluster_it_only_runs_its_command);
        TEST("wrong-usage-and-bad-configuration", wrong_usage_and_bad_configuration);
        return g_test_run();
}
