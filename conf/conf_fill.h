/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"
#include "conf/conf_fault.h"
#include "conf/conf_table.h"

/*
 * One group of the file becomes fields of a struct, as the table says: each key that stands there, and the
 * standard value of each that does not. What is wrong goes to @faults, and the field stays as it was.
 *
 * @group may be NULL: then all values are standard. @target is a Conf, ConfCluster or ConfRoute.
 */
void conf_fill(ConfFaults *faults, ConfText *text, ConfGroupKind kind, const ConfGroup *group, void *target);
