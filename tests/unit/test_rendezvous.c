/* SPDX-License-Identifier: MIT */
#include "cluster/rendezvous.h"

#include <string.h>

/*
 * A cluster of hosts h0, h1, ...; a bit of a mask says of each whether it is usable. Keys are "key-0" and so
 * on.
 */
enum { HOSTS = 8, KEYS = 4000, ALL = (1 << HOSTS) - 1 };

static View *
make_view(unsigned usable)
{
        static char names[HOSTS][4];
        ViewHost hosts[HOSTS] = {0};
        ViewInput input = {.name = "east", .hosts = hosts, .n_hosts = HOSTS};

        for (unsigned i = 0; i < HOSTS; i++) {
                g_snprintf(names[i], sizeof(names[i]), "h%u", i);
                hosts[i].name = names[i];
                hosts[i].usable = hosts[i].alive = (usable >> i) & 1;
        }
        return view_new(&input, 1, false, NULL);
}

/* Number of the host that gets the key; HOSTS if none does. */
static unsigned
pick(const View *view, unsigned key)
{
        g_autofree char *text = g_strdup_printf("key-%u", key);
        const ViewHost *host =
            rendezvous_pick(g_ptr_array_index(view->clusters, 0), rendezvous_hash(text, strlen(text)));

        return host ? (unsigned)(host->name[1] - '0') : HOSTS;
}

static void
test_keys_spread_over_all_hosts(void)
{
        g_autoptr(View) view = make_view(ALL);
        unsigned counts[HOSTS] = {0};

        for (unsigned key = 0; key < KEYS; key++)
                counts[pick(view, key)]++;
        for (unsigned i = 0; i < HOSTS; i++) {
                g_assert_cmpuint(counts[i], >, KEYS / HOSTS * 3 / 4);
                g_assert_cmpuint(counts[i], <, KEYS / HOSTS * 5 / 4);
        }
}

static void
test_host_that_leaves_moves_only_its_keys(void)
{
        g_autoptr(View) before = make_view(ALL);
        unsigned counts[HOSTS] = {0};

        for (unsigned gone = 0; gone < HOSTS; gone++) {
                g_autoptr(View) after = make_view(ALL & ~(1u << gone));

                for (unsigned key = 0; key < KEYS / 4; key++) {
                        unsigned was = pick(before, key), is = pick(after, key);

                        g_assert_cmpuint(is, !=, gone);
                        if (was != gone)
                                g_assert_cmpuint(is, ==, was);
                        else
                                counts[is]++;
                }
        }
        /* What it had is shared out, not heaped onto one other. */
        for (unsigned i = 0; i < HOSTS; i++)
                g_assert_cmpuint(counts[i], >, 0);
}

/* Routers of different versions stand side by side: a change of the hash would send keys two ways. */
static void
test_choice_never_changes(void)
{
        g_autoptr(View) view = make_view(ALL);
        static const unsigned expected[] = {1, 1, 2, 0, 7, 7, 3, 4};

        g_assert_cmphex(rendezvous_hash("", 0), ==, G_GUINT64_CONSTANT(0xf52a15e9a9b5e89b));
        for (unsigned key = 0; key < G_N_ELEMENTS(expected); key++)
                g_assert_cmpuint(pick(view, key), ==, expected[key]);
}

static void
test_no_usable_host_gives_none(void)
{
        g_autoptr(View) view = make_view(0);

        g_assert_cmpuint(pick(view, 1), ==, HOSTS);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/rendezvous/keys-spread-over-all-hosts", test_keys_spread_over_all_hosts);
        g_test_add_func("/rendezvous/host-that-leaves-moves-only-its-keys",
                        test_host_that_leaves_moves_only_its_keys);
        g_test_add_func("/rendezvous/choice-never-changes", test_choice_never_changes);
        g_test_add_func("/rendezvous/no-usable-host-gives-none", test_no_usable_host_gives_none);
        return g_test_run();
}
