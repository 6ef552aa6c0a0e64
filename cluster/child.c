/* SPDX-License-Identifier: MIT */

/*
 * Signals are not handled but waited for: they are blocked in every thread and taken one by one, so nothing
 * runs at a moment of its own choosing. A pipe that closes on exec tells whether the command could be run.
 */
#include "cluster/child.h"
#include "conf/trouble.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const int PASSED_ON[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGALRM};

void
child_signals(sigset_t *out_set)
{
        sigemptyset(out_set);
        sigaddset(out_set, SIGCHLD);
        for (size_t i = 0; i < G_N_ELEMENTS(PASSED_ON); i++)
                sigaddset(out_set, PASSED_ON[i]);
}

/* As a shell would start it; ignored signals and the mask are inherited through exec. */
static void
reset_signals(void)
{
        sigset_t none;
        sigemptyset(&none);
        signal(SIGPIPE, SIG_DFL);
        sigprocmask(SIG_SETMASK, &none, NULL);
}

static int
exec_status(int code)
{
        return code == ENOENT || code == ENOTDIR ? CHILD_NOT_FOUND : CHILD_CANNOT_RUN;
}

static int
set_exec_error(const char *command, int code, GError **error)
{
        g_set_error(error, TROUBLE, TROUBLE_OUTSIDE, "cannot run \"%s\": %s", command, g_strerror(code));
        return exec_status(code);
}

int
child_replace_us(char **argv, GError **error)
{
        reset_signals();
        execvp(argv[0], argv);
        return set_exec_error(argv[0], errno, error);
}

/* In the child. */
G_NORETURN static void
run(char **argv, pid_t parent, int report)
{
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
                _exit(EXIT_FAILURE); /* it died before the line above */
        reset_signals();
        execvp(argv[0], argv);
        int code = errno;
        if (write(report, &code, sizeof code) < 0)
                _exit(CHILD_CANNOT_RUN);
        _exit(exec_status(code));
}

/* 0 once the child runs its command, else why it could not. */
static int
read_report(int report)
{
        int code = 0;
        ssize_t got;
        do {
                got = read(report, &code, sizeof code);
        } while (got < 0 && errno == EINTR);
        return got == sizeof code ? code : 0;
}

pid_t
child_start(char **argv, int *out_status, GError **error)
{
        int report[2];
        pid_t parent = getpid();
        pid_t pid = -1;
        if (pipe2(report, O_CLOEXEC) == 0) {
                pid = fork();
                if (pid == 0)
                        run(argv, parent, report[1]);
                close(report[1]);
        }
        if (pid < 0) {
                *out_status = set_exec_error(argv[0], errno, error);
                return -1;
        }
        int code = read_report(report[0]);
        close(report[0]);
        if (code == 0)
                return pid;
        waitpid(pid, NULL, 0);
        *out_status = set_exec_error(argv[0], code, error);
        return -1;
}

static bool
has_ended(pid_t pid, int *out_status)
{
        int status;
        if (waitpid(pid, &status, WNOHANG) != pid)
                return false;
        *out_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        return true;
}

int
child_wait(pid_t pid)
{
        sigset_t set;
        int status;
        child_signals(&set);
        while (!has_ended(pid, &status)) {
                siginfo_t info;
                int number = sigwaitinfo(&set, &info);
                /* What the kernel sends, such as Ctrl-C at a terminal, the child has got from there too. */
                if (number > 0 && number != SIGCHLD && info.si_code != SI_KERNEL)
                        kill(pid, number);
        }
        return status;
}
