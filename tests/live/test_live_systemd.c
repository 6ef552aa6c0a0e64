/* SPDX-License-Identifier: MIT */
#include "tests/support/live.h"
#include "tests/support/stage.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * What systemd is told, with a socket of our own in its place. A hanging lane is one whose thread is held by
 * ptrace while all others run.
 */

#define CONF                                                                                                 \
        "heartbeat = 1s\nhold_time = 500ms\n[east]\ncluster_member_ips = e\n[route:$N]\nqueue = $N\n"        \
        "destination = queue:{queue}.{cluster}\ncluster_from = header:cluster\n"

/* 50 ms between two feedings; with the heartbeats above the router asks for 4 s. */
#define WATCHDOG_USEC "400000"

enum { DEADLINE_MS = 30000 };

typedef struct {
        char *directory;
        char *path;
        int fd;
        Stage *stage;
} World;

/* @watchdog_usec: what the unit asks for, NULL: no watchdog. A socket that nobody reads takes ten datagrams.
 */
static bool
world_init(World *world, const char *name, const char *watchdog_usec)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        g_autoptr(GError) error = NULL;

        *world = (World){.fd = -1, .stage = stage_new(name)};
        if (world->stage == NULL)
                return false;
        world->directory = g_dir_make_tmp("cluster-router-notify-XXXXXX", &error);
        g_assert_no_error(error);
        world->path = g_build_filename(world->directory, "notify", NULL);
        g_strlcpy(address.sun_path, world->path, sizeof(address.sun_path));
        world->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        g_assert_no_errno(bind(world->fd, (struct sockaddr *)&address, sizeof(address)));
        g_setenv("NOTIFY_SOCKET", world->path, TRUE);
        if (watchdog_usec != NULL)
                g_setenv("WATCHDOG_USEC", watchdog_usec, TRUE);
        stage_configure(world->stage, CONF);
        stage_start(world->stage);
        return true;
}

static void
world_clear(World *world)
{
        stage_free(world->stage);
        close(world->fd);
        g_unlink(world->path);
        g_rmdir(world->directory);
        g_free(world->path);
        g_free(world->directory);
        g_unsetenv("NOTIFY_SOCKET");
        g_unsetenv("WATCHDOG_USEC");
}

static void
take(World *world, char *out_text, size_t size)
{
        struct pollfd entry = {.fd = world->fd, .events = POLLIN};
        ssize_t length;

        g_assert_cmpint(poll(&entry, 1, DEADLINE_MS), ==, 1);
        length = recv(world->fd, out_text, size - 1, 0);
        g_assert_cmpint(length, >, 0);
        out_text[length] = '\0';
}

/* Reads on until a datagram begins with @start, and gives it; returns how many feedings came before it. */
static unsigned
wait_for(World *world, const char *start, char *out_text, size_t size)
{
        unsigned fed = 0;

        for (;;) {
                take(world, out_text, size);
                if (g_str_has_prefix(out_text, start))
                        return fed;
                fed += g_str_has_prefix(out_text, "WATCHDOG=1");
        }
}

static pid_t
find_lane(const World *world)
{
        g_autofree char *tasks = g_strdup_printf("/proc/%d/task", program_pid(world->stage->router));
        g_autoptr(GDir) directory = g_dir_open(tasks, 0, NULL);
        const char *name;

        while ((name = g_dir_read_name(directory)) != NULL) {
                g_autofree char *path = g_build_filename(tasks, name, "comm", NULL);
                g_autofree char *comm = NULL;

                if (g_file_get_contents(path, &comm, NULL, NULL) && strcmp(comm, "lane\n") == 0)
                        return (pid_t)g_ascii_strtoll(name, NULL, 10);
        }
        g_error("no thread of the router is called lane");
}

/* False, the test being marked as skipped, where ptrace is forbidden. */
static bool
hold(pid_t thread)
{
        if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) < 0) {
                g_autofree char *why = g_strdup_printf("ptrace: %s", g_strerror(errno));

                g_test_skip(why);
                return false;
        }
        g_assert_no_errno(ptrace(PTRACE_INTERRUPT, thread, NULL, NULL));
        g_assert_cmpint(waitpid(thread, NULL, __WALL), ==, thread);
        return true;
}

static void
test_lane_that_hangs_is_not_fed(void)
{
        World world;
        char text[512];
        pid_t lane;

        if (!world_init(&world, "hang", WATCHDOG_USEC))
                return;
        for (unsigned i = 0; i < 3; i++)
                wait_for(&world, "WATCHDOG=1", text, sizeof(text));
        lane = find_lane(&world);
        if (hold(lane)) {
                /* What was fed before; from one status to the next there would be 100 feedings. */
                wait_for(&world, "STATUS=", text, sizeof(text));
                g_assert_cmpuint(wait_for(&world, "STATUS=", text, sizeof(text)), ==, 0);
                program_wait_line(world.stage->router, "a lane has stood still", DEADLINE_MS);
                g_assert_no_errno(ptrace(PTRACE_DETACH, lane, NULL, NULL));
                wait_for(&world, "WATCHDOG=1", text, sizeof(text));
                program_wait_line(world.stage->router, "all lanes move again", DEADLINE_MS);
        }
        world_clear(&world);
}

static void
test_patience_covers_what_the_router_waits_for(void)
{
        World world;
        char text[512];

        if (!world_init(&world, "patience", WATCHDOG_USEC))
                return;
        wait_for(&world, "WATCHDOG_USEC=", text, sizeof(text));
        g_assert_cmpstr(text, ==, "WATCHDOG_USEC=4000000");
        world_clear(&world);
}

static void
test_start_reload_and_stop_are_told(void)
{
        World world;
        char text[512];

        if (!world_init(&world, "told", NULL))
                return;
        wait_for(&world, "READY=1", text, sizeof(text));
        stage_reload(world.stage, CONF "prefetch = 7\n");
        wait_for(&world, "RELOADING=1", text, sizeof(text));
        g_assert_nonnull(strstr(text, "MONOTONIC_USEC="));
        wait_for(&world, "READY=1", text, sizeof(text));
        program_signal(world.stage->router, SIGTERM);
        wait_for(&world, "STOPPING=1", text, sizeof(text));
        g_assert_nonnull(strstr(text, "EXTEND_TIMEOUT_USEC=30000000"));
        g_assert_cmpint(program_wait_exit(world.stage->router, DEADLINE_MS), ==, 0);
        world_clear(&world);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/systemd/lane-that-hangs-is-not-fed", test_lane_that_hangs_is_not_fed);
        g_test_add_func("/systemd/patience-covers-what-the-router-waits-for",
                        test_patience_covers_what_the_router_waits_for);
        g_test_add_func("/systemd/start-reload-and-stop-are-told", test_start_reload_and_stop_are_told);
        return g_test_run();
}
