/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf_fault.h"

#include <stddef.h>

enum { CONF_FILE_MAX_BYTES = 16 * 1024 * 1024 };

/*
 * Reads a whole file; new, with a NUL behind its *out_length bytes. NULL after adding an error to @faults. A
 * regular file that everyone may read sets *out_is_public.
 */
char *conf_read_file(ConfFaults *faults, size_t *out_length, bool *out_is_public) G_GNUC_WARN_UNUSED_RESULT;

/* Parts text into groups and keys. Gives what it could understand; the rest is in @faults. Never NULL. */
ConfText *conf_read_text(ConfFaults *faults, const char *bytes, size_t length) G_GNUC_WARN_UNUSED_RESULT;
