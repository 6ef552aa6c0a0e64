/* SPDX-License-Identifier: MIT */
#include "cluster/redis_link.h"
#include "tests/live/operator.h"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* clusterctl top: several routers in one picture, and terminals of any size. */

enum { DEADLINE_MS = 20000 };

static const char ROUTE[] = "[redis]\nurl = %s\npoll = 100ms\n[east]\ncluster_member_ips = e\n"
                            "[route:shared]\nqueue = %s\ncluster_from = header:cluster\n"
                            "destination = queue:{queue}.{cluster}\n";

/* A redis database that no other test uses, so that no other test's routers are in it. */
static char *
own_redis(void)
{
        const char *url = live_env("REDIS_URL");

        if (url == NULL)
                return NULL;
        g_autofree char *own = g_strdup_printf("%.*s/7", (int)(strrchr(url, '/') - url), url);
        g_autoptr(GError) error = NULL;
        g_autoptr(RedisLink) link = redis_link_new(own, 2000, &error);

        g_assert_true(redis_link_open(link, &error));
        redis_link_send(link, "FLUSHDB");
        g_autoptr(redisReply) reply = redis_link_receive(link, &error);
        g_assert_no_error(error);
        return g_steal_pointer(&own);
}

typedef struct {
        Stage *stage;
        size_t routers;
        json_t *document; /* the last */
        char *said;
} Wanted;

static void
wanted_clear(Wanted *wanted)
{
        json_decref(wanted->document);
        g_free(wanted->said);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Wanted, wanted_clear)

/* Asks until there are that many. */
static bool
shows_routers(void *data)
{
        static const char *const argv_rest[] = {"top", "--once", "--every", "200ms", "-ojson"};
        Wanted *wanted = data;
        const char *argv[] = {"clusterctl", "-c",         wanted->stage->conf_path,
                              argv_rest[0], argv_rest[1], argv_rest[2],
                              argv_rest[3], argv_rest[4], NULL};
        char *out = NULL;

        g_free(wanted->said);
        wanted->said = NULL;
        json_decref(wanted->document);
        program_run(argv, &out, &wanted->said);
        wanted->document = json_loads(out, 0, NULL);
        g_free(out);
        return json_array_size(json_object_get(wanted->document, "routers")) == wanted->routers;
}

static void
wait_for_routers(Wanted *wanted, size_t routers)
{
        wanted->routers = routers;
        if (!live_wait(DEADLINE_MS, shows_routers, wanted))
                g_error("not %zu routers: %s", routers, wanted->said);
}

static void
test_routers_are_one_picture(void)
{
        g_autofree char *redis = own_redis();
        g_autoptr(Stage) one = redis ? stage_new("top-one") : NULL;
        g_autoptr(Stage) two = one ? stage_new("top-two") : NULL;

        if (two == NULL)
                return;
        g_autofree char *conf = g_strdup_printf(ROUTE, redis, one->name);
        g_auto(Wanted) both = {.stage = one};

        stage_run(one, conf);
        stage_run(two, conf);
        wait_for_routers(&both, 2);

        const json_t *row = json_array_get(json_object_get(both.document, "rows"), 0);

        g_assert_cmpstr(both.said, ==, "");
        g_assert_cmpuint(json_array_size(json_object_get(both.document, "rows")), ==, 2);
        g_assert_true(json_is_null(json_object_get(row, "router")));

        g_autofree char *each = RUN_CTL(one, 0, "top", "--once", "--every", "200ms", "--each-router");
        g_autofree char *first = g_strdup_printf(":%u ", one->http_port);
        g_autofree char *second = g_strdup_printf(":%u ", two->http_port);

        g_assert_nonnull(strstr(each, first));
        g_assert_nonnull(strstr(each, second));

        stage_stop(two); /* in order: it withdraws */
        wait_for_routers(&both, 1);
        stage_kill(one); /* one that dies is named, with status 69 */
        g_autofree char *dead = RUN_CTL(one, 69, "top", "--once", "--every", "200ms");
        g_assert_nonnull(strstr(dead, "no router answers at http://127.0.0.1:"));
}

/* ---- terminals ---- */

static void
resize(int terminal, unsigned short columns, unsigned short lines)
{
        struct winsize size = {.ws_col = columns, .ws_row = lines};

        g_assert_cmpint(ioctl(terminal, TIOCSWINSZ, &size), ==, 0);
}

static pid_t
start_top(const Stage *stage, int *out_terminal)
{
        struct winsize size = {.ws_col = 12, .ws_row = 8};
        pid_t pid = forkpty(out_terminal, NULL, NULL, &size);

        if (pid == 0) {
                execlp("clusterctl", "clusterctl", "-c", stage->conf_path, "top", "--every", "100ms", NULL);
                _exit(127);
        }
        g_assert_cmpint(pid, >, 0);
        return pid;
}

/* -1: nothing came for long. */
static ssize_t
read_some(int terminal, char *bytes, size_t size)
{
        struct pollfd fd = {.fd = terminal, .events = POLLIN};

        if (poll(&fd, 1, DEADLINE_MS) <= 0)
                return -1;

        ssize_t count = read(terminal, bytes, size);

        return count > 0 ? count : 0; /* the end of a terminal is an error */
}

/* Reads until that text has come, NULL: until the program has ended. */
static void
read_until(int terminal, const char *text, GString *seen)
{
        char bytes[4096];
        ssize_t count;

        while ((text == NULL || strstr(seen->str, text) == NULL) &&
               (count = read_some(terminal, bytes, sizeof(bytes))) != 0) {
                if (count < 0)
                        g_error("no \"%s\" in: %s", text ? text : "end", seen->str);
                g_string_append_len(seen, bytes, count);
        }
        if (text && strstr(seen->str, text) == NULL)
                g_error("ended without \"%s\": %s", text, seen->str);
}

static void
try_terminal(const Stage *stage, char key)
{
        g_autoptr(GString) seen = g_string_new(NULL);
        int terminal, status;
        pid_t pid = start_top(stage, &terminal);

        read_until(terminal, "ROUTE", seen);
        for (unsigned short lines = 4; lines > 0; lines--) {
                g_string_truncate(seen, 0);
                resize(terminal, lines, lines);
                read_until(terminal, "\033[J", seen);
        }
        resize(terminal, 200, 50);
        g_string_truncate(seen, 0);
        read_until(terminal, "IN FLIGHT", seen);
        g_assert_cmpint(write(terminal, &key, 1), ==, 1);
        g_string_truncate(seen, 0);
        read_until(terminal, NULL, seen);
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        g_assert_nonnull(strstr(seen->str, "\033[?1049l")); /* the screen is given back */
        g_assert_null(strstr(seen->str, "clusterctl:"));
        close(terminal);
}

static void
test_any_terminal_will_do_and_keys_end_it_quietly(void)
{
        g_autoptr(Stage) stage = stage_new("top-terminal");

        if (stage == NULL)
                return;
        stage_run(stage, "[east]\ncluster_member_ips = e\n[route:$N]\nqueue = $N\n"
                         "cluster_from = header:cluster\ndestination = queue:{queue}.{cluster}\n");
        try_terminal(stage, 'q');
        try_terminal(stage, 3); /* Ctrl-C */
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/top/routers-are-one-picture", test_routers_are_one_picture);
        g_test_add_func("/top/any-terminal-will-do-and-keys-end-it-quietly",
                        test_any_terminal_will_do_and_keys_end_it_quietly);
        return g_test_run();
}
