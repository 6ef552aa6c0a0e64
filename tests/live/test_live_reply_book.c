/* SPDX-License-Identifier: MIT */
/* Names of reply queues in redis, and what a reload does to them. Databases 13 and 14 are this file's own. */
#include "cluster/redis_link.h"
#include "router/reply_book.h"
#include "tests/support/live.h"

#include <string.h>

#define KEY "cluster-router:replies:east"

enum { DEADLINE_MS = 20000, TIMEOUT_MS = 5000, FIRST = 13, SECOND = 14 };

/* One of the databases of redis, to look and meddle. */
static RedisLink *
open_database(int number)
{
        const char *url = g_getenv("REDIS_URL");
        g_autofree char *own = g_strdup_printf("%.*s/%d", (int)(strrchr(url, '/') - url), url, number);
        g_autoptr(GError) error = NULL;
        RedisLink *link = redis_link_new(own, TIMEOUT_MS, &error);

        g_assert_no_error(error);
        g_assert_true(redis_link_open(link, &error));
        return link;
}

static void
clear_database(int number)
{
        g_autoptr(RedisLink) link = open_database(number);

        redis_link_send(link, "FLUSHDB");
        g_autoptr(redisReply) reply = redis_link_receive(link, NULL);
        g_assert_nonnull(reply);
}

/* @database 0: without redis. */
static Conf *
make_conf(int database)
{
        const char *url = g_getenv("REDIS_URL");
        g_autofree char *redis = database ? g_strdup_printf("[redis]\nurl = %.*s/%d\n",
                                                            (int)(strrchr(url, '/') - url), url, database)
                                          : g_strdup("");
        g_autofree char *text = g_strdup_printf(
            "[east]\ncluster_member_ips = 10.0.0.1\namqp_url = amqp://127.0.0.1/east\n%s", redis);
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        Conf *conf = conf_parse("f", text, strlen(text), errors);

        if (!conf)
                g_error("%s", (const char *)g_ptr_array_index(errors, 0));
        return conf;
}

typedef struct {
        RedisLink *link;
        const char *name;
} Sought;

static bool
is_there(void *data)
{
        const Sought *sought = data;
        redis_link_send(sought->link, "ZSCORE " KEY " %s", sought->name);
        g_autoptr(redisReply) reply = redis_link_receive(sought->link, NULL);

        g_assert_nonnull(reply);
        return reply->type == REDIS_REPLY_STRING;
}

static void
await_name(int database, const char *name)
{
        g_autoptr(RedisLink) link = open_database(database);
        Sought sought = {link, name};

        g_assert_true(live_wait(DEADLINE_MS, is_there, &sought));
}

static bool
has_name(void *data)
{
        g_autoptr(GPtrArray) names = reply_book_names(data, "east");

        return names->len > 0;
}

static void
test_a_new_redis_is_taken_at_a_reload(void)
{
        if (!live_env("REDIS_URL"))
                return;
        clear_database(FIRST);
        clear_database(SECOND);

        g_autoptr(Conf) before = make_conf(FIRST);
        g_autoptr(Conf) after = make_conf(SECOND);
        g_autoptr(ReplyBook) book = reply_book_new(before);

        reply_book_note(book, "east", "reply_1");
        await_name(FIRST, "reply_1");
        g_assert_true(live_wait(DEADLINE_MS, has_name, book));
        reply_book_follow(book, after);
        reply_book_note(book, "east", "reply_2");
        await_name(SECOND, "reply_2");
        await_name(SECOND, "reply_1"); /* known before the move */
}

static void
test_a_first_redis_is_taken_at_a_reload(void)
{
        if (!live_env("REDIS_URL"))
                return;
        clear_database(FIRST);

        g_autoptr(Conf) without = make_conf(0);
        g_autoptr(Conf) with = make_conf(FIRST);
        g_autoptr(ReplyBook) book = reply_book_new(without);

        reply_book_note(book, "east", "reply_1");
        reply_book_follow(book, with);
        reply_book_note(book, "east", "reply_2");
        await_name(FIRST, "reply_2");
        reply_book_follow(book, without);
        reply_book_note(book, "east", "reply_3"); /* nowhere to go, and no harm */
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/reply_book/a-new-redis-is-taken-at-a-reload",
                        test_a_new_redis_is_taken_at_a_reload);
        g_test_add_func("/reply_book/a-first-redis-is-taken-at-a-reload",
                        test_a_first_redis_is_taken_at_a_reload);
        return g_test_run();
}
