/* SPDX-License-Identifier: MIT */

/*
 * A poll asks for everything in one pipelined exchange: of every cluster the members, the counts and one PTTL
 * for each member known so far. Little changes between two polls, so the question is kept as text, and the
 * answer is compared with the one before; only where the members turn out to be others, their heartbeats are
 * asked for in a second exchange. Commands go out in batches, so that neither side has to hold all questions
 * or all answers of a large site at once. A reply that concerns one cluster makes that cluster unknown; a
 * broken connection makes the whole poll unknown. Nothing here ever turns "no answer" into "no hosts".
 */
#include "cluster/liveness_poll.h"

#include "conf/name.h"

#include <string.h>

enum { BATCH = 1000, SHOWN_BYTES = 80 };

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
        host->ttl_ms = -1;
        g_ptr_array_add(cluster->hosts, host);
        return host;
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

LivenessCluster *
liveness_cluster_new(const char *name, const char *const *members)
{
        LivenessCluster *cluster = g_new0(LivenessCluster, 1);
        cluster->name = g_strdup(name);
        cluster->hosts = g_ptr_array_new_with_free_func(host_free);
        cluster->host_num = -1;
        cluster->up_host_num = -1;
        cluster->changed = true;
        cluster->listed = g_string_new(NULL);
        for (; members != NULL && *members != NULL; members++)
                add_host(cluster, *members, strlen(*members))->configured = true;
        join_hosts(cluster);
        return cluster;
}

void
liveness_cluster_free(LivenessCluster *cluster)
{
        if (cluster == NULL)
                return;
        g_free(cluster->name);
        g_ptr_array_unref(cluster->hosts);
        g_string_free(cluster->listed, TRUE);
        g_free(cluster->question);
        g_free(cluster);
}

static void
drop_registered(LivenessCluster *cluster)
{
        for (guint i = cluster->hosts->len; i-- > 0;) {
                LivenessHost *host = cluster->hosts->pdata[i];
                host->registered = false;
                if (!host->configured)
                        g_ptr_array_remove_index_fast(cluster->hosts, i);
        }
}

/* An illegal name never is in @cluster->listed. */
static bool
lists_the_same(const LivenessCluster *cluster, const redisReply *reply)
{
        const char *at = cluster->listed->str;
        const char *end = at + cluster->listed->len;
        for (size_t i = 0; i < reply->elements; i++) {
                const redisReply *member = reply->element[i];
                if (member->type != REDIS_REPLY_STRING || member->len >= (size_t)(end - at) ||
                    memcmp(at, member->str, member->len) != 0 || at[member->len] != ' ')
                        return false;
                at += member->len + 1;
        }
        return at == end;
}

static void
take_members(LivenessCluster *cluster, const redisReply *reply, GPtrArray *warnings)
{
        drop_registered(cluster);
        g_string_truncate(cluster->listed, 0);
        for (size_t i = 0; i < reply->elements; i++) {
                const redisReply *member = reply->element[i];
                if (member->type == REDIS_REPLY_STRING && name_is_host(member->str, member->len)) {
                        add_host(cluster, member->str, member->len)->registered = true;
                        g_string_append_len(cluster->listed, member->str, (gssize)member->len);
                        g_string_append_c(cluster->listed, ' ');
                        continue;
                }
                const char *text = member->str != NULL ? member->str : ""; /* not even text */
                g_autofree char *raw = g_strndup(text, MIN(member->len, SHOWN_BYTES));
                g_autofree char *shown = g_strescape(raw, NULL);
                warn(warnings, "redis key %s_set holds \"%s\", which is no legal host name; ignored",
                     cluster->name, shown);
        }
        join_hosts(cluster);
        cluster->changed = true;
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
        bool missing = reply->element[0]->type == REDIS_REPLY_NIL;
        cluster->host_num = count_of(reply->element[0]);
        cluster->up_host_num = count_of(reply->element[1]);
        cluster->changed |= missing != cluster->counts_missing;
        cluster->counts_missing = missing;
}

/* An array of @n words, of which the next is @name. */
static void
write_command(GString *commands, unsigned n, const char *name)
{
        g_string_append_printf(commands, "*%u\r\n$%zu\r\n%s\r\n", n, strlen(name), name);
}

static void
write_key(GString *commands, const char *cluster, const char *rest)
{
        g_string_append_printf(commands, "$%zu\r\n%s_%s\r\n", strlen(cluster) + 1 + strlen(rest), cluster,
                               rest);
}

static void
write_question(LivenessCluster *cluster)
{
        GString *commands = g_string_new(NULL);
        write_command(commands, 2, "SMEMBERS");
        write_key(commands, cluster->name, "set");
        write_command(commands, 3, "MGET");
        write_key(commands, cluster->name, "host_num");
        write_key(commands, cluster->name, "up_host_num");
        cluster->heartbeats_at = commands->len;
        for (guint i = 0; i < cluster->hosts->len; i++) {
                const LivenessHost *host = cluster->hosts->pdata[i];
                write_command(commands, 2, "PTTL");
                write_key(commands, cluster->name, host->name);
        }
        g_free(cluster->question);
        cluster->question_bytes = commands->len;
        cluster->question = g_realloc(g_string_free(commands, FALSE), cluster->question_bytes);
}

static void
take_heartbeat(LivenessCluster *cluster, LivenessHost *host, const redisReply *reply, GPtrArray *warnings)
{
        enum { KEY_WITHOUT_TTL = -1 };
        if (reply->type != REDIS_REPLY_INTEGER) {
                cluster->known = false;
                warn(warnings, "redis key %s_%s cannot be read (%s); cluster %s stays as it was",
                     cluster->name, host->name,
                     reply->type == REDIS_REPLY_ERROR ? reply->str : "unexpected reply", cluster->name);
                return;
        }
        bool alive = reply->integer >= 0;
        cluster->changed |= alive != host->alive;
        cluster->alive += alive;
        host->alive = alive;
        host->ttl_ms = reply->integer;
        if (reply->integer == KEY_WITHOUT_TTL)
                warn(warnings,
                     "redis key %s_%s has no time to live, so it proves nothing: host %s is not usable; "
                     "delete the key or let cluster-agent write it",
                     cluster->name, host->name, host->name);
}

/* @useful: false if the members are others meanwhile. */
static bool
receive_heartbeats(RedisLink *link, LivenessCluster *cluster, bool useful, GPtrArray *warnings,
                   GError **error)
{
        cluster->alive = 0;
        for (guint i = 0; i < cluster->hosts->len; i++) {
                g_autoptr(redisReply) reply = redis_link_receive(link, error);
                if (reply == NULL)
                        return false;
                if (useful)
                        take_heartbeat(cluster, cluster->hosts->pdata[i], reply, warnings);
        }
        return true;
}

/* Appends the cluster to @others if it has other members than were asked about. */
static bool
receive_cluster(RedisLink *link, LivenessCluster *cluster, GPtrArray *others, GPtrArray *warnings,
                GError **error)
{
        g_autoptr(redisReply) members = redis_link_receive(link, error);
        if (members == NULL)
                return false;
        g_autoptr(redisReply) counts = redis_link_receive(link, error);
        if (counts == NULL)
                return false;
        bool was_known = cluster->known;
        cluster->known = members->type == REDIS_REPLY_ARRAY;
        bool same = cluster->known && lists_the_same(cluster, members);
        take_counts(cluster, counts);
        if (!cluster->known)
                warn(warnings, "redis key %s_set cannot be read (%s); cluster %s stays as it was",
                     cluster->name, members->type == REDIS_REPLY_ERROR ? members->str : "unexpected reply",
                     cluster->name);
        if (!receive_heartbeats(link, cluster, same, warnings, error))
                return false;
        cluster->changed |= cluster->known != was_known;
        if (!cluster->known || same)
                return true;
        take_members(cluster, members, warnings);
        write_question(cluster);
        g_ptr_array_add(others, cluster);
        return true;
}

/* @others: NULL in the second exchange, which asks for heartbeats alone. */
static bool
exchange(RedisLink *link, GPtrArray *clusters, GPtrArray *others, GPtrArray *warnings, GError **error)
{
        for (guint start = 0, end = 0; start < clusters->len; start = end) {
                for (guint asked = 0; end < clusters->len && asked < BATCH; end++) {
                        const LivenessCluster *cluster = clusters->pdata[end];
                        size_t skipped = others == NULL ? cluster->heartbeats_at : 0;
                        redis_link_send_text(link, cluster->question + skipped,
                                             cluster->question_bytes - skipped);
                        asked += cluster->hosts->len + 2;
                }
                for (guint i = start; i < end; i++) {
                        LivenessCluster *cluster = clusters->pdata[i];
                        bool fine = others == NULL ? receive_heartbeats(link, cluster, true, warnings, error)
                                                   : receive_cluster(link, cluster, others, warnings, error);
                        if (!fine)
                                return false;
                }
        }
        return true;
}

bool
liveness_poll(RedisLink *link, GPtrArray *clusters, GPtrArray *warnings, GError **error)
{
        g_autoptr(GPtrArray) others = g_ptr_array_new();
        for (guint i = 0; i < clusters->len; i++) {
                LivenessCluster *cluster = clusters->pdata[i];
                cluster->changed = cluster->question == NULL;
                if (cluster->changed)
                        write_question(cluster);
        }
        return exchange(link, clusters, others, warnings, error) &&
               exchange(link, others, NULL, warnings, error);
}
