/* SPDX-License-Identifier: MIT */
#include "cluster/saved_view.h"
#include "conf/name.h"
#include "router/crashes.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * Any bytes as the files that a router finds in its state_dir: the view of its last run, and the message that
 * was in hand. A view that comes out holds legal names only, and is the same when it is written and read
 * again.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static View *
read_view(const void *bytes, size_t length)
{
        int fd = memfd_create("view", MFD_CLOEXEC);
        g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
        g_autofree char *run_id = NULL;

        g_assert_cmpint(write(fd, bytes, length), ==, (gssize)length);

        View *view = saved_view_read(path, &run_id, NULL);

        close(fd);
        g_assert_true(!view || run_id);
        return view;
}

static void
check_view(const View *view)
{
        for (unsigned i = 0; i < view->clusters->len; i++) {
                const ViewCluster *cluster = g_ptr_array_index(view->clusters, i);

                g_assert_true(name_is_cluster(cluster->name, strlen(cluster->name)));
                for (unsigned h = 0; h < cluster->hosts->len; h++) {
                        const ViewHost *host = g_ptr_array_index(cluster->hosts, h);

                        g_assert_true(name_is_host(host->name, strlen(host->name)));
                }
        }
}

static void
try_view(const uint8_t *data, size_t size)
{
        g_autoptr(View) view = read_view(data, size);

        if (!view)
                return;
        check_view(view);

        g_autofree char *text = saved_view_format(view, "run");
        g_autoptr(View) again = read_view(text, strlen(text));
        g_autofree char *same = again ? saved_view_format(again, "run") : NULL;

        g_assert_cmpstr(text, ==, same);
}

/* Whatever the file says, the message was in hand at this crash at least; a router beside it has files of its
 * own. */
static void
try_crash(const uint8_t *data, size_t size)
{
        g_autofree char *folder = g_dir_make_tmp("fuzz-state-XXXXXX", NULL);
        g_autofree char *lock = g_build_filename(folder, "0.lock", NULL);
        g_autofree char *hand = g_build_filename(folder, "0.route.0.hand", NULL);
        g_autofree char *second_lock = g_build_filename(folder, "1.lock", NULL);
        Crashes *crashes = crashes_open(folder, NULL);
        Crashes *second = crashes_open(folder, NULL);
        FILE *file = fopen(hand, "w");

        fwrite(data, 1, size, file);
        fclose(file);
        g_assert_cmpuint(crashes_note(crashes, "route", 0, "fingerprint"), >=, 1);
        g_assert_cmpuint(crashes_note(second, "route", 0, "fingerprint"), ==, 1);
        g_assert_false(crashes_was_one(crashes));
        g_assert_null(crashes_open(hand, NULL));
        crashes_clear(crashes, "route", 0);
        crashes_clear(second, "route", 0);
        crashes_close(crashes);
        crashes_close(second);
        g_unlink(lock);
        g_unlink(second_lock);
        g_rmdir(folder);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size > 0 && data[0] == '[')
                try_view(data, size);
        else
                try_crash(data, size);
        return 0;
}
