/* SPDX-License-Identifier: MIT */

/*
 * In redis: for each cluster with its own broker a sorted set, cluster-router:replies:CLUSTER, of queue names
 * by the Unix time of their last request. What could not be written stays in the list of changes for the next
 * second.
 */

#include "router/reply_book.h"
#include "cluster/redis_link.h"

#include <stdatomic.h>
#include <string.h>

enum { SYNC_EVERY_MS = 1000, CHANGES_MAX = 10000 };

typedef struct {
        char *cluster;
        char *queue;
        bool gone;
} Change;

/* What redis told last of one cluster. */
typedef struct {
        char *cluster;
        GHashTable *queues; /* of char * */
} Page;

struct ReplyBook {
        RedisLink *link; /* of the thread; NULL without redis */
        GThread *thread; /* NULL until there is a redis */
        _Atomic uint64_t generation;
        GMutex lock; /* guards what follows */
        GCond stop;
        bool stopping;
        char *url; /* of redis, NULL: none */
        int64_t timeout_ms;
        bool moved;         /* the thread's link is not to that redis */
        GPtrArray *pages;   /* of Page *: a cluster with its own broker each */
        GPtrArray *changes; /* of Change *, to be written */
};

static void
change_free(void *data)
{
        Change *change = data;

        g_free(change->cluster);
        g_free(change->queue);
        g_free(change);
}

static void
page_free(void *data)
{
        Page *page = data;

        g_free(page->cluster);
        g_hash_table_unref(page->queues);
        g_free(page);
}

static GHashTable *
new_names(void)
{
        return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

/* The lock is held. */
static void
add_change(ReplyBook *book, const char *cluster, const char *queue, bool gone)
{
        if (!book->url || book->changes->len >= CHANGES_MAX)
                return;

        Change *change = g_new0(Change, 1);

        change->cluster = g_strdup(cluster);
        change->queue = g_strdup(queue);
        change->gone = gone;
        g_ptr_array_add(book->changes, change);
}

static void
record(ReplyBook *book, const char *cluster, const char *queue, bool gone)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&book->lock);

        add_change(book, cluster, queue, gone);
}

void
reply_book_note(ReplyBook *book, const char *cluster, const char *queue)
{
        record(book, cluster, queue, false);
}

void
reply_book_forget(ReplyBook *book, const char *cluster, const char *queue)
{
        record(book, cluster, queue, true);
}

uint64_t
reply_book_generation(ReplyBook *book)
{
        return atomic_load(&book->generation);
}

GPtrArray *
reply_book_names(ReplyBook *book, const char *cluster)
{
        GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&book->lock);

        for (unsigned i = 0; i < book->pages->len; i++) {
                const Page *page = g_ptr_array_index(book->pages, i);
                GHashTableIter queues;
                void *queue;

                g_hash_table_iter_init(&queues, page->queues);
                while (strcmp(page->cluster, cluster) == 0 && g_hash_table_iter_next(&queues, &queue, NULL))
                        g_ptr_array_add(names, g_strdup(queue));
        }
        return names;
}

/* ---- redis ---- */

/* One exchange with redis: what is written, and whose names are read. */
typedef struct {
        GPtrArray *changes;  /* of Change * */
        GPtrArray *clusters; /* of char * */
} Exchange;

static Exchange
begin_exchange(ReplyBook *book)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&book->lock);
        Exchange exchange = {book->changes, g_ptr_array_new_with_free_func(g_free)};

        book->changes = g_ptr_array_new_with_free_func(change_free);
        for (unsigned i = 0; i < book->pages->len; i++)
                g_ptr_array_add(exchange.clusters,
                                g_strdup(((const Page *)g_ptr_array_index(book->pages, i))->cluster));
        return exchange;
}

static void
end_exchange(ReplyBook *book, Exchange *exchange, bool done)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&book->lock);

        while (!done && exchange->changes->len > 0 && book->changes->len < CHANGES_MAX)
                g_ptr_array_add(book->changes,
                                g_ptr_array_steal_index(exchange->changes, exchange->changes->len - 1));
        g_ptr_array_unref(exchange->changes);
        g_ptr_array_unref(exchange->clusters);
}

static void
send_exchange(RedisLink *link, const Exchange *exchange, long long now_s)
{
        for (unsigned i = 0; i < exchange->changes->len; i++) {
                const Change *change = g_ptr_array_index(exchange->changes, i);
                g_autofree char *key = g_strdup_printf("cluster-router:replies:%s", change->cluster);

                if (change->gone)
                        redis_link_send(link, "ZREM %b %b", key, strlen(key), change->queue,
                                        strlen(change->queue));
                else
                        redis_link_send(link, "ZADD %b %lld %b", key, strlen(key), now_s, change->queue,
                                        strlen(change->queue));
        }
        for (unsigned i = 0; i < exchange->clusters->len; i++) {
                const char *cluster = g_ptr_array_index(exchange->clusters, i);
                g_autofree char *key = g_strdup_printf("cluster-router:replies:%s", cluster);

                redis_link_send(link, "ZREMRANGEBYSCORE %b -inf %lld", key, strlen(key),
                                now_s - REPLY_BOOK_KEEP_S);
                redis_link_send(link, "ZRANGE %b 0 -1", key, strlen(key));
        }
}

static bool
fill_page(Page *page, const redisReply *reply)
{
        g_autoptr(GHashTable) old = g_steal_pointer(&page->queues);
        bool news = false;

        page->queues = new_names();
        for (size_t i = 0; i < reply->elements; i++) {
                const redisReply *name = reply->element[i];

                if (name->type != REDIS_REPLY_STRING)
                        continue;
                news |= !g_hash_table_contains(old, name->str);
                g_hash_table_add(page->queues, g_strdup(name->str));
        }
        return news;
}

static void
learn(ReplyBook *book, const char *cluster, const redisReply *reply)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&book->lock);

        for (unsigned i = 0; reply->type == REDIS_REPLY_ARRAY && i < book->pages->len; i++) {
                Page *page = g_ptr_array_index(book->pages, i);

                if (strcmp(page->cluster, cluster) == 0 && fill_page(page, reply))
                        atomic_fetch_add(&book->generation, 1);
        }
}

static bool
receive_exchange(ReplyBook *book, const Exchange *exchange)
{
        for (unsigned i = 0; i < exchange->changes->len + 2 * exchange->clusters->len; i++) {
                g_autoptr(redisReply) reply = redis_link_receive(book->link, NULL);
                unsigned answer = i - exchange->changes->len;

                if (!reply)
                        return false;
                if (i >= exchange->changes->len && answer % 2 == 1)
                        learn(book, g_ptr_array_index(exchange->clusters, answer / 2), reply);
        }
        return true;
}

static void
follow_redis(ReplyBook *book)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&book->lock);

        if (!book->moved)
                return;
        redis_link_free(book->link);
        book->link = book->url ? redis_link_new(book->url, book->timeout_ms, NULL) : NULL;
        book->moved = false;
}

/* Redis away is nothing to report here: the registry does, and the changes wait. */
static void
sync_once(ReplyBook *book)
{
        Exchange exchange;

        follow_redis(book);
        if (!book->link || !redis_link_open(book->link, NULL))
                return;
        exchange = begin_exchange(book);
        send_exchange(book->link, &exchange, g_get_real_time() / G_USEC_PER_SEC);
        end_exchange(book, &exchange, receive_exchange(book, &exchange));
}

static void *
book_thread(void *data)
{
        ReplyBook *book = data;
        bool stopping = false;

        while (!stopping) {
                sync_once(book);
                g_mutex_lock(&book->lock);
                if (!book->stopping)
                        g_cond_wait_until(&book->stop, &book->lock,
                                          g_get_monotonic_time() + SYNC_EVERY_MS * 1000);
                stopping = book->stopping;
                g_mutex_unlock(&book->lock);
        }
        sync_once(book);
        return NULL;
}

/* Into the new redis goes what was known of the old one. */
static void
copy_names(ReplyBook *book)
{
        for (unsigned i = 0; i < book->pages->len; i++) {
                const Page *page = g_ptr_array_index(book->pages, i);
                GHashTableIter queues;
                void *queue;

                g_hash_table_iter_init(&queues, page->queues);
                while (g_hash_table_iter_next(&queues, &queue, NULL))
                        add_change(book, page->cluster, queue, false);
        }
}

static void
move(ReplyBook *book, const Conf *conf)
{
        if (g_strcmp0(book->url, conf->redis_url) == 0 && book->timeout_ms == conf->redis_timeout_ms)
                return;
        g_free(book->url);
        book->url = g_strdup(conf->redis_url);
        book->timeout_ms = conf->redis_timeout_ms;
        book->moved = true;
        copy_names(book);
        if (book->url && !book->thread)
                book->thread = g_thread_new("reply-book", book_thread, book);
}

void
reply_book_follow(ReplyBook *book, const Conf *conf)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&book->lock);

        move(book, conf);
        g_ptr_array_set_size(book->pages, 0);
        for (unsigned i = 0; i < conf->clusters->len; i++) {
                const ConfCluster *cluster = g_ptr_array_index(conf->clusters, i);
                Page *page;

                if (!cluster->amqp_urls[0])
                        continue;
                page = g_new0(Page, 1);
                page->cluster = g_strdup(cluster->name);
                page->queues = new_names();
                g_ptr_array_add(book->pages, page);
        }
}

ReplyBook *
reply_book_new(const Conf *conf)
{
        ReplyBook *book = g_new0(ReplyBook, 1);

        g_mutex_init(&book->lock);
        g_cond_init(&book->stop);
        book->changes = g_ptr_array_new_with_free_func(change_free);
        book->pages = g_ptr_array_new_with_free_func(page_free);
        reply_book_follow(book, conf);
        return book;
}

void
reply_book_free(ReplyBook *book)
{
        if (!book)
                return;
        if (book->thread) {
                g_mutex_lock(&book->lock);
                book->stopping = true;
                g_cond_signal(&book->stop);
                g_mutex_unlock(&book->lock);
                g_thread_join(book->thread);
        }
        redis_link_free(book->link);
        g_free(book->url);
        g_ptr_array_unref(book->pages);
        g_ptr_array_unref(book->changes);
        g_cond_clear(&book->stop);
        g_mutex_clear(&book->lock);
        g_free(book);
}
