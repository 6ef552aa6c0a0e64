/* SPDX-License-Identifier: MIT */

#include "cluster/liveness.h"

#include "cluster/redis_link.h"
#include "conf/name.h"
#include "conf/trouble.h"

#include <string.h>

enum { BATCH = 1000, KEY_SIZE = 2 * NAME_MAX_BYTES + 32 };

struct Liveness {
        RedisLink *link;
        char *run_id; /* of the last poll */
};

Liveness *
liveness_new(const char *url, int64_t timeout_ms, GError **error)
{
        RedisLink *link = redis_link_new(url, timeout_ms, error);
        if (link == NULL)
                return NULL;
        Liveness *liveness = g_new0(Liveness, 1);
        liveness->link = link;
        liveness->run_id = g_strdup("");
        return liveness;
}

void
liveness_free(Liveness *liveness)
{
        if (liveness == NULL)
                return;
        redis_link_free(liveness->link);
        g_free(liveness->run_id);
        g_free(liveness);
}

RedisLink *
liveness_link(Liveness *liveness)
{
        return liveness->link;
}

const char *
liveness_run_id(const Liveness *liveness)
{
        return liveness->run_id;
}

static size_t
make_key(char key[KEY_SIZE], const char *cluster, const char *rest)
{
        int length = g_snprintf(key, KEY_SIZE, "%s_%s", cluster, rest);
        return MIN((size_t)length, (size_t)KEY_SIZE - 1);
}

/* Two commands were sent; both must have been done. */
static bool
expect_two(Liveness *liveness, GError **error)
{
        g_autoptr(redisReply) first = redis_link_receive(liveness->link, error);
        if (first == NULL)
                return false;
        g_autoptr(redisReply) second = redis_link_receive(liveness->link, error);
        if (second == NULL)
                return false;
        const redisReply *refused = first->type == REDIS_REPLY_ERROR ? first : second;
        if (refused->type != REDIS_REPLY_ERROR)
                return true;
        g_set_error(error, TROUBLE, TROUBLE_OUTSIDE, "redis: %s", refused->str);
        return false;
}

bool
liveness_send_heartbeat(Liveness *liveness, const char *cluster, const char *host, int64_t ttl_ms,
                        GError **error)
{
        char set[KEY_SIZE];
        char key[KEY_SIZE];
        size_t set_length = make_key(set, cluster, "set");
        size_t key_length = make_key(key, cluster, host);
        long long now_s = g_get_real_time() / G_USEC_PER_SEC;
        if (!redis_link_open(liveness->link, error))
                return false;
        redis_link_send(liveness->link, "SADD %b %b", set, set_length, host, strlen(host));
        redis_link_send(liveness->link, "SET %b %lld PX %lld", key, key_length, now_s, (long long)ttl_ms);
        return expect_two(liveness, error);
}

bool
liveness_goodbye(Liveness *liveness, const char *cluster, const char *host, GError **error)
{
        char set[KEY_SIZE];
        char key[KEY_SIZE];
        size_t set_length = make_key(set, cluster, "set");
        size_t key_length = make_key(key, cluster, host);
        if (!redis_link_open(liveness->link, error))
                return false;
        redis_link_send(liveness->link, "DEL %b", key, key_length);
        redis_link_send(liveness->link, "SREM %b %b", set, set_length, host, strlen(host));
        return expect_two(liveness, error);
}

bool
liveness_check_hosts(Liveness *liveness, GPtrArray *clusters, GPtrArray *warnings, GError **error)
{
        if (!redis_link_open(liveness->link, error))
                return false;
        const char *run_id = redis_link_run_id(liveness->link, error);
        if (run_id == NULL)
                return false;
        if (strcmp(run_id, liveness->run_id) != 0) {
                g_free(liveness->run_id);
                liveness->run_id = g_strdup(run_id);
        }
        return liveness_poll(liveness->link, clusters, warnings, error);
}

static unsigned
send_count(RedisLink *link, const char *cluster, const char *name, int64_t in_redis, int64_t count)
{
        char key[KEY_SIZE];
        size_t length = make_key(key, cluster, name);
        if (in_redis == count)
                return 0;
        redis_link_send(link, "SET %b %lld", key, length, (long long)count);
        return 1;
}

static unsigned
send_counts(RedisLink *link, const LivenessCluster *cluster)
{
        if (!cluster->known)
                return 0;
        return send_count(link, cluster->name, "host_num", cluster->host_num, cluster->hosts->len) +
               send_count(link, cluster->name, "up_host_num", cluster->up_host_num, cluster->alive);
}

/* Receives the answers to @sent writes; false if the connection is gone. */
static bool
settle_counts(RedisLink *link, unsigned sent, char **out_refusal, GError **error)
{
        for (; sent > 0; sent--) {
                g_autoptr(redisReply) reply = redis_link_receive(link, error);
                if (reply == NULL)
                        return false;
                if (reply->type == REDIS_REPLY_ERROR && *out_refusal == NULL)
                        *out_refusal = g_strdup(reply->str);
        }
        return true;
}

void
liveness_write_counts(Liveness *liveness, GPtrArray *clusters, GPtrArray *warnings)
{
        g_autoptr(GError) error = NULL;
        g_autofree char *refusal = NULL;
        bool fine = redis_link_open(liveness->link, &error);
        for (guint start = 0; fine && start < clusters->len; start += BATCH) {
                guint end = MIN(start + BATCH, clusters->len);
                unsigned sent = 0;
                for (guint i = start; i < end; i++)
                        sent += send_counts(liveness->link, clusters->pdata[i]);
                fine = settle_counts(liveness->link, sent, &refusal, &error);
        }
        if (refusal != NULL || error != NULL)
                g_ptr_array_add(
                    warnings,
                    g_strdup_printf("host counts cannot be written to redis (%s); routing does not need them",
                                    refusal != NULL ? refusal : error->message));
}

static void
append_usable(GPtrArray *names, const ViewCluster *cluster)
{
        for (guint i = 0; !cluster->drained && i < cluster->usable->len; i++) {
                const ViewHost *host = cluster->usable->pdata[i];
                g_ptr_array_add(names, g_strdup(host->name));
        }
}

GPtrArray *
liveness_get_usable_hosts(const View *view, const char *cluster)
{
        const ViewCluster *only = cluster != NULL ? view_find(view, cluster, strlen(cluster)) : NULL;
        if (cluster != NULL && only == NULL)
                return NULL;
        GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
        if (only != NULL)
                append_usable(names, only);
        for (guint i = 0; only == NULL && i < view->clusters->len; i++)
                append_usable(names, view->clusters->pdata[i]);
        return names;
}
