/* SPDX-License-Identifier: MIT */
/*
 * As with hosts: a set says who has ever been there, and a key that expires who is. So nobody has to search
 * all keys of a redis that others use too, and nobody compares clocks.
 */
#include "cluster/announcement.h"
#include "conf/trouble.h"

#include <string.h>

#define SET_KEY "cluster-router:routers"
#define KEY_PREFIX "cluster-router:router:"

void
announcement_free(Announcement *announcement)
{
        if (announcement == NULL)
                return;
        g_free(announcement->id);
        g_free(announcement->address);
        g_free(announcement);
}

static char *
join_port(const char *host, uint16_t port)
{
        return g_strdup_printf(strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, port);
}

char *
announcement_id(const Conf *conf)
{
        return conf->http_address != NULL ? join_port(g_get_host_name(), conf->http_port)
                                          : g_strdup(g_get_host_name());
}

/* An address that stands for all of a machine is of no use to others; its name is. */
static char *
reachable_address(const Conf *conf)
{
        bool all = strcmp(conf->http_address, "0.0.0.0") == 0 || strcmp(conf->http_address, "::") == 0;
        return join_port(all ? g_get_host_name() : conf->http_address, conf->http_port);
}

/* A reply of that type; anything else is an error. */
static redisReply *
receive(RedisLink *link, int type, GError **error)
{
        g_autoptr(redisReply) reply = redis_link_receive(link, error);
        if (reply == NULL || reply->type == type)
                return g_steal_pointer(&reply);
        g_set_error(error, TROUBLE, TROUBLE_OUTSIDE, "redis: %s: %s", SET_KEY,
                    reply->type == REDIS_REPLY_ERROR ? reply->str
                                                     : "an answer of another type than expected");
        return NULL;
}

/* The ids of all routers that were ever there; what is no text is no id. */
static GPtrArray *
receive_ids(RedisLink *link, GError **error)
{
        g_autoptr(redisReply) reply = receive(link, REDIS_REPLY_ARRAY, error);
        if (reply == NULL)
                return NULL;
        GPtrArray *ids = g_ptr_array_new_with_free_func(g_free);
        for (size_t i = 0; i < reply->elements; i++) {
                if (reply->element[i]->type == REDIS_REPLY_STRING)
                        g_ptr_array_add(ids, g_strdup(reply->element[i]->str));
        }
        return ids;
}

/* Those of the set that have said something within the time to live; with the ids of the others. */
static GPtrArray *
list(RedisLink *link, GPtrArray *out_gone, GError **error)
{
        if (!redis_link_open(link, error))
                return NULL;
        redis_link_send(link, "SMEMBERS " SET_KEY);
        g_autoptr(GPtrArray) ids = receive_ids(link, error);
        if (ids == NULL)
                return NULL;
        g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func((GDestroyNotify)announcement_free);
        for (guint i = 0; i < ids->len; i++)
                redis_link_send(link, "GET " KEY_PREFIX "%s", ids->pdata[i]);
        for (guint i = 0; i < ids->len; i++) {
                g_autoptr(redisReply) address = redis_link_receive(link, error);
                if (address == NULL)
                        return NULL;
                if (address->type != REDIS_REPLY_STRING) {
                        g_ptr_array_add(out_gone, g_strdup(ids->pdata[i]));
                        continue;
                }
                Announcement *announcement = g_new0(Announcement, 1);
                announcement->id = g_strdup(ids->pdata[i]);
                announcement->address = g_strdup(address->str);
                g_ptr_array_add(found, announcement);
        }
        return g_steal_pointer(&found);
}

static int
compare(gconstpointer a, gconstpointer b)
{
        return strcmp((*(Announcement *const *)a)->id, (*(Announcement *const *)b)->id);
}

GPtrArray *
announcement_list(RedisLink *link, GError **error)
{
        g_autoptr(GPtrArray) gone = g_ptr_array_new_with_free_func(g_free);
        GPtrArray *found = list(link, gone, error);
        if (found != NULL)
                g_ptr_array_sort(found, compare);
        return found;
}

bool
announcement_renew(RedisLink *link, const Conf *conf, GError **error)
{
        if (conf->http_address == NULL)
                return true;
        if (!redis_link_open(link, error))
                return false;
        g_autofree char *id = announcement_id(conf);
        g_autofree char *address = reachable_address(conf);
        redis_link_send(link, "SET " KEY_PREFIX "%s %s PX %d", id, address, ANNOUNCEMENT_TTL_MS);
        redis_link_send(link, "SADD " SET_KEY " %s", id);
        g_autoptr(redisReply) set = receive(link, REDIS_REPLY_STATUS, error);
        g_autoptr(redisReply) added = set != NULL ? receive(link, REDIS_REPLY_INTEGER, error) : NULL;
        if (added == NULL) {
                redis_link_close(link); /* an answer may still be under way */
                return false;
        }
        g_autoptr(GPtrArray) gone = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GPtrArray) present = list(link, gone, error);
        for (guint i = 0; present != NULL && i < gone->len; i++) {
                redis_link_send(link, "SREM " SET_KEY " %s", gone->pdata[i]);
                g_autoptr(redisReply) removed = redis_link_receive(link, error);
                if (removed == NULL)
                        return false;
        }
        return present != NULL;
}

bool
announcement_withdraw(RedisLink *link, const Conf *conf, GError **error)
{
        if (conf->http_address == NULL)
                return true;
        if (!redis_link_open(link, error))
                return false;
        g_autofree char *id = announcement_id(conf);
        redis_link_send(link, "DEL " KEY_PREFIX "%s", id);
        redis_link_send(link, "SREM " SET_KEY " %s", id);
        g_autoptr(redisReply) deleted = redis_link_receive(link, error);
        if (deleted == NULL)
                return false;
        g_autoptr(redisReply) removed = redis_link_receive(link, error);
        return removed != NULL;
}
