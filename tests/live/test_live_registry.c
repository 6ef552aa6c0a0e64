/* SPDX-License-Identifier: MIT */
#include "cluster/redis_link.h"
#include "tests/live/registry_world.h"

#include <signal.h>

/* The registry and what redis and a reload do to its views. */

static void
test_first_view_is_what_redis_says_and_quick(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        beat(&world, "east", "e1");
        beat(&world, "east", "e9");
        int64_t began_us = g_get_monotonic_time();
        start(&world, EAST WEST);
        g_test_message("first view after %" G_GINT64_FORMAT " us", g_get_monotonic_time() - began_us);
        expect_now(&world, "east(2/3) west(0/1)");
        g_assert_cmpint(g_get_monotonic_time() - began_us, <, 500 * 1000);
        g_assert_cmpuint(registry_generation(world.registry), >, 0);
}

static void
test_hosts_come_go_and_expire(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        start(&world, EAST WEST);
        uint64_t before = registry_generation(world.registry);
        beat(&world, "west", "w1");
        expect(&world, "east(0/2) west(1/1)");
        g_assert_cmpuint(registry_generation(world.registry), >, before);
        beat(&world, "west", "w2");
        expect(&world, "east(0/2) west(2/2)");
        g_assert_true(liveness_goodbye(world.agents, "west", "w2", NULL));
        expect(&world, "east(0/2) west(1/1)");
        expect(&world, "east(0/2) west(0/1)"); /* its heartbeat expires */
        g_assert_cmpint(g_atomic_int_get(&world.notified), >=, 3);
}

static void
test_an_unchanged_picture_makes_no_new_view(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        start(&world, EAST);
        uint64_t before = registry_generation(world.registry);
        RegistryStatus first;
        RegistryStatus later;
        registry_get_status(world.registry, &first);
        do {
                registry_poke(world.registry);
                registry_get_status(world.registry, &later);
        } while (later.redis_ok_us < first.redis_ok_us + 300 * 1000);
        g_assert_cmpuint(registry_generation(world.registry), ==, before);
}

static void
test_a_lost_redis_changes_nothing(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        beat(&world, "east", "e1");
        start(&world, EAST WEST);
        expect_now(&world, "east(1/2) west(0/1)");
        stop_redis(&world);
        g_assert_true(live_wait(DEADLINE_MS, redis_is_lost, world.registry));
        g_usleep(TTL_MS * 1000);
        expect_now(&world, "east(1/2) west(0/1)");

        /* It comes back as another process, and empty: that is not believed for three TTLs. */
        start_redis(&world);
        g_assert_true(live_wait(DEADLINE_MS, redis_is_fine, world.registry));
        expect_now(&world, "east(1/2) west(0/1)");
        RegistryStatus status;
        registry_get_status(world.registry, &status);
        g_assert_true(status.frozen);
        expect(&world, "east(0/2) west(0/1)");
}

static void
test_a_hanging_redis_changes_nothing(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        beat(&world, "east", "e1");
        start(&world, EAST);
        program_signal(world.redis, SIGSTOP);
        g_assert_true(live_wait(DEADLINE_MS, redis_is_lost, world.registry));
        expect_now(&world, "east(1/2)");
        program_signal(world.redis, SIGCONT);
        g_assert_true(live_wait(DEADLINE_MS, redis_is_fine, world.registry));
}

static void
beat_all(const World *world)
{
        beat(world, "east", "e1");
        beat(world, "east", "e2");
        beat(world, "west", "w1");
}

static void
flush(const World *world)
{
        g_autoptr(RedisLink) link = redis_link_new(world->redis_url, TIMEOUT_MS, NULL);
        g_assert_true(redis_link_open(link, NULL));
        redis_link_send(link, "FLUSHALL");
        g_autoptr(redisReply) reply = redis_link_receive(link, NULL);
        g_assert_cmpint(reply->type, ==, REDIS_REPLY_STATUS);
}

/* The first poll writes them after its view is in force. */
static bool
has_counts(void *data)
{
        const World *world = data;
        g_autoptr(RedisLink) link = redis_link_new(world->redis_url, TIMEOUT_MS, NULL);
        g_assert_true(redis_link_open(link, NULL));
        redis_link_send(link, "EXISTS east_up_host_num west_up_host_num");
        g_autoptr(redisReply) reply = redis_link_receive(link, NULL);
        return reply != NULL && reply->integer == 2;
}

static bool
is_frozen(void *registry)
{
        RegistryStatus status;
        registry_get_status(registry, &status);
        return status.frozen;
}

static bool
is_free(void *registry)
{
        return !is_frozen(registry);
}

static void
test_a_flushed_redis_is_not_believed(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        beat_all(&world);
        start(&world, EAST WEST);
        expect_now(&world, "east(2/2) west(1/1)");
        uint64_t before = registry_generation(world.registry);
        g_assert_true(live_wait(DEADLINE_MS, has_counts, &world));
        flush(&world);
        g_assert_true(live_wait(DEADLINE_MS, is_frozen, world.registry));
        beat_all(&world);
        g_assert_true(live_wait(DEADLINE_MS, is_free, world.registry));
        expect_now(&world, "east(2/2) west(1/1)");
        g_assert_cmpuint(registry_generation(world.registry), ==, before);
}

static void
test_goodbyes_are_believed_however_many(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        beat_all(&world);
        start(&world, EAST WEST);
        int64_t began_us = g_get_monotonic_time();
        g_assert_true(liveness_goodbye(world.agents, "east", "e1", NULL));
        g_assert_true(liveness_goodbye(world.agents, "east", "e2", NULL));
        g_assert_true(liveness_goodbye(world.agents, "west", "w1", NULL));
        expect(&world, "east(0/2) west(0/1)");
        g_assert_cmpint(g_get_monotonic_time() - began_us, <, TTL_MS * 1000);
        g_assert_true(is_free(world.registry));
}

static void
test_reload_shows_before_it_returns(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        beat(&world, "east", "e1");
        start(&world, EAST WEST);
        g_autoptr(View) before = registry_get_view(world.registry);
        g_autoptr(Conf) drained = make_conf(&world, EAST "state = drain\n" WEST);
        g_autoptr(Conf) fewer = make_conf(&world, "[north]\ncluster_member_ips = n1\n" EAST);
        g_assert_true(registry_reload(world.registry, drained, NULL));
        expect_now(&world, "east(1/2,drained) west(0/1)");
        g_autoptr(View) middle = registry_get_view(world.registry);
        g_assert_cmpuint(middle->layout, ==, before->layout);
        g_assert_true(registry_reload(world.registry, fewer, NULL));
        expect_now(&world, "north(0/1) east(1/2)");
        beat(&world, "north", "n1");
        expect(&world, "north(1/1) east(1/2)");
}

static void
test_without_redis_all_members_are_alive(void)
{
        World world = {.directory = g_dir_make_tmp("registry-XXXXXX", NULL)};
        start(&world, EAST WEST);
        expect_now(&world, "east(2/2) west(1/1)");
        g_autoptr(Conf) other = make_conf(&world, "[east]\ncluster_member_ips = e1\n");
        g_assert_true(registry_reload(world.registry, other, NULL));
        expect_now(&world, "east(1/1)");
        world_clear(&world);
}

static void
test_single_cluster_mode_has_an_empty_view(void)
{
        World world = {.directory = g_dir_make_tmp("registry-XXXXXX", NULL)};
        start(&world, "");
        expect_now(&world, "single");
        world_clear(&world);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        signal(SIGPIPE, SIG_IGN);
        g_log_set_always_fatal(G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL); /* warnings are part of the job */
#define TEST(name, function) g_test_add_func("/registry/" name, test_##function)
        TEST("first-view-is-what-redis-says-and-quick", first_view_is_what_redis_says_and_quick);
        TEST("hosts-come-go-and-expire", hosts_come_go_and_expire);
        TEST("an-unchanged-picture-makes-no-new-view", an_unchanged_picture_makes_no_new_view);
        TEST("a-lost-redis-changes-nothing", a_lost_redis_changes_nothing);
        TEST("a-hanging-redis-changes-nothing", a_hanging_redis_changes_nothing);
        TEST("a-flushed-redis-is-not-believed", a_flushed_redis_is_not_believed);
        TEST("goodbyes-are-believed-however-many", goodbyes_are_believed_however_many);
        TEST("reload-shows-before-it-returns", reload_shows_before_it_returns);
        TEST("without-redis-all-members-are-alive", without_redis_all_members_are_alive);
        TEST("single-cluster-mode-has-an-empty-view", single_cluster_mode_has_an_empty_view);
        return g_test_run();
}
