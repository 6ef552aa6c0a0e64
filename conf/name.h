/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * What a legal name is: the one place that knows. Pure; any thread. Names are (pointer, length), as they come
 * from a wire, and need no terminating NUL.
 */

enum { NAME_MAX_BYTES = 64 };

/*
 * [A-Za-z0-9][A-Za-z0-9._-]{0,63}, no reserved word of the config file in any case (DEFAULT, broker, redis,
 * mysql, http), and not ending in "_up", which would make "X_up" + "_host_num" collide with the redis key of
 * cluster X.
 */
bool name_is_cluster(const char *name, size_t length);

/*
 * The characters of a cluster, but without "_" and with ":" (IPv6), and neither "set" nor "num". No group of
 * the config file is named after a host, so the reserved words are fine: a machine may be called "redis".
 */
bool name_is_host(const char *name, size_t length);

/*
 * The characters of a cluster, without ".parked", which would make the queues of route "X.parked" collide
 * with the parking queues of route X.
 */
bool name_is_route(const char *name, size_t length);

/* Why a name is refused, for people; a constant string. Call only for a name that is refused. */
const char *name_explain_cluster(const char *name, size_t length);
const char *name_explain_host(const char *name, size_t length);
const char *name_explain_route(const char *name, size_t length);
