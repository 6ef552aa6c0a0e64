/* SPDX-License-Identifier: MIT */

/* A write that hangs on a peer which reads nothing is freed; a working connection is left alone. */

#include "router/watchdog.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SILENCE_MS = 600 };

typedef struct {
        int listener;
        int writer;
        int reader;
} Pair;

/* Over TCP, since that is what TCP_INFO tells of. */
static Pair
connect_pair(void)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof(address);
        Pair pair = {.listener = socket(AF_INET, SOCK_STREAM, 0), .writer = socket(AF_INET, SOCK_STREAM, 0)};

        g_assert_cmpint(bind(pair.listener, (struct sockaddr *)&address, length), ==, 0);
        g_assert_cmpint(listen(pair.listener, 1), ==, 0);
        g_assert_cmpint(getsockname(pair.listener, (struct sockaddr *)&address, &length), ==, 0);
        g_assert_cmpint(connect(pair.writer, (struct sockaddr *)&address, length), ==, 0);
        pair.reader = accept(pair.listener, NULL, NULL);
        g_assert_cmpint(pair.reader, >=, 0);
        return pair;
}

static void
close_pair(Pair pair)
{
        close(pair.listener);
        close(pair.writer);
        close(pair.reader);
}

/* Writes until the socket takes no more: true if a write came back with an error. */
static bool
write_until_error(Guard *guard, int fd, int64_t deadline_us)
{
        static const char block[65536];

        while (g_get_monotonic_time() < deadline_us) {
                guard_step(guard);

                ssize_t written = send(fd, block, sizeof(block), MSG_NOSIGNAL);

                guard_step(guard);
                if (written < 0)
                        return true;
        }
        return false;
}

/* Not g_test_expect_message(): the watchdog warns in its own thread. */
static void
count_warning(const gchar *domain, GLogLevelFlags level, const gchar *message, gpointer count)
{
        g_assert_nonnull(strstr(message, "taken nothing"));
        g_atomic_int_inc((gint *)count);
}

static void
test_hanging_write_is_freed(void)
{
        gint warnings = 0;
        GLogLevelFlags fatal = g_log_set_always_fatal(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
        unsigned handler = g_log_set_handler(NULL, G_LOG_LEVEL_WARNING, count_warning, &warnings);
        Pair pair = connect_pair();
        g_autoptr(Watchdog) watchdog = watchdog_new();
        Guard *guard = watchdog_guard(watchdog, pair.writer, SILENCE_MS, 60000);

        g_assert_true(write_until_error(guard, pair.writer, g_get_monotonic_time() + 20 * G_USEC_PER_SEC));
        watchdog_release(watchdog, guard);
        g_log_remove_handler(NULL, handler);
        g_log_set_always_fatal(fatal);
        g_assert_cmpint(g_atomic_int_get(&warnings), ==, 1);
        close_pair(pair);
}

static void *
read_all(void *data)
{
        char block[65536];

        while (recv(GPOINTER_TO_INT(data), block, sizeof(block), 0) > 0)
                continue;
        return NULL;
}

static void
test_working_connection_is_left_alone(void)
{
        Pair pair = connect_pair();
        g_autoptr(Watchdog) watchdog = watchdog_new();
        Guard *guard = watchdog_guard(watchdog, pair.writer, SILENCE_MS, SILENCE_MS);
        GThread *reader = g_thread_new("reader", read_all, GINT_TO_POINTER(pair.reader));

        g_assert_false(write_until_error(guard, pair.writer, g_get_monotonic_time() + 2 * SILENCE_MS * 1000));
        watchdog_release(watchdog, guard);
        shutdown(pair.writer, SHUT_RDWR);
        g_thread_join(reader);
        close_pair(pair);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/watchdog/a_hanging_write_is_freed", test_hanging_write_is_freed);
        g_test_add_func("/watchdog/a_working_connection_is_left_alone",
                        test_working_connection_is_left_alone);
        return g_test_run();
}
