/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"
#include "conf/conf_fault.h"

#include <stdbool.h>

/*
 * Passwords, in URLs of the file or in files of their own (password_file). Neither may be in a file that
 * everyone on the machine can read.
 */

/* The conf's URLs, as written, hold a password worth hiding. */
bool conf_holds_secret(const Conf *conf) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Reads the files of password_file into the URLs of their groups, and looks at the permissions of those and
 * of the keys of TLS. What is wrong becomes an error in @faults.
 */
void conf_secret_load(ConfFaults *faults, Conf *conf);
