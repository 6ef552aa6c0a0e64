/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A program of this project, run by a test: its log is kept and can be waited for, and it dies with the test.
 *
 * argv[0] is looked up in PATH, where tests/live/meson.build puts the programs just built. Start programs
 * from the main thread: the kernel ends them together with the thread that started them.
 */
typedef struct Program Program;

/* Starts it; its stdout and stderr both go to the log. @argv ends with NULL. */
Program *program_start(const char *const *argv) G_GNUC_WARN_UNUSED_RESULT;

/* Kills it if it still runs, removes its log. NULL is fine. */
void program_free(Program *program);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Program, program_free)

pid_t program_pid(const Program *program);
bool program_is_running(Program *program);

/* All it logged so far; the caller's. */
char *program_log(const Program *program) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Waits until a line that holds @text appears behind those that earlier calls found. Aborts the test, showing
 * the end of the log, if the program ends or @deadline_ms passes before.
 */
void program_wait_line(Program *program, const char *text, int64_t deadline_ms);

void program_signal(Program *program, int signal_number);

/*
 * Waits for its end; returns the exit status, or 128 + N if signal N ended it. Aborts the test after
 * @deadline_ms.
 */
int program_wait_exit(Program *program, int64_t deadline_ms);

/* Runs a program to its end; returns as program_wait_exit(). The outputs may be NULL, else g_free them. */
int program_run(const char *const *argv, char **out_stdout, char **out_stderr);
