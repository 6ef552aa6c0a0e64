/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * A program run as our child that lives and dies with us: the kernel sends it SIGTERM if we die first. Only
 * from the main thread, since the kernel ties the child to the thread that started it.
 */
enum { CHILD_CANNOT_RUN = 126, CHILD_NOT_FOUND = 127 };

/* Which signals the agent waits for; block them before any thread is made. */
void child_signals(sigset_t *out_set);

/*
 * Starts @argv (NULL-terminated, looked up in PATH) with the usual signal settings. Returns its process id,
 * or -1 with @error and CHILD_CANNOT_RUN or CHILD_NOT_FOUND in @out_status.
 */
pid_t child_start(char **argv, int *out_status, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Passes the signals of child_signals() on to @pid until it ends; returns its exit status, or 128 + N if
 * signal N ended it.
 */
int child_wait(pid_t pid);

/* Becomes @argv; returns only if that fails: CHILD_CANNOT_RUN or CHILD_NOT_FOUND, and @error. */
int child_replace_us(char **argv, GError **error);
