/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"
#include "conf/conf_fault.h"

/*
 * What must hold between keys, once every value is legal by itself. Adds errors, and warnings for what is
 * legal and probably not meant. Fields whose value was refused may be absent in @conf. @clusters_known is
 * false if a group may have been meant as a cluster: then nothing is said that depends on there being none.
 */
void conf_check(ConfFaults *faults, const Conf *conf, bool clusters_known);
