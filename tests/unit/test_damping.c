/* SPDX-License-Identifier: MIT */
#include "tests/unit/damping_world.h"

static void
test_one_poll_is_enough_by_default(void)
{
        g_auto(World) world;
        world_init(&world, 2, 5);
        poll_after(&world, 1);
        g_assert_cmpuint(alive(&world), ==, 10);
        kill_hosts(&world, 0, 0, 1);
        poll_after(&world, 1);
        g_assert_cmpuint(alive(&world), ==, 9);
        world.beats[0][0] = true;
        poll_after(&world, 1);
        g_assert_cmpuint(alive(&world), ==, 10);
}

static void
test_rise_and_fall_count_polls(void)
{
        g_auto(World) world;
        world_init(&world, 2, 5);
        world.rules.rise = 2;
        world.rules.fall = 3;
        poll_after(&world, 1);
        g_assert_cmpuint(alive(&world), ==, 10); /* nothing has flapped before the first poll */
        kill_hosts(&world, 0, 0, 1);
        poll_after(&world, 1);
        poll_after(&world, 1);
        g_assert_cmpuint(alive(&world), ==, 10);
        poll_after(&world, 1);
        g_assert_cmpuint(alive(&world), ==, 9);
        world.beats[0][0] = true;
        poll_after(&world, 1);
        g_assert_cmpuint(alive(&world), ==, 9);
        poll_after(&world, 1);
        g_assert_cmpuint(alive(&world), ==, 10);
}

static void
test_a_beat_between_starts_the_fall_anew(void)
{
        g_auto(World) world;
        world_init(&world, 2, 5);
        world.rules.fall = 2;
        poll_after(&world, 1);
        for (unsigned i = 0; i < 10; i++) {
                world.beats[0][0] = i % 2 == 1;
                poll_after(&world, 1);
                g_assert_cmpuint(alive(&world), ==, 10);
        }
}

static void
test_mass_death_is_held_for_three_ttls(void)
{
        g_auto(World) world;
        world_init(&world, 2, 5);
        poll_after(&world, 1);
        kill_hosts(&world, 0, 0, 2);
        kill_hosts(&world, 1, 0, 2);
        poll_after(&world, 1);
        g_assert_true(damping_is_frozen(world.damping));
        g_assert_cmpuint(alive(&world), ==, 10);
        poll_after(&world, 44);
        g_assert_cmpuint(alive(&world), ==, 10);
        poll_after(&world, 1);
        g_assert_cmpuint(alive(&world), ==, 6);
        g_assert_false(damping_is_frozen(world.damping));
        poll_after(&world, 1);
        g_assert_cmpuint(alive(&world), ==, 6);
        g_assert_false(damping_is_frozen(world.damping));
}

static void
test_exactly_the_share_is_believed(void)
{
        g_auto(World) world;
        world_init(&world, 2, 5);
        poll_after(&world, 1);
        kill_hosts(&world, 0, 0, 2);
        kill_hosts(&world, 1, 0, 1);
        poll_after(&world, 1);
        g_assert_false(damping_is_frozen(world.damping));
        g_assert_cmpuint(alive(&world), ==, 7);
}

static void
test_two_deaths_are_never_a_mass(void)
{
        g_auto(World) world;
        world_init(&world, 2, 1);
        poll_after(&world, 1);
        kill_hosts(&world, 0, 0, 1);
        kill_hosts(&world, 1, 0, 1);
        poll_after(&world, 1);
        g_assert_cmpuint(alive(&world), ==, 0);
}

static void
test_deaths_spread_over_polls_are_one_event(void)
{
        g_auto(World) world;
        world_init(&world, 2, 5);
        poll_after(&world, 1);
        for (unsigned host = 0; host < 5; host++) {
                kill_hosts(&world, 0, host, 1);
                kill_hosts(&world, 1, host, 1);
                poll_after(&world, 1);
        }
        g_assert_true(damping_is_frozen(world.damping));
        g_assert_cmpuint(alive(&world), ==, 10);
}

static void
test_one_cluster_without_power_is_believed(void)
{
        g_auto(World) world;
        world_init(&world, 2, 10);
        poll_after(&world, 1);
        kill_hosts(&world, 0, 0, 10);
        poll_after(&world, 1);
        g_assert_false(damping_is_frozen(world.damping));
        g_assert_cmpuint(alive_in(&world, 0), ==, 0);
        g_assert_cmpuint(alive_in(&world, 1), ==, 10);
}

static void
test_the_only_cluster_is_held(void)
{
        g_auto(World) world;
        world_init(&world, 1, 10);
        poll_after(&world, 1);
        kill_hosts(&world, 0, 0, 10);
        poll_after(&world, 1);
        g_assert_true(damping_is_frozen(world.damping));
        g_assert_cmpuint(alive(&world), ==, 10);
}

static void
test_goodbyes_never_count(void)
{
        g_auto(World) world;
        world_init(&world, 2, 10);
        poll_after(&world, 1);
        leave(&world, 0, 0, 10);
        leave(&world, 1, 0, 9);
        poll_after(&world, 1);
        g_assert_false(damping_is_frozen(world.damping));
        g_assert_cmpuint(alive(&world), ==, 1);
        g_assert_cmpuint(g_hash_table_size(damping_hosts(world.damping, "a")), ==, 0);
}

static void
test_goodbye_of_a_configured_host_skips_the_fall(void)
{
        g_auto(World) world;
        world_init(&world, 2, 3);
        world.configured = true;
        world.rules.fall = 5;
        poll_after(&world, 1);
        leave(&world, 0, 0, 1);
        poll_after(&world, 1);
        g_assert_cmpuint(alive_in(&world, 0), ==, 2);
        g_assert_cmpuint(g_hash_table_size(damping_hosts(world.damping, "a")), ==, 3);
}

static void
test_a_goodbye_counts_while_others_are_held(void)
{
        g_auto(World) world;
        world_init(&world, 2, 5);
        poll_after(&world, 1);
        kill_hosts(&world, 0, 0, 3);
        kill_hosts(&world, 1, 0, 3);
        poll_after(&world, 1);
        g_assert_true(damping_is_frozen(world.damping));
        leave(&world, 1, 4, 1);
        poll_after(&world, 1);
        g_assert_cmpuint(alive(&world), ==, 9);
}

static void
test_a_flush_is_no_goodbye(void)
{
        g_auto(World) world;
        world_init(&world, 2, 5);
        poll_after(&world, 1);
        leave(&world, 0, 0, 5);
        leave(&world, 1, 0, 5);
        world.counts_missing = true;
        poll_after(&world, 1);
        g_assert_true(damping_is_frozen(world.damping));
        g_assert_cmpuint(alive(&world), ==, 10);

        memset(world.beats, true, sizeof world.beats);
        memset(world.registered, true, sizeof world.registered);
        poll_after(&world, 5);
        g_assert_false(damping_is_frozen(world.damping));
        g_assert_cmpuint(alive(&world), ==, 10);
}

static void
test_a_new_and_emptier_redis_is_not_believed_at_once(void)
{
        g_auto(World) world;
        world_init(&world, 2, 5);
        poll_after(&world, 1);
        leave(&world, 0, 0, 1); /* an old snapshot: the counts are there, a host is not */
        poll_as(&world, 1, true);
        g_assert_true(damping_is_frozen(world.damping));
        g_assert_cmpuint(alive(&world), ==, 10);
        poll_after(&world, 44);
        g_assert_cmpuint(alive(&world), ==, 10);
        poll_after(&world, 2);
        g_assert_cmpuint(alive(&world), ==, 9);
}

static void
test_a_new_redis_that_knows_all_is_believed(void)
{
        g_auto(World) world;
        world_init(&world, 2, 5);
        poll_after(&world, 1);
        poll_as(&world, 1, true);
        g_assert_false(damping_is_frozen(world.damping));
}

static void
test_an_unknown_cluster_stays_as_it_was(void)
{
        g_auto(World) world;
        world_init(&world, 2, 5);
        poll_after(&world, 1);
        world.unknown[0] = true;
        kill_hosts(&world, 0, 0, 5);
        for (unsigned i = 0; i < 10; i++)
                poll_after(&world, 10);
        g_assert_cmpuint(alive(&world), ==, 10);
}

static void
test_assumed_hosts_give_way_to_the_first_poll(void)
{
        static const char *const members[] = {"a0", "a1", "a2", "a3", "a4", NULL};
        g_auto(World) world;
        world_init(&world, 1, 5);
        world.configured = true;
        damping_set_members(world.damping, "a", members, true, world.now_us);
        g_assert_cmpuint(alive(&world), ==, 5);
        memset(world.registered, false, sizeof world.registered);
        kill_hosts(&world, 0, 0, 4);
        poll_after(&world, 1);
        g_assert_false(damping_is_frozen(world.damping));
        g_assert_cmpuint(alive(&world), ==, 1);
}

static void
test_saved_hosts_give_way_to_the_same_redis_only(void)
{
        for (unsigned restarted = 0; restarted < 2; restarted++) {
                g_auto(World) world;
                world_init(&world, 2, 2);
                for (unsigned i = 0; i < 4; i++) {
                        char cluster[] = {(char)('a' + i / 2), '\0'};
                        char host[] = {cluster[0], (char)('0' + i % 2), '\0'};
                        damping_restore(world.damping, cluster, host, true, world.now_us);
                }
                g_assert_cmpuint(alive(&world), ==, 4);
                memset(world.beats, false, sizeof world.beats);
                poll_as(&world, 1, restarted == 1);
                g_assert_cmpuint(alive(&world), ==, restarted == 1 ? 4 : 0);
        }
}

static void
test_members_of_the_file_come_and_go(void)
{
        static const char *const before[] = {"x", "y", NULL};
        static const char *const after[] = {"y", "z", NULL};
        g_autoptr(Damping) damping = damping_new();
        damping_set_members(damping, "a", before, true, 1);
        damping_set_members(damping, "a", after, false, 2);
        GHashTable *hosts = damping_hosts(damping, "a");
        g_assert_null(g_hash_table_lookup(hosts, "x"));
        g_assert_true(((DampedHost *)g_hash_table_lookup(hosts, "y"))->alive);
        g_assert_false(((DampedHost *)g_hash_table_lookup(hosts, "z"))->alive);
}

static void
test_a_cluster_that_is_gone_is_forgotten(void)
{
        g_auto(World) world;
        world_init(&world, 2, 5);
        poll_after(&world, 1);
        world.clusters = 1;
        poll_after(&world, 1);
        g_assert_false(damping_is_frozen(world.damping));
        g_assert_null(damping_hosts(world.damping, "b"));
}

/* Beats for some seconds and is silent for some, a poll each second; how often it was believed to return. */
static unsigned
flap(World *world, unsigned beating_s, unsigned silent_s, unsigned times)
{
        unsigned returns = 0;
        for (unsigned i = 0; i < times * (beating_s + silent_s); i++) {
                unsigned before = alive(world);
                world->beats[0][0] = i % (beating_s + silent_s) < beating_s;
                poll_after(world, 1);
                returns += alive(world) > before;
        }
        return returns;
}

static void
test_a_flapping_host_has_to_prove_itself(void)
{
        g_auto(World) world;
        world_init(&world, 2, 5);
        poll_after(&world, 1);
        g_assert_cmpuint(flap(&world, 20, 20, 20), ==, 1);
        g_assert_cmpuint(alive(&world), ==, 9);
        /* Beats of 50 s are longer than three TTLs: it returns, but not more often than that. */
        g_assert_cmpuint(flap(&world, 50, 5, 10), ==, 10);
        world.beats[0][0] = true;
        for (unsigned i = 0; i <= 45; i++) {
                g_assert_cmpuint(alive(&world), ==, 9);
                poll_after(&world, 1);
        }
        g_assert_cmpuint(alive(&world), ==, 10);
}

static void
test_orderly_restarts_are_no_flapping(void)
{
        g_auto(World) world;
        world_init(&world, 2, 5);
        poll_after(&world, 1);
        for (unsigned i = 0; i < 10; i++) {
                leave(&world, 0, 0, 1);
                poll_after(&world, 1);
                g_assert_cmpuint(alive(&world), ==, 9);
                world.beats[0][0] = world.registered[0][0] = true;
                poll_after(&world, 1);
                g_assert_cmpuint(alive(&world), ==, 10);
        }
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
#define TEST(name, function) g_test_add_func("/damping/" name, test_##function)
        TEST("one-poll-is-enough-by-default", one_poll_is_enough_by_default);
        TEST("rise-and-fall-count-polls", rise_and_fall_count_polls);
        TEST("a-beat-between-starts-the-fall-anew", a_beat_between_starts_the_fall_anew);
        TEST("mass-death-is-held-for-three-ttls", mass_death_is_held_for_three_ttls);
        TEST("exactly-the-share-is-believed", exactly_the_share_is_believed);
        TEST("two-deaths-are-never-a-mass", two_deaths_are_never_a_mass);
        TEST("deaths-spread-over-polls-are-one-event", deaths_spread_over_polls_are_one_event);
        TEST("one-cluster-without-power-is-believed", one_cluster_without_power_is_believed);
        TEST("the-only-cluster-is-held", the_only_cluster_is_held);
        TEST("goodbyes-never-count", goodbyes_never_count);
        TEST("goodbye-of-a-configured-host-skips-the-fall", goodbye_of_a_configured_host_skips_the_fall);
        TEST("a-goodbye-counts-while-others-are-held", a_goodbye_counts_while_others_are_held);
        TEST("a-flush-is-no-goodbye", a_flush_is_no_goodbye);
        TEST("a-new-and-emptier-redis-is-not-believed-at-once",
             a_new_and_emptier_redis_is_not_believed_at_once);
        TEST("a-new-redis-that-knows-all-is-believed", a_new_redis_that_knows_all_is_believed);
        TEST("an-unknown-cluster-stays-as-it-was", an_unknown_cluster_stays_as_it_was);
        TEST("assumed-hosts-give-way-to-the-first-poll", assumed_hosts_give_way_to_the_first_poll);
        TEST("saved-hosts-give-way-to-the-same-redis-only", saved_hosts_give_way_to_the_same_redis_only);
        TEST("a-flapping-host-has-to-prove-itself", a_flapping_host_has_to_prove_itself);
        TEST("orderly-restarts-are-no-flapping", orderly_restarts_are_no_flapping);
        TEST("members-of-the-file-come-and-go", members_of_the_file_come_and_go);
        TEST("a-cluster-that-is-gone-is-forgotten", a_cluster_that_is_gone_is_forgotten);
        return g_test_run();
}
