/* SPDX-License-Identifier: MIT */
#include "tests/unit/damping_world.h"

/* Which polls may be passed over, and what must not be lost then. */

static void
poll_same_after(World *world, int64_t seconds)
{
        world->same = true;
        poll_after(world, seconds);
        world->same = false;
}

static void
test_a_poll_that_finds_nothing_new_is_passed_over(void)
{
        g_auto(World) world;
        world_init(&world, 2, 5);
        poll_same_after(&world, 1);
        g_assert_true(world.taken); /* the first one is always new */
        g_assert_cmpuint(alive(&world), ==, 10);
        poll_same_after(&world, 1);
        g_assert_false(world.taken);
        kill_hosts(&world, 0, 0, 1);
        poll_after(&world, 1);
        g_assert_true(world.taken);
        poll_same_after(&world, 1);
        g_assert_false(world.taken);
        g_assert_cmpuint(alive(&world), ==, 9);
        poll_as(&world, 1, true);
        g_assert_true(world.taken);
}

static void
test_nothing_is_passed_over_while_a_host_waits(void)
{
        g_auto(World) world;
        world_init(&world, 2, 5);
        world.rules.fall = 3;
        poll_after(&world, 1);
        kill_hosts(&world, 0, 0, 1);
        poll_after(&world, 1);
        poll_same_after(&world, 1);
        g_assert_cmpuint(alive(&world), ==, 10);
        poll_same_after(&world, 1);
        g_assert_cmpuint(alive(&world), ==, 9);
        poll_same_after(&world, 1);
        g_assert_false(world.taken);
}

static void
test_nothing_is_passed_over_while_the_brake_is_on(void)
{
        g_auto(World) world;
        world_init(&world, 2, 5);
        poll_after(&world, 1);
        kill_hosts(&world, 0, 0, 5);
        kill_hosts(&world, 1, 0, 5);
        poll_after(&world, 1);
        g_assert_true(damping_is_frozen(world.damping));
        poll_same_after(&world, 40);
        g_assert_cmpuint(alive(&world), ==, 10);
        poll_same_after(&world, 10);
        g_assert_false(damping_is_frozen(world.damping));
        g_assert_cmpuint(alive(&world), ==, 0);
}

/* The last cluster that the poll asks about is empty already, the others only in the next one. */
static void
test_a_flush_in_the_middle_of_a_poll_kills_nobody(void)
{
        g_auto(World) world;
        world_init(&world, 4, 5);
        poll_after(&world, 1);
        world.counts_missing = true;
        leave(&world, 3, 0, 5);
        poll_after(&world, 1);
        for (unsigned i = 0; i < 3; i++)
                leave(&world, i, 0, 5);
        poll_after(&world, 1);
        g_assert_true(damping_is_frozen(world.damping));
        g_assert_cmpuint(alive(&world), ==, 20);
}

/* Few have to leave for that: no brake. */
static void
test_who_vanished_without_a_goodbye_is_forgotten_in_time(void)
{
        g_auto(World) world;
        world_init(&world, 2, 5);
        poll_after(&world, 1);
        world.counts_missing = true;
        leave(&world, 0, 0, 1);
        poll_after(&world, 1);
        g_assert_cmpuint(alive(&world), ==, 9);
        poll_same_after(&world, 10);
        g_assert_cmpuint(g_hash_table_size(damping_hosts(world.damping, "a")), ==, 4);
        poll_same_after(&world, 1);
        g_assert_false(world.taken);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
#define TEST(name, function) g_test_add_func("/damping-rest/" name, test_##function)
        TEST("a-poll-that-finds-nothing-new-is-passed-over", a_poll_that_finds_nothing_new_is_passed_over);
        TEST("nothing-is-passed-over-while-a-host-waits", nothing_is_passed_over_while_a_host_waits);
        TEST("nothing-is-passed-over-while-the-brake-is-on", nothing_is_passed_over_while_the_brake_is_on);
        TEST("a-flush-in-the-middle-of-a-poll-kills-nobody", a_flush_in_the_middle_of_a_poll_kills_nobody);
        TEST("who-vanished-without-a-goodbye-is-forgotten-in-time",
             who_vanished_without_a_goodbye_is_forgotten_in_time);
        return g_test_run();
}
