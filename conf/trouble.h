/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * The error domain for what goes wrong outside this program: a server, a socket, a file, a machine's name.
 * People read the text; no code tells one trouble from another, so there is but one. (GIO has a domain with
 * many, and costs every program here a megabyte of memory.)
 */
#define TROUBLE (trouble_quark())
GQuark trouble_quark(void);
enum { TROUBLE_OUTSIDE };
