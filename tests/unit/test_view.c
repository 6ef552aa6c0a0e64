/* SPDX-License-Identifier: MIT */
#include "cluster/view.h"

#include <string.h>

#define HOST(text, is_up)                                                                                    \
        {                                                                                                    \
                .name = (char *)text, .usable = is_up, .alive = is_up, .configured = true                    \
        }

static const char *const EAST_ALIASES[] = {"zone-1", "zone-2", NULL};
static const ViewHost EAST_HOSTS[] = {HOST("10.0.0.12", true), HOST("10.0.0.11", true),
                                      HOST("10.0.0.13", false)};
static const ViewHost WEST_HOSTS[] = {HOST("fe80::1", true)};
static const ViewHost DOWN_HOSTS[] = {HOST("down-1", false)};

static const ViewInput EAST = {.name = "east", .aliases = EAST_ALIASES, .hosts = EAST_HOSTS, .n_hosts = 3};
static const ViewInput WEST = {.name = "west", .id = 7, .hosts = WEST_HOSTS, .n_hosts = 1};
static const ViewInput DOWN = {.name = "down", .hosts = DOWN_HOSTS, .n_hosts = 1};

static const char *
name_of(const ViewCluster *cluster)
{
        return cluster != NULL ? cluster->name : "none";
}

static void
test_finds_by_name_alias_and_host(void)
{
        ViewInput inputs[] = {EAST, WEST};
        g_autoptr(View) view = view_new(inputs, 2, false, NULL);
        g_assert_cmpstr(name_of(view_find(view, "east", 4)), ==, "east");
        g_assert_cmpstr(name_of(view_find(view, "zone-2", 6)), ==, "east");
        g_assert_cmpstr(name_of(view_find(view, "west and more", 4)), ==, "west");
        g_assert_cmpstr(name_of(view_find_by_host(view, "10.0.0.13", 9)), ==, "east");
        g_assert_cmpstr(name_of(view_find_by_host(view, "fe80::1", 7)), ==, "west");
        g_assert_null(view_find_by_host(view, "east", 4));
}

static void
test_strange_names_are_not_found(void)
{
        ViewInput inputs[] = {EAST, WEST};
        g_autoptr(View) view = view_new(inputs, 2, false, NULL);
        g_autofree char *huge = g_strnfill(100000, 'e');
        g_assert_null(view_find(view, "", 0));
        g_assert_null(view_find(view, "eas", 3));
        g_assert_null(view_find(view, "east\0", 5));
        g_assert_null(view_find(view, "EAST", 4));
        g_assert_null(view_find(view, huge, 100000));
        g_assert_null(view_find_by_host(view, huge, 100000));
}

static void
test_an_alias_never_hides_a_name(void)
{
        static const char *const aliases[] = {"west", NULL};
        ViewInput thief = {.name = "thief", .aliases = aliases};
        ViewInput inputs[] = {thief, WEST};
        g_autoptr(View) view = view_new(inputs, 2, false, NULL);
        g_assert_cmpstr(name_of(view_find(view, "west", 4)), ==, "west");
}

static void
test_hosts_are_sorted_and_joined(void)
{
        ViewInput inputs[] = {EAST, DOWN};
        g_autoptr(View) view = view_new(inputs, 2, false, NULL);
        const ViewCluster *east = view_find(view, "east", 4);
        g_assert_cmpuint(east->hosts->len, ==, 3);
        g_assert_cmpuint(east->usable->len, ==, 2);
        g_assert_cmpstr(east->usable_text, ==, "10.0.0.11,10.0.0.12");
        g_assert_true(view_cluster_is_usable(east));
        g_assert_false(view_cluster_is_usable(view_find(view, "down", 4)));
        g_assert_cmpstr(view_find(view, "down", 4)->usable_text, ==, "");
}

static void
test_pick_is_exactly_in_proportion(void)
{
        ViewInput drained = EAST;
        drained.name = "drained";
        drained.drained = true;
        drained.aliases = NULL;
        ViewInput inputs[] = {DOWN, EAST, drained, WEST, DOWN};
        inputs[4].name = "down-too";
        g_autoptr(View) view = view_new(inputs, 5, false, NULL);
        unsigned picked[5] = {0};
        for (uint64_t ticket = 0; ticket < 3000; ticket++)
                picked[view_pick(view, ticket)->index]++;
        g_assert_cmpuint(view->usable_total, ==, 3);
        g_assert_cmpuint(picked[1], ==, 2000);
        g_assert_cmpuint(picked[3], ==, 1000);
        g_assert_false(view_cluster_is_usable(view_find(view, "drained", 7)));
}

static void
test_pick_from_nothing_is_nothing(void)
{
        ViewInput inputs[] = {DOWN};
        g_autoptr(View) down = view_new(inputs, 1, false, NULL);
        g_autoptr(View) single = view_new(NULL, 0, true, NULL);
        g_assert_null(view_pick(down, 5));
        g_assert_null(view_pick(single, 5));
        g_assert_true(single->single);
}

static void
test_layout_stays_while_names_and_order_stay(void)
{
        ViewInput both[] = {EAST, WEST};
        ViewInput swapped[] = {WEST, EAST};
        g_autoptr(View) first = view_new(both, 2, false, NULL);
        both[1].drained = true;
        both[0].n_hosts = 1;
        g_autoptr(View) second = view_new(both, 2, false, first);
        g_autoptr(View) third = view_new(swapped, 2, false, second);
        g_autoptr(View) fourth = view_new(swapped, 1, false, third);
        g_assert_cmpuint(second->layout, ==, first->layout);
        g_assert_cmpuint(third->layout, >, second->layout);
        g_assert_cmpuint(fourth->layout, >, third->layout);
        g_assert_cmpuint(second->generation, ==, first->generation + 1);
        g_assert_cmpuint(fourth->generation, ==, first->generation + 3);
}

static void
assert_differs(const View *view, ViewInput input)
{
        g_autoptr(View) other = view_new(&input, 1, false, NULL);
        g_assert_false(view_equal(view, other));
}

static void
test_equal_sees_every_difference_but_times(void)
{
        ViewInput east = EAST;
        ViewHost hosts[3];
        g_autoptr(View) view = view_new(&east, 1, false, NULL);

        memcpy(hosts, EAST_HOSTS, sizeof hosts);
        hosts[0].since_us = 99;
        east.hosts = hosts;
        g_autoptr(View) later = view_new(&east, 1, false, NULL);
        g_assert_true(view_equal(view, later));

        hosts[0].usable = false;
        assert_differs(view, east);
        hosts[0].usable = true;
        hosts[0].configured = false;
        assert_differs(view, east);
        east = EAST;
        east.n_hosts = 2;
        assert_differs(view, east);
        east = EAST;
        east.drained = true;
        assert_differs(view, east);
        east.drain_to = "west";
        assert_differs(view, east);
        east = EAST;
        east.drain_since = "2026-01-31T12:00:00Z";
        assert_differs(view, east);
        east = EAST;
        east.aliases = NULL;
        assert_differs(view, east);
        east = EAST;
        east.id = 3;
        assert_differs(view, east);
}

static void
test_ten_thousand_clusters(void)
{
        enum { CLUSTERS = 10000, TICKETS = 100000 };
        g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
        g_autofree ViewInput *inputs = g_new0(ViewInput, CLUSTERS);
        for (unsigned i = 0; i < CLUSTERS; i++) {
                g_ptr_array_add(names, g_strdup_printf("cluster-%u", i));
                inputs[i] = (ViewInput){.name = names->pdata[i], .hosts = EAST_HOSTS, .n_hosts = 2};
        }
        g_autoptr(View) view = view_new(inputs, CLUSTERS, false, NULL);
        int64_t began_us = g_get_monotonic_time();
        for (uint64_t ticket = 0; ticket < TICKETS; ticket++)
                g_assert_cmpuint(view_pick(view, ticket)->index, ==, ticket / 2 % CLUSTERS);
        g_assert_cmpint(g_get_monotonic_time() - began_us, <, G_USEC_PER_SEC);
        for (unsigned i = 0; i < CLUSTERS; i++) {
                const char *name = names->pdata[i];
                g_assert_cmpuint(view_find(view, name, strlen(name))->index, ==, i);
        }
}

static gpointer
hold_and_drop(gpointer data)
{
        for (unsigned i = 0; i < 100000; i++)
                view_unref(view_ref(data));
        return NULL;
}

static void
test_references_are_counted_across_threads(void)
{
        g_autoptr(View) view = view_new(&EAST, 1, false, NULL);
        GThread *other = g_thread_new("other", hold_and_drop, view);
        hold_and_drop(view);
        g_thread_join(other);
        g_assert_true(g_atomic_ref_count_compare(&view->refs, 1));
        view_unref(NULL);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/view/finds-by-name-alias-and-host", test_finds_by_name_alias_and_host);
        g_test_add_func("/view/strange-names-are-not-found", test_strange_names_are_not_found);
        g_test_add_func("/view/an-alias-never-hides-a-name", test_an_alias_never_hides_a_name);
        g_test_add_func("/view/hosts-are-sorted-and-joined", test_hosts_are_sorted_and_joined);
        g_test_add_func("/view/pick-is-exactly-in-proportion", test_pick_is_exactly_in_proportion);
        g_test_add_func("/view/pick-from-nothing-is-nothing", test_pick_from_nothing_is_nothing);
        g_test_add_func("/view/layout-stays-while-names-and-order-stay",
                        test_layout_stays_while_names_and_order_stay);
        g_test_add_func("/view/equal-sees-every-difference-but-times",
                        test_equal_sees_every_difference_but_times);
        g_test_add_func("/view/ten-thousand-clusters", test_ten_thousand_clusters);
        g_test_add_func("/view/references-are-counted-across-threads",
                        test_references_are_counted_across_threads);
        return g_test_run();
}
