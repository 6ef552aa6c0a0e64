/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"
#include "conf/conf_fault.h"

/*
 * Makes the parts of @conf from its text: finds out what each group is and fills a cluster or route from it.
 * What is wrong goes to @faults. False if some group may have been meant as a cluster, but is none.
 */
bool conf_build(ConfFaults *faults, Conf *conf);

void conf_cluster_free(ConfCluster *cluster); /* both: NULL is fine */
void conf_route_free(ConfRoute *route);
void conf_tls_clear(ConfTls *tls);
