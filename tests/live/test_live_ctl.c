/* SPDX-License-Identifier: MIT */
#include "tests/live/operator.h"

#include <glib/gstdio.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* How clusterctl refuses, and how it ends: one line and the right status, and nothing where nothing is wrong.
 */

static const char CONF[] =
    "[DEFAULT]\nstate_dir = %s\n[http]\nlisten = 127.0.0.1:%u\n"
    "[broker]\nurl = amqp://guest:guest@127.0.0.1:%u/%%2f\n[redis]\nurl = redis://127.0.0.1:%u/0\n"
    "[mysql]\nurl = mysql://root@127.0.0.1:%u/test\n"
    "[east]\ncluster_member_ips = e\n[route:volume]\nqueue = volume\n"
    "cluster_from = header:cluster\ndestination = queue:{queue}.{cluster}\n";

/* A configuration whose servers are all away, at one port. */
typedef struct {
        char *path;
        uint16_t port;
} World;

static void
world_init(World *world)
{
        world->port = live_free_port();
        g_autofree char *text =
            g_strdup_printf(CONF, g_get_tmp_dir(), world->port, world->port, world->port, world->port);

        world->path = live_write_file("away.conf", text);
}

static void
world_clear(World *world)
{
        live_remove_file(world->path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

/* Runs it with these words, separated by blanks; what it says on stderr is the caller's. */
static char *
run_line(const World *world, const char *line, int *out_status)
{
        g_auto(GStrv) words = g_strsplit(line, " ", -1);
        g_autoptr(GPtrArray) argv = g_ptr_array_new();
        g_autofree char *out = NULL;
        char *errors = NULL;

        g_ptr_array_add(argv, (gpointer) "clusterctl");
        g_ptr_array_add(argv, (gpointer) "-c");
        g_ptr_array_add(argv, world->path);
        for (char **word = words; *word; word++)
                if (**word)
                        g_ptr_array_add(argv, *word);
        g_ptr_array_add(argv, NULL);
        *out_status = program_run((const char *const *)argv->pdata, &out, &errors);
        return errors;
}

/* ---- wrong lines ---- */

static const char *const wrong_lines[] = {
    "",
    "nonsense",
    "status --nonsense",
    "status east",
    "status -o yaml",
    "stats a b",
    "stats --since",
    "stats --since yesterday",
    "stats --since 1s",
    "stats --since=",
    "stats --all=yes",
    "top --sort colour --once",
    "top --every 1 --once",
    "top --every 5parsecs --once",
    "top",
    "top -ojson",
    "route",
    "route show",
    "route list east",
    "explain",
    "explain a b",
    "explain --route volume",
    "explain --queue q --peek none",
    "explain --queue q --peek -1",
    "explain --peek 5",
    "dead list --limit many",
    "dead list --older 5",
    "dead list --to router",
    "dead show",
    "dead replay --rate fast",
    "dead replay --rate 0/s",
    "dead replay --to elsewhere",
    "dead purge --yse",
    "parked list --wait",
    "cluster drain east",
    "cluster drain",
    "cluster drain east --reason x --timeout soon",
    "cluster create",
    "cluster show east west",
    "host add east",
    "host drain east e1",
    "host list a b",
    "db",
    "db sync now",
    "config check a b",
    "config check --against",
    "config show --against-running",
    "doctor east",
    "doctor --consumer-timeout long",
    "doctor --policies",
};

static void
test_wrong_lines_get_one_line_and_64(void)
{
        g_auto(World) world = {0};

        world_init(&world);
        for (size_t i = 0; i < G_N_ELEMENTS(wrong_lines); i++) {
                int status;
                g_autofree char *said = run_line(&world, wrong_lines[i], &status);
                const char *end = strchr(said, '\n');

                if (status != 64 || !g_str_has_prefix(said, "clusterctl: ") || end == NULL || end[1] != '\0')
                        g_error("clusterctl %s: status %d: %s", wrong_lines[i], status, said);
        }
}

/* ---- servers that are away ---- */

static const struct {
        const char *line;
        const char *tried;
} away_lines[] = {
    {"status", "http://127.0.0.1:"},
    {"stats", "http://127.0.0.1:"},
    {"stats --since 1h", "mysql://root@127.0.0.1:"},
    {"top --once", "http://127.0.0.1:"},
    {"route list", "http://127.0.0.1:"},
    {"explain --queue volume", "amqp://guest:***@127.0.0.1:"},
    {"dead list", "amqp://guest:***@127.0.0.1:"},
    {"dead show 1234", "amqp://guest:***@127.0.0.1:"},
    {"dead replay", "amqp://guest:***@127.0.0.1:"},
    {"dead purge --yes", "amqp://guest:***@127.0.0.1:"},
    {"parked list", "amqp://guest:***@127.0.0.1:"},
    {"cluster list", "mysql://root@127.0.0.1:"},
    {"cluster create north", "mysql://root@127.0.0.1:"},
    {"cluster delete north", "mysql://root@127.0.0.1:"},
    {"cluster drain east --reason x", "mysql://root@127.0.0.1:"},
    {"cluster resume east", "mysql://root@127.0.0.1:"},
    {"host list", "redis://127.0.0.1:"},
    {"host add east e2", "redis://127.0.0.1:"},
    {"host remove east e2", "redis://127.0.0.1:"},
    {"host drain east e --reason x", "mysql://root@127.0.0.1:"},
    {"host resume east e", "mysql://root@127.0.0.1:"},
    {"db sync", "mysql://root@127.0.0.1:"},
    {"db version", "mysql://root@127.0.0.1:"},
    {"config check --against-running", "http://127.0.0.1:"},
};

static void
test_server_that_is_away_is_named_with_69(void)
{
        g_auto(World) world = {0};

        world_init(&world);
        for (size_t i = 0; i < G_N_ELEMENTS(away_lines); i++) {
                int status;
                g_autofree char *said = run_line(&world, away_lines[i].line, &status);
                g_autofree char *tried = g_strdup_printf("%s%u", away_lines[i].tried, world.port);

                if (status != 69 || strstr(said, tried) == NULL)
                        g_error("clusterctl %s: status %d, wanted %s: %s", away_lines[i].line, status, tried,
                                said);
        }
}

/* ---- quiet ends ---- */

/* Starts it with a stdout of our own; its stderr goes to the file @errors. */
static pid_t
start(const World *world, int out, const char *errors, const char *const *words)
{
        const char *argv[12] = {"clusterctl", "-c", world->path};
        unsigned count = 3;

        while (*words)
                argv[count++] = *words++;

        pid_t pid = fork();

        if (pid == 0) {
                signal(SIGPIPE, SIG_DFL); /* as a shell leaves it */
                if (dup2(out, STDOUT_FILENO) >= 0 && freopen(errors, "w", stderr))
                        execvp(argv[0], (char **)argv);
                _exit(127);
        }
        g_assert_cmpint(pid, >, 0);
        return pid;
}

/* Its status, 128 + N after signal N; it must have said nothing. */
static int
end_quietly(pid_t pid, const char *errors)
{
        g_autofree char *said = NULL;
        int status;

        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_true(g_file_get_contents(errors, &said, NULL, NULL));
        g_assert_cmpstr(said, ==, "");
        g_remove(errors);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void
test_broken_pipe_is_quiet(void)
{
        static const char *const lines[][4] = {{"config", "show"}, {"--help"}, {"config", "show", "-ojson"}};
        g_auto(World) world = {0};

        world_init(&world);
        for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
                g_autofree char *errors = g_strconcat(world.path, ".errors", NULL);
                int ends[2];

                g_assert_cmpint(pipe(ends), ==, 0);
                close(ends[0]); /* `| head` has read enough */

                pid_t pid = start(&world, ends[1], errors, lines[i]);

                close(ends[1]);
                g_assert_cmpint(end_quietly(pid, errors), ==, 0);
        }
}

/* A router that never answers, so that a question hangs. */
static int
listen_in_silence(uint16_t port)
{
        struct sockaddr_in address = {
            .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
        g_assert_cmpint(listen(fd, 8), ==, 0);
        return fd;
}

static void
test_ctrl_c_is_quiet(void)
{
        static const char *const lines[][4] = {
            {"status"}, {"stats", "-ojson"}, {"top", "--once"}, {"dead", "list"}};
        g_auto(World) world = {0};

        world_init(&world);
        int silent = listen_in_silence(world.port);

        for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
                g_autofree char *errors = g_strconcat(world.path, ".errors", NULL);
                pid_t pid = start(&world, STDERR_FILENO, errors, lines[i]);
                int asked = accept4(silent, NULL, NULL, SOCK_CLOEXEC); /* it is waiting for an answer now */

                kill(pid, SIGINT);
                g_assert_cmpint(end_quietly(pid, errors), ==, 130);
                close(asked);
        }
        close(silent);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ctl/wrong-lines-get-one-line-and-64", test_wrong_lines_get_one_line_and_64);
        g_test_add_func("/ctl/server-that-is-away-is-named-with-69",
                        test_server_that_is_away_is_named_with_69);
        g_test_add_func("/ctl/broken-pipe-is-quiet", test_broken_pipe_is_quiet);
        g_test_add_func("/ctl/ctrl-c-is-quiet", test_ctrl_c_is_quiet);
        return g_test_run();
}
