/* SPDX-License-Identifier: MIT */
#include "tests/races/race.h"

/*
 * Two threads count in one variable. The sanitizer must see the race when nothing orders them, and must not
 * see one where a lock, a condition or the last reference of GLib's does.
 */
enum { ROUNDS = 1000 };

typedef struct {
        GMutex lock;
        GCond changed;
        gatomicrefcount refs;
        bool locked;
        int counter;
        bool given; /* by the other thread */
} Shared;

static void
count(Shared *shared)
{
        for (int i = 0; i < ROUNDS; i++) {
                if (shared->locked)
                        g_mutex_lock(&shared->lock);
                shared->counter++;
                if (shared->locked)
                        g_mutex_unlock(&shared->lock);
        }
}

static void *
count_in_thread(void *data)
{
        count(data);
        return NULL;
}

static void
count_in_both(bool locked)
{
        static Shared shared;

        shared.locked = locked;
        GThread *thread = g_thread_new("counter", count_in_thread, &shared);
        count(&shared);
        g_thread_join(thread);
}

static void
run_counter_without_lock(void)
{
        count_in_both(false);
}

static void
run_counter_under_lock(void)
{
        count_in_both(true);
}

static void *
give(void *data)
{
        Shared *shared = data;

        shared->counter = 1; /* before the lock: the hand-over is what orders it */
        g_mutex_lock(&shared->lock);
        shared->given = true;
        g_cond_signal(&shared->changed);
        g_mutex_unlock(&shared->lock);
        return NULL;
}

static void
run_hand_over(void)
{
        static Shared shared;
        GThread *thread = g_thread_new("giver", give, &shared);

        g_mutex_lock(&shared.lock);
        while (!shared.given)
                g_cond_wait(&shared.changed, &shared.lock);
        g_mutex_unlock(&shared.lock);
        shared.counter++;
        g_thread_join(thread);
}

static void *
drop(void *data)
{
        Shared *shared = data;

        shared->counter++;
        if (g_atomic_ref_count_dec(&shared->refs))
                g_free(shared);
        return NULL;
}

/* The main thread only reads while the other may write another member, and whoever is last frees both. */
static void
run_last_reference(void)
{
        for (int i = 0; i < ROUNDS; i++) {
                Shared *shared = g_new0(Shared, 1);

                g_atomic_ref_count_init(&shared->refs);
                g_atomic_ref_count_inc(&shared->refs);
                GThread *thread = g_thread_new("dropper", drop, shared);
                shared->given = true;
                if (g_atomic_ref_count_dec(&shared->refs))
                        g_free(shared);
                g_thread_join(thread);
        }
}

static void
test_a_race_is_found(void)
{
        g_assert_true(race_is_found("/race/subprocess/counter_without_lock"));
}

static void
test_a_lock_is_seen(void)
{
        g_assert_false(race_is_found("/race/subprocess/counter_under_lock"));
}

static void
test_a_condition_is_seen(void)
{
        g_assert_false(race_is_found("/race/subprocess/hand_over"));
}

static void
test_the_last_reference_is_seen(void)
{
        g_assert_false(race_is_found("/race/subprocess/last_reference"));
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/race/a_race_is_found", test_a_race_is_found);
        g_test_add_func("/race/a_lock_is_seen", test_a_lock_is_seen);
        g_test_add_func("/race/a_condition_is_seen", test_a_condition_is_seen);
        g_test_add_func("/race/the_last_reference_is_seen", test_the_last_reference_is_seen);
        g_test_add_func("/race/subprocess/counter_without_lock", run_counter_without_lock);
        g_test_add_func("/race/subprocess/counter_under_lock", run_counter_under_lock);
        g_test_add_func("/race/subprocess/hand_over", run_hand_over);
        g_test_add_func("/race/subprocess/last_reference", run_last_reference);
        return g_test_run();
}
