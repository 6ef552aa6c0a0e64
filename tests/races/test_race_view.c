/* SPDX-License-Identifier: MIT */
#include "cluster/registry.h"
#include "tests/races/race.h"

#include <stdatomic.h>
#include <string.h>

/*
 * Two threads take the view in force as lanes do, while reloads put others in its place. Built twice: with
 * the registry as it is, where no race is found, and with one that reads its view without the lock, where one
 * is.
 */
enum { RELOADS = 200, READERS = 2 };

typedef struct {
        Registry *registry;
        atomic_int started;
        atomic_bool stop;
} Readers;

static Conf *
parse(const char *text)
{
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        Conf *conf = conf_parse("f", text, strlen(text), errors);

        g_assert_nonnull(conf);
        return conf;
}

static void *
take_views(void *data)
{
        Readers *readers = data;

        do {
                view_unref(registry_get_view(readers->registry));
                atomic_fetch_add_explicit(&readers->started, 1, memory_order_relaxed);
        } while (!atomic_load_explicit(&readers->stop, memory_order_relaxed));
        return NULL;
}

static void
run_reloads(void)
{
        g_autoptr(Conf) one = parse("[east]\ncluster_member_ips = e1\n");
        g_autoptr(Conf) two = parse("[east]\ncluster_member_ips = e1,e2\n");
        g_autoptr(Registry) registry = registry_new(one, NULL, NULL, NULL);
        Readers readers = {.registry = registry};
        GThread *threads[READERS];

        for (int i = 0; i < READERS; i++)
                threads[i] = g_thread_new("reader", take_views, &readers);
        while (atomic_load_explicit(&readers.started, memory_order_relaxed) < READERS)
                g_thread_yield();
        for (int i = 0; i < RELOADS; i++)
                g_assert_true(registry_reload(registry, i % 2 == 0 ? two : one, NULL));
        atomic_store_explicit(&readers.stop, true, memory_order_relaxed);
        for (int i = 0; i < READERS; i++)
                g_thread_join(threads[i]);
}

static void
test_views_change_hands_without_a_race(void)
{
        g_assert_false(race_is_found("/race_view/subprocess/reloads"));
}

static void
test_a_view_read_without_its_lock_is_found(void)
{
        g_assert_true(race_is_found("/race_view/subprocess/reloads"));
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        if (PLANTED)
                g_test_add_func("/race_view/a_view_read_without_its_lock_is_found",
                                test_a_view_read_without_its_lock_is_found);
        else
                g_test_add_func("/race_view/views_change_hands_without_a_race",
                                test_views_change_hands_without_a_race);
        g_test_add_func("/race_view/subprocess/reloads", run_reloads);
        return g_test_run();
}
