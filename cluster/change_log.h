/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/view.h"

#include <glib.h>
#include <stdbool.h>

/*
 * What the registry tells people: changes, not states. A warning is logged when it appears and not again
 * while it stays; clusters are logged when they go up or down; and all lines together are limited, so that
 * what flaps does not flood the log. One thread.
 */
typedef struct ChangeLog ChangeLog;

ChangeLog *change_log_new(void);
void change_log_free(ChangeLog *log); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ChangeLog, change_log_free)

/* One line, if the limit allows; about @cluster, unless that is NULL. */
void change_log_line(ChangeLog *log, const char *cluster, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* @warnings (of char *): all that hold now, from one @origin; logs those that did not hold the last time. */
void change_log_warnings(ChangeLog *log, const char *origin, GPtrArray *warnings);

/* Which clusters came, went, rose or fell between two views; @before is NULL for the first. */
void change_log_views(ChangeLog *log, const View *before, const View *after);
