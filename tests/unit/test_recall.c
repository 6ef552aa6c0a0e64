/* SPDX-License-Identifier: MIT */

/* What was confirmed and not acknowledged is recognised once, by name only, and never without bound. */

#include "router/recall.h"

static bool
take(Recall *recall, const char *name, void **note)
{
        return recall_take(recall, name, strlen(name), note);
}

static void
test_recognised_once(void)
{
        g_autoptr(Recall) recall = recall_new(10);
        int note = 0;
        void *found = NULL;

        recall_add(recall, "a", 1, &note);
        g_assert_true(take(recall, "a", &found));
        g_assert_true(found == &note);
        g_assert_false(take(recall, "a", &found));
}

static void
test_nameless_is_never_recognised(void)
{
        g_autoptr(Recall) recall = recall_new(10);
        void *found = NULL;

        recall_add(recall, "", 0, NULL);
        g_assert_false(take(recall, "", &found));
}

static void
test_names_are_bytes(void)
{
        g_autoptr(Recall) recall = recall_new(10);
        void *found = NULL;

        recall_add(recall, "a\0b", 3, NULL);
        g_assert_false(take(recall, "a", &found));
        g_assert_true(recall_take(recall, "a\0b", 3, &found));
}

static void
test_oldest_makes_room(void)
{
        g_autoptr(Recall) recall = recall_new(2);
        void *found = NULL;

        recall_add(recall, "a", 1, NULL);
        recall_add(recall, "b", 1, NULL);
        recall_add(recall, "a", 1, NULL); /* young again */
        recall_add(recall, "c", 1, NULL);
        g_assert_false(take(recall, "b", &found));
        g_assert_true(take(recall, "a", &found));
        g_assert_true(take(recall, "c", &found));
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/recall/is_recognised_once", test_recognised_once);
        g_test_add_func("/recall/without_a_name_is_never_recognised", test_nameless_is_never_recognised);
        g_test_add_func("/recall/names_are_bytes", test_names_are_bytes);
        g_test_add_func("/recall/oldest_makes_room", test_oldest_makes_room);
        return g_test_run();
}
