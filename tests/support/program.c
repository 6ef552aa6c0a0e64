/* SPDX-License-Identifier: MIT */
#include "tests/support/program.h"

#include "tests/support/live.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * The log is a file, not a pipe: a program never blocks on a test that does not read, and a test that fails
 * can show everything. The file has no name, so that nothing is left of it. Lines are found by reading the
 * file again from the place where the last search ended.
 */

struct Program {
        char *name;
        GPid pid;
        bool ended;
        int wait_status; /* as by waitpid(), once ended */
        int log_fd;
        size_t searched; /* bytes of the log that program_wait_line() has passed */
};

static void
die_with_test(gpointer user_data)
{
        prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* What to run: a program of ours behind the words of PROGRAM_WRAPPER, by which scripts/test puts it under
 * valgrind. */
static char **
wrapped(const char *const *argv)
{
        const char *wrapper = g_getenv("PROGRAM_WRAPPER");
        g_autoptr(GStrvBuilder) words = g_strv_builder_new();
        g_auto(GStrv) before = NULL;

        if (wrapper != NULL && g_str_has_prefix(argv[0], "cluster-") &&
            g_shell_parse_argv(wrapper, NULL, &before, NULL))
                g_strv_builder_addv(words, (const char **)before);
        g_strv_builder_addv(words, (const char **)argv);
        return g_strv_builder_end(words);
}

Program *
program_start(const char *const *argv)
{
        g_autoptr(GError) error = NULL;
        g_autofree char *path = NULL;
        g_auto(GStrv) words = wrapped(argv);
        Program *program = g_new0(Program, 1);

        program->log_fd = g_file_open_tmp("cluster-router-log-XXXXXX", &path, &error);
        g_assert_no_error(error);
        g_unlink(path);
        /* Appending, so that the program's two descriptors of one file do not overwrite each other. */
        fcntl(program->log_fd, F_SETFL, O_APPEND);
        program->name = g_path_get_basename(argv[0]);
        g_spawn_async_with_pipes_and_fds(NULL, (const char *const *)words, NULL,
                                         G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_SEARCH_PATH, die_with_test, NULL,
                                         -1, program->log_fd, program->log_fd, NULL, NULL, 0, &program->pid,
                                         NULL, NULL, NULL, &error);
        g_assert_no_error(error);
        return program;
}

pid_t
program_pid(const Program *program)
{
        return program->pid;
}

bool
program_is_running(Program *program)
{
        if (!program->ended && waitpid(program->pid, &program->wait_status, WNOHANG) == program->pid)
                program->ended = true;
        return !program->ended;
}

void
program_free(Program *program)
{
        if (program == NULL)
                return;
        if (program_is_running(program)) {
                kill(program->pid, SIGKILL);
                waitpid(program->pid, &program->wait_status, 0);
        }
        close(program->log_fd);
        g_free(program->name);
        g_free(program);
}

char *
program_log(const Program *program)
{
        struct stat status;
        ssize_t length;
        char *text = NULL;

        g_assert_no_errno(fstat(program->log_fd, &status));
        text = g_malloc0((size_t)status.st_size + 1);
        length = pread(program->log_fd, text, (size_t)status.st_size, 0);
        g_assert_cmpint(length, ==, status.st_size);
        return text;
}

G_NORETURN static void
fail_with_log(const Program *program, const char *what)
{
        g_autofree char *log = program_log(program);
        size_t length = strlen(log);

        g_error("%s %s; the end of its log:\n%s", program->name, what,
                log + (length > 4000 ? length - 4000 : 0));
}

typedef struct {
        Program *program;
        const char *text;
} LineWait;

/* Also true when the program has ended: there is nothing left to wait for. */
static bool
found_line(void *data)
{
        LineWait *wait = data;
        bool running = program_is_running(wait->program); /* before reading: the last line is not missed */
        g_autofree char *log = program_log(wait->program);
        const char *found = strstr(log + wait->program->searched, wait->text);

        if (found != NULL)
                wait->program->searched = (size_t)(found - log) + strlen(wait->text);
        if (found == NULL && !running)
                fail_with_log(wait->program, "ended before it logged what the test waits for");
        return found != NULL;
}

void
program_wait_line(Program *program, const char *text, int64_t deadline_ms)
{
        LineWait wait = {program, text};

        if (!live_wait(deadline_ms, found_line, &wait)) {
                g_autofree char *what = g_strdup_printf("did not log \"%s\" in time", text);

                fail_with_log(program, what);
        }
}

void
program_signal(Program *program, int signal_number)
{
        if (!program_is_running(program))
                fail_with_log(program, "ended before the test could signal it");
        kill(program->pid, signal_number);
}

static bool
has_ended(void *data)
{
        return !program_is_running(data);
}

static int
exit_status(int wait_status)
{
        return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

int
program_wait_exit(Program *program, int64_t deadline_ms)
{
        if (!live_wait(deadline_ms, has_ended, program))
                fail_with_log(program, "did not end in time");
        return exit_status(program->wait_status);
}

int
program_run(const char *const *argv, char **out_stdout, char **out_stderr)
{
        g_autoptr(GError) error = NULL;
        int wait_status = 0;

        g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, die_with_test, NULL, out_stdout,
                     out_stderr, &wait_status, &error);
        g_assert_no_error(error);
        return exit_status(wait_status);
}
