/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"
#include "conf/conf_fault.h"

/* Adds an error for every route whose messages would come back to a queue that some route consumes. */
void conf_loop_check(ConfFaults *faults, const Conf *conf);
