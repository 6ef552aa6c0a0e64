/* SPDX-License-Identifier: MIT */

/*
 * Files of place N: N.lock is held while the process lives; N.running is there while it runs and stays behind
 * when it crashes; N.ROUTE.LANE.hand holds "COUNT FINGERPRINT". Nothing is synced to disk: a crash of the
 * process is meant, not one of the machine.
 */

#include "router/crashes.h"
#include "conf/trouble.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

enum { PLACES = 64, FINGERPRINT_BYTES = 128 };

struct Crashes {
        char *prefix; /* "STATE_DIR/N" */
        int lock;
        bool was_one;
};

static char *
file_name(const Crashes *crashes, const char *suffix)
{
        return g_strdup_printf("%s.%s", crashes->prefix, suffix);
}

static char *
hand_name(const Crashes *crashes, const char *route, unsigned lane)
{
        return g_strdup_printf("%s.%s.%u.hand", crashes->prefix, route, lane);
}

/* The descriptor of the lock, or -1 with errno. */
static int
take_place(const char *prefix)
{
        g_autofree char *name = g_strdup_printf("%s.lock", prefix);
        int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0)
                return fd;
        close(fd);
        errno = EWOULDBLOCK;
        return -1;
}

static bool
find_place(Crashes *crashes, const char *state_dir)
{
        for (unsigned i = 0; i < PLACES; i++) {
                g_autofree char *prefix = g_strdup_printf("%s/%u", state_dir, i);

                crashes->lock = take_place(prefix);
                if (crashes->lock >= 0) {
                        crashes->prefix = g_steal_pointer(&prefix);
                        return true;
                }
                if (errno != EWOULDBLOCK)
                        return false;
        }
        return false;
}

static void
release(Crashes *crashes)
{
        if (crashes->lock >= 0)
                close(crashes->lock);
        g_free(crashes->prefix);
        g_free(crashes);
}

Crashes *
crashes_open(const char *state_dir, GError **error)
{
        Crashes *crashes = g_new0(Crashes, 1);

        if (g_mkdir_with_parents(state_dir, 0700) < 0 || !find_place(crashes, state_dir)) {
                g_set_error(error, TROUBLE, TROUBLE_OUTSIDE, "state_dir %s: %s", state_dir,
                            g_strerror(errno));
                crashes->lock = -1;
                release(crashes);
                return NULL;
        }

        g_autofree char *running = file_name(crashes, "running");

        crashes->was_one = g_file_test(running, G_FILE_TEST_EXISTS);
        if (!g_file_set_contents(running, "", 0, error)) {
                release(crashes);
                return NULL;
        }
        return crashes;
}

void
crashes_close(Crashes *crashes)
{
        if (!crashes)
                return;

        g_autofree char *running = file_name(crashes, "running");

        g_unlink(running);
        release(crashes);
}

bool
crashes_was_one(const Crashes *crashes)
{
        return crashes->was_one;
}

/* How often this fingerprint was noted in a row before. */
static unsigned
noted_before(const char *name, const char *fingerprint)
{
        g_autofree char *text = NULL;
        char noted[FINGERPRINT_BYTES + 1] = "";
        unsigned count = 0;

        if (!g_file_get_contents(name, &text, NULL, NULL) || sscanf(text, "%u %128s", &count, noted) != 2)
                return 0;
        return g_strcmp0(noted, fingerprint) == 0 ? MIN(count, CRASHES_POISON) : 0;
}

unsigned
crashes_note(const Crashes *crashes, const char *route, unsigned lane, const char *fingerprint)
{
        g_autofree char *name = hand_name(crashes, route, lane);
        unsigned count = noted_before(name, fingerprint) + 1;
        g_autofree char *text = g_strdup_printf("%u %s\n", count, fingerprint);
        g_autoptr(GError) error = NULL;

        /* By default GLib syncs a file that it replaces: on a busy disk the lane would wait for seconds. */
        if (!g_file_set_contents_full(name, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, &error))
                g_warning("%s", error->message);
        return count;
}

void
crashes_clear(const Crashes *crashes, const char *route, unsigned lane)
{
        g_autofree char *name = hand_name(crashes, route, lane);

        g_unlink(name);
}
