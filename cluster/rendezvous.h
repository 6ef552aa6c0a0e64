/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/view.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Rendezvous hashing: every key has an order of preference over all hosts, and gets the first that is usable.
 * So a host that leaves moves only its own keys, one that returns takes back only those, and all routers
 * agree without a word between them. Pure.
 */

/* The same on every machine and in every version. */
uint64_t rendezvous_hash(const char *bytes, size_t length);

/* The usable host for a key, given as its hash; NULL if no host is usable. */
const ViewHost *rendezvous_pick(const ViewCluster *cluster, uint64_t key);
