/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"

#include <glib.h>

/*
 * How the program writes its log from now on: lines for people, which GLib sends to the journal with their
 * fields if stderr is the journal, or one JSON object per line on stderr. Once per program.
 */
void log_format_use(ConfLogFormat format);
