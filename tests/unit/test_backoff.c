/* SPDX-License-Identifier: MIT */
#include "cluster/backoff.h"

#include <glib.h>

static void
assert_between(int64_t value, int64_t low, int64_t high)
{
        g_assert_cmpint(value, >=, low);
        g_assert_cmpint(value, <=, high);
}

static void
test_doubles_up_to_the_cap(void)
{
        for (unsigned i = 0; i < 1000; i++) {
                Backoff backoff;
                backoff_init(&backoff, 500, 3000);
                assert_between(backoff_next_ms(&backoff), 250, 500);
                assert_between(backoff_next_ms(&backoff), 500, 1000);
                assert_between(backoff_next_ms(&backoff), 1000, 2000);
                assert_between(backoff_next_ms(&backoff), 1500, 3000);
                assert_between(backoff_next_ms(&backoff), 1500, 3000);
        }
}

static void
test_reset_starts_over(void)
{
        Backoff backoff;
        backoff_init(&backoff, 500, 30000);
        for (unsigned i = 0; i < 10; i++)
                backoff_next_ms(&backoff);
        backoff_reset(&backoff);
        assert_between(backoff_next_ms(&backoff), 250, 500);
}

static void
test_jitter_spreads(void)
{
        int64_t least = G_MAXINT64;
        int64_t most = 0;
        for (unsigned i = 0; i < 1000; i++) {
                Backoff backoff;
                backoff_init(&backoff, 1000, 1000);
                int64_t wait_ms = backoff_next_ms(&backoff);
                least = MIN(least, wait_ms);
                most = MAX(most, wait_ms);
        }
        assert_between(least, 500, 600);
        assert_between(most, 900, 1000);
}

static void
test_never_zero_and_never_overflows(void)
{
        Backoff backoff;
        backoff_init(&backoff, 0, G_MAXINT64 / 4);
        for (unsigned i = 0; i < 200; i++)
                g_assert_cmpint(backoff_next_ms(&backoff), >, 0);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/backoff/doubles-up-to-the-cap", test_doubles_up_to_the_cap);
        g_test_add_func("/backoff/reset-starts-over", test_reset_starts_over);
        g_test_add_func("/backoff/jitter-spreads", test_jitter_spreads);
        g_test_add_func("/backoff/never-zero-and-never-overflows", test_never_zero_and_never_overflows);
        return g_test_run();
}
