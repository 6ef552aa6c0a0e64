/* SPDX-License-Identifier: MIT */

/*
 * A poll asks for everything in two pipelined rounds: first the members and counts of every cluster, then one
 * PTTL per member. Commands go out in batches, so that neither side has to hold all questions or all answers
 * of a large site at once. A reply that concerns one cluster makes that cluster unknown; a broken connection
 * makes the whole poll unknown. Nothing here ever turns "no answer" into "no hosts".
 */
#include "cluster/liveness.h"

#include "cluster/redis_link.h"
#include "conf/name.h"

#include <gio/gio.h>
#include <string.h>

enum { BATCH = 1000, KEY_SIZE = 2 * NAME_MAX_BYTES + 32, SHOWN_BYTES = 80 };

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
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "redis: %s", refused->str);
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

static void
host_free(gpointer data)
{
        LivenessHost *host = data;
        g_free(host->name);
        g_free(host);
}

static LivenessHost *
add_host(LivenessCluster *cluster, const char *name, size_t length)
{
        LivenessHost *host = g_new0(LivenessHost, 1);
        host->name = g_strndup(name, length);
        g_ptr_array_add(cluster->hosts, host);
        return host;
}

LivenessCluster *
liveness_cluster_new(const char *name, const char *const *members)
{
        LivenessCluster *cluster = g_new0(LivenessCluster, 1);
        cluster->name = g_strdup(name);
        cluster->hosts = g_ptr_array_new_with_free_func(host_free);
        cluster->host_num = -1;
        cluster->up_host_num = -1;
        for (; members != NULL && *members != NULL; members++)
                add_host(cluster, *members, strlen(*members))->configured = true;
        return cluster;
}

void
liveness_cluster_free(LivenessCluster *cluster)
{
        if (cluster == NULL)
                return;
        g_free(cluster->name);
        g_ptr_array_unref(cluster->hosts);
        g_free(cluster);
}

static void warn(GPtrArray *warnings, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void
warn(GPtrArray *warnings, const char *format, ...)
{
        va_list arguments;
        va_start(arguments, format);
        g_ptr_array_add(warnings, g_strdup_vprintf(format, arguments));
        va_end(arguments);
}

static int
compare_hosts(gconstpointer a, gconstpointer b)
{
        const LivenessHost *const *host_a = a;
        const LivenessHost *const *host_b = b;
        return strcmp((*host_a)->name, (*host_b)->name);
}

/* Members come from the file and from redis: sort both together, then let neighbours of one name be one. */
static void
join_hosts(LivenessCluster *cluster)
{
        g_ptr_array_sort(cluster->hosts, compare_hosts);
        guint kept = 0;
        for (guint i = 0; i < cluster->hosts->len; i++) {
                LivenessHost *host = cluster->hosts->pdata[i];
                LivenessHost *last = kept > 0 ? cluster->hosts->pdata[kept - 1] : NULL;
                if (last != NULL && strcmp(last->name, host->name) == 0) {
                        last->configured |= host->configured;
                        last->registered |= host->registered;
                        host_free(host);
                } else {
                        cluster->hosts->pdata[kept++] = host;
                }
        }
        cluster->hosts->len = kept;
}

static void
take_members(LivenessCluster *cluster, const redisReply *reply, GPtrArray *warnings)
{
        if (reply->type != REDIS_REPLY_ARRAY) {
                warn(warnings, "redis key %s_set cannot be read (%s); cluster %s stays as it was",
                     cluster->name, reply->type == REDIS_REPLY_ERROR ? reply->str : "unexpected reply",
                     cluster->name);
                return;
        }
        for (size_t i = 0; i < reply->elements; i++) {
                const redisReply *member = reply->element[i];
                if (member->type == REDIS_REPLY_STRING && name_is_host(member->str, member->len)) {
                        add_host(cluster, member->str, member->len)->registered = true;
                        continue;
                }
                const char *text = member->str != NULL ? member->str : ""; /* not even text */
                g_autofree char *raw = g_strndup(text, MIN(member->len, SHOWN_BYTES));
                g_autofree char *shown = g_strescape(raw, NULL);
                warn(warnings, "redis key %s_set holds \"%s\", which is no legal host name; ignored",
                     cluster->name, shown);
        }
        join_hosts(cluster);
        cluster->known = true;
}

static int64_t
count_of(const redisReply *reply)
{
        guint64 count;
        if (reply->type != REDIS_REPLY_STRING ||
            !g_ascii_string_to_unsigned(reply->str, 10, 0, G_MAXINT32, &count, NULL))
                return -1;
        return (int64_t)count;
}

static void
take_counts(LivenessCluster *cluster, const redisReply *reply)
{
        if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
                return;
        cluster->host_num = count_of(reply->element[0]);
        cluster->up_host_num = count_of(reply->element[1]);
        cluster->counts_missing = reply->element[0]->type == REDIS_REPLY_NIL;
}

static void
ask_cluster(RedisLink *link, const LivenessCluster *cluster)
{
        char set[KEY_SIZE];
        char total[KEY_SIZE];
        char up[KEY_SIZE];
        size_t set_length = make_key(set, cluster->name, "set");
        size_t total_length = make_key(total, cluster->name, "host_num");
        size_t up_length = make_key(up, cluster->name, "up_host_num");
        redis_link_send(link, "SMEMBERS %b", set, set_length);
        redis_link_send(link, "MGET %b %b", total, total_length, up, up_length);
}

static bool
read_members(RedisLink *link, GPtrArray *clusters, GPtrArray *warnings, GError **error)
{
        for (guint start = 0; start < clusters->len; start += BATCH) {
                guint end = MIN(start + BATCH, clusters->len);
                for (guint i = start; i < end; i++)
                        ask_cluster(link, clusters->pdata[i]);
                for (guint i = start; i < end; i++) {
                        g_autoptr(redisReply) members = redis_link_receive(link, error);
                        if (members == NULL)
                                return false;
                        g_autoptr(redisReply) counts = redis_link_receive(link, error);
                        if (counts == NULL)
                                return false;
                        take_members(clusters->pdata[i], members, warnings);
                        take_counts(clusters->pdata[i], counts);
                }
        }
        return true;
}

/* One heartbeat key to ask for. */
typedef struct {
        LivenessCluster *cluster;
        LivenessHost *host;
} Question;

static GArray *
list_questions(GPtrArray *clusters)
{
        GArray *questions = g_array_new(FALSE, FALSE, sizeof(Question));
        for (guint i = 0; i < clusters->len; i++) {
                LivenessCluster *cluster = clusters->pdata[i];
                for (guint j = 0; cluster->known && j < cluster->hosts->len; j++) {
                        Question question = {cluster, cluster->hosts->pdata[j]};
                        g_array_append_val(questions, question);
                }
        }
        return questions;
}

static void
take_heartbeat(const Question *question, const redisReply *reply, GPtrArray *warnings)
{
        enum { KEY_WITHOUT_TTL = -1 };
        LivenessCluster *cluster = question->cluster;
        const char *host = question->host->name;
        if (reply->type != REDIS_REPLY_INTEGER) {
                cluster->known = false;
                warn(warnings, "redis key %s_%s cannot be read (%s); cluster %s stays as it was",
                     cluster->name, host, reply->type == REDIS_REPLY_ERROR ? reply->str : "unexpected reply",
                     cluster->name);
                return;
        }
        question->host->alive = reply->integer >= 0;
        if (reply->integer == KEY_WITHOUT_TTL)
                warn(warnings,
                     "redis key %s_%s has no time to live, so it proves nothing: host %s is not usable; "
                     "delete the key or let cluster-agent write it",
                     cluster->name, host, host);
}

static bool
read_heartbeats(RedisLink *link, GPtrArray *clusters, GPtrArray *warnings, GError **error)
{
        g_autoptr(GArray) questions = list_questions(clusters);
        for (guint start = 0; start < questions->len; start += BATCH) {
                guint end = MIN(start + BATCH, questions->len);
                for (guint i = start; i < end; i++) {
                        const Question *question = &g_array_index(questions, Question, i);
                        char key[KEY_SIZE];
                        size_t length = make_key(key, question->cluster->name, question->host->name);
                        redis_link_send(link, "PTTL %b", key, length);
                }
                for (guint i = start; i < end; i++) {
                        g_autoptr(redisReply) reply = redis_link_receive(link, error);
                        if (reply == NULL)
                                return false;
                        take_heartbeat(&g_array_index(questions, Question, i), reply, warnings);
                }
        }
        return true;
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
        return read_members(liveness->link, clusters, warnings, error) &&
               read_heartbeats(liveness->link, clusters, warnings, error);
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
        int64_t up = 0;
        if (!cluster->known)
                return 0;
        for (guint i = 0; i < cluster->hosts->len; i++) {
                const LivenessHost *host = cluster->hosts->pdata[i];
                up += host->alive;
        }
        return send_count(link, cluster->name, "host_num", cluster->host_num, cluster->hosts->len) +
               send_count(link, cluster->name, "up_host_num", cluster->up_host_num, up);
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
                warn(warnings, "host counts cannot be written to redis (%s); routing does not need them",
                     refusal != NULL ? refusal : error->message);
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
