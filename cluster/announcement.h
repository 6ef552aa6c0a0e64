/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/redis_link.h"
#include "conf/conf.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Routers tell each other's operators where to ask them: a key in redis for each (schema/redis.md), with a
 * time to live that its router renews. One thread per link.
 */
typedef struct {
        char *id;      /* unique among the routers of a site: HOST:PORT */
        char *address; /* of HTTP: HOST:PORT, [HOST]:PORT */
} Announcement;

void announcement_free(Announcement *announcement); /* NULL is fine */

/* How the router of this file on this machine is called; just HOST where HTTP is off. New. */
char *announcement_id(const Conf *conf) G_GNUC_WARN_UNUSED_RESULT;

enum { ANNOUNCEMENT_TTL_MS = 15000 };

/*
 * Says that this router is there, and forgets those that are gone. Does nothing where HTTP is off. Opens the
 * link if it is closed.
 */
bool announcement_renew(RedisLink *link, const Conf *conf, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The router ends. */
bool announcement_withdraw(RedisLink *link, const Conf *conf, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Those that are there, sorted by id: an array of Announcement *; NULL if redis does not tell. */
GPtrArray *announcement_list(RedisLink *link, GError **error) G_GNUC_WARN_UNUSED_RESULT;
