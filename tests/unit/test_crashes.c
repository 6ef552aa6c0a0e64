/* SPDX-License-Identifier: MIT */

/* A run that did not end by itself is known to the next one, and so is the message it had in hand. */

#include "router/crashes.h"

#include <glib/gstdio.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
        char *folder;
        Crashes *held; /* by the process that dies: what it is still to reach is no leak */
} World;

static void
set_up(World *world, const void *data)
{
        world->folder = g_dir_make_tmp("crashes-XXXXXX", NULL);
        g_assert_nonnull(world->folder);
}

static void
tear_down(World *world, const void *data)
{
        g_autoptr(GDir) dir = g_dir_open(world->folder, 0, NULL);
        const char *name;

        while ((name = g_dir_read_name(dir)) != NULL) {
                g_autofree char *path = g_build_filename(world->folder, name, NULL);

                g_unlink(path);
        }
        g_rmdir(world->folder);
        g_free(world->folder);
}

static Crashes *
start(const World *world)
{
        g_autoptr(GError) error = NULL;
        Crashes *crashes = crashes_open(world->folder, &error);

        g_assert_no_error(error);
        return crashes;
}

/* A process that opens, notes @fingerprint (unless NULL) and dies; returns what crashes_note() said. */
static int
crash_with(World *world, const char *fingerprint)
{
        pid_t child = fork();
        int status = 0;

        if (child == 0) {
                world->held = start(world);
                _exit(fingerprint ? (int)crashes_note(world->held, "r", 0, fingerprint) : 0);
        }
        g_assert_cmpint(waitpid(child, &status, 0), ==, child);
        return WEXITSTATUS(status);
}

static void
test_clean_end(World *world, const void *data)
{
        Crashes *crashes = start(world);

        g_assert_false(crashes_was_one(crashes));
        crashes_close(crashes);
        crashes = start(world);
        g_assert_false(crashes_was_one(crashes));
        crashes_close(crashes);
}

static void
test_crash_is_known(World *world, const void *data)
{
        crash_with(world, NULL);

        g_autoptr(Crashes) crashes = start(world);

        g_assert_true(crashes_was_one(crashes));
}

static void
test_in_hand_three_times(World *world, const void *data)
{
        g_assert_cmpint(crash_with(world, "a"), ==, 1);
        g_assert_cmpint(crash_with(world, "a"), ==, 2);
        g_assert_cmpint(crash_with(world, "a"), ==, CRASHES_POISON);
}

static void
test_another_message_or_an_ack_begins_anew(World *world, const void *data)
{
        crash_with(world, "a");
        g_assert_cmpint(crash_with(world, "b"), ==, 1);

        g_autoptr(Crashes) crashes = start(world);

        crashes_clear(crashes, "r", 0);
        g_assert_cmpuint(crashes_note(crashes, "r", 0, "b"), ==, 1);
}

static void
test_two_routers_keep_apart(World *world, const void *data)
{
        g_autoptr(Crashes) one = start(world);
        g_autoptr(Crashes) two = start(world);

        g_assert_false(crashes_was_one(two));
        g_assert_cmpuint(crashes_note(one, "r", 0, "a"), ==, 1);
        g_assert_cmpuint(crashes_note(two, "r", 0, "a"), ==, 1);
}

static void
test_unusable_folder(void)
{
        g_autoptr(GError) error = NULL;

        g_assert_null(crashes_open("/proc/none", &error));
        g_assert_nonnull(strstr(error->message, "state_dir /proc/none"));
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add("/crashes/a_clean_end_is_no_crash", World, NULL, set_up, test_clean_end, tear_down);
        g_test_add("/crashes/a_crash_is_known_to_the_next_run", World, NULL, set_up, test_crash_is_known,
                   tear_down);
        g_test_add("/crashes/in_hand_three_times_is_poison", World, NULL, set_up, test_in_hand_three_times,
                   tear_down);
        g_test_add("/crashes/another_message_or_an_ack_begins_anew", World, NULL, set_up,
                   test_another_message_or_an_ack_begins_anew, tear_down);
        g_test_add("/crashes/two_routers_of_one_folder_keep_apart", World, NULL, set_up,
                   test_two_routers_keep_apart, tear_down);
        g_test_add_func("/crashes/an_unusable_folder_is_an_error", test_unusable_folder);
        return g_test_run();
}
