/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/view.h"

#include <glib.h>
#include <stdbool.h>

/*
 * The last good view on disk, so that a router that starts while redis or MySQL is away routes as before. A
 * key file, replaced as a whole and readable by its owner alone. Aliases are not kept: they are in the
 * configuration.
 */

/* The text of the file: two equal views have equal texts. @run_id: the redis process that was asked. */
char *saved_view_format(const View *view, const char *run_id) G_GNUC_WARN_UNUSED_RESULT;

/* Makes the directory if it is missing. */
bool saved_view_write(const char *path, const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* NULL if there is no file, or none that can be used; the former without an error. */
View *saved_view_read(const char *path, char **out_run_id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
