/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * One synchronous connection to redis, with a time limit on connecting and on every read and write.
 *
 * After any failure the connection is gone and the next redis_link_open() makes a new one: replies that were
 * still under way can never be taken for those of a later command. One thread. The program ignores SIGPIPE.
 */
typedef struct RedisLink RedisLink;

/* Only parses: redis URLs as conf/conf_url.h has them. No password in error texts. */
RedisLink *redis_link_new(const char *url, int64_t timeout_ms, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void redis_link_free(RedisLink *link); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RedisLink, redis_link_free)

/* Connects, authenticates and selects the database; does nothing if that is done. */
bool redis_link_open(RedisLink *link, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void redis_link_close(RedisLink *link);

/* Identity of the server process behind the open connection; "" if it does not tell. */
const char *redis_link_run_id(RedisLink *link, GError **error);

/* Queues a command (hiredis format: %b takes pointer and size_t); sent by the next receive. Needs an open
 * link. */
void redis_link_send(RedisLink *link, const char *format, ...);
/* The same with one or more commands that are written in redis' protocol already. */
void redis_link_send_text(RedisLink *link, const char *text, size_t length);

/*
 * The reply to the oldest command not answered yet: free it with freeReplyObject(). It may be an error reply
 * that concerns this command alone. NULL if the connection failed, or if redis as a whole cannot answer now
 * (LOADING, NOAUTH, MASTERDOWN, ...); the link is closed then.
 */
redisReply *redis_link_receive(RedisLink *link, GError **error) G_GNUC_WARN_UNUSED_RESULT;

static inline void
redis_reply_free(redisReply *reply)
{
        if (reply != NULL)
                freeReplyObject(reply);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(redisReply, redis_reply_free)
