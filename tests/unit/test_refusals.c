/* SPDX-License-Identifier: MIT */
#include "router/refusals.h"

#include <glib.h>

static const int brokers[2] = {0};

static bool
is_held(Refusals *refusals, unsigned broker, const char *exchange, int64_t now_us)
{
        return refusals_hold(refusals, &brokers[broker], amqp_cstring_bytes(exchange), now_us);
}

static void
test_refused_is_held_for_a_while(void)
{
        g_autoptr(Refusals) refusals = refusals_new();

        g_assert_false(is_held(refusals, 0, "a", 0));
        refusals_note(refusals, &brokers[0], amqp_cstring_bytes("a"), 0);
        g_assert_true(is_held(refusals, 0, "a", 0));
        g_assert_true(is_held(refusals, 0, "a", REFUSALS_HOLD_US - 1));
        g_assert_false(is_held(refusals, 0, "a", REFUSALS_HOLD_US));
        g_assert_false(is_held(refusals, 0, "a", 0));
}

static void
test_others_are_not(void)
{
        g_autoptr(Refusals) refusals = refusals_new();

        refusals_note(refusals, &brokers[0], amqp_cstring_bytes("a"), 0);
        g_assert_false(is_held(refusals, 0, "b", 0));
        g_assert_false(is_held(refusals, 1, "a", 0));
        g_assert_true(is_held(refusals, 0, "a", 0));
}

static void
test_last_one_noted_is_held_however_many_there_are(void)
{
        g_autoptr(Refusals) refusals = refusals_new();

        for (unsigned i = 0; i < 3 * REFUSALS_MAX; i++) {
                g_autofree char *name = g_strdup_printf("%u", i);

                refusals_note(refusals, &brokers[0], amqp_cstring_bytes(name), 0);
                g_assert_true(is_held(refusals, 0, name, 0));
        }
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/refusals/refused-is-held-for-a-while", test_refused_is_held_for_a_while);
        g_test_add_func("/refusals/others-are-not", test_others_are_not);
        g_test_add_func("/refusals/last-one-noted-is-held-however-many-there-are",
                        test_last_one_noted_is_held_however_many_there_are);
        return g_test_run();
}
