/* SPDX-License-Identifier: MIT */
#include "cluster/redis_link.h"

#include "conf/conf_url.h"
#include "conf/trouble.h"

#include <string.h>

struct RedisLink {
        ConfUrl *url;
        struct timeval timeout;
        redisContext *context; /* NULL: closed */
        char *run_id;          /* of the open connection; NULL: not asked yet */
};

/* redis://secret@host has the password where URLs have the user: with one part alone, it is the password. */
static void
correct_credentials(ConfUrl *url)
{
        if (url->password == NULL)
                url->password = g_steal_pointer(&url->user);
        if (url->password != NULL && *url->password == '\0')
                g_clear_pointer(&url->password, g_free);
}

RedisLink *
redis_link_new(const char *url, int64_t timeout_ms, GError **error)
{
        const char *problem;
        ConfUrl *parts = conf_url_parse(url, CONF_URL_REDIS, &problem);
        if (parts == NULL) {
                g_set_error(error, TROUBLE, TROUBLE_OUTSIDE, "redis URL: %s", problem);
                return NULL;
        }
        RedisLink *link = g_new0(RedisLink, 1);
        link->url = parts;
        link->timeout.tv_sec = timeout_ms / 1000;
        link->timeout.tv_usec = timeout_ms % 1000 * 1000;
        correct_credentials(link->url);
        return link;
}

void
redis_link_free(RedisLink *link)
{
        if (link == NULL)
                return;
        redis_link_close(link);
        conf_url_free(link->url);
        g_free(link);
}

void
redis_link_close(RedisLink *link)
{
        if (link->context != NULL)
                redisFree(link->context);
        link->context = NULL;
        g_clear_pointer(&link->run_id, g_free);
}

static bool
fail(RedisLink *link, GError **error, const char *what)
{
        g_set_error(error, TROUBLE, TROUBLE_OUTSIDE, "redis: %s", what);
        redis_link_close(link);
        return false;
}

static const char *
context_error(const redisContext *context)
{
        if (context == NULL)
                return "out of memory";
        if (context->err == REDIS_ERR_IO && (errno == EAGAIN || errno == EWOULDBLOCK))
                return "no answer within the timeout";
        return context->errstr;
}

static bool
handshake(RedisLink *link, GError **error)
{
        unsigned expected = 1;
        if (link->url->password != NULL && link->url->user != NULL)
                redis_link_send(link, "AUTH %s %s", link->url->user, link->url->password);
        else if (link->url->password != NULL)
                redis_link_send(link, "AUTH %s", link->url->password);
        expected += link->url->password != NULL;
        redis_link_send(link, "SELECT %u", link->url->db);

        while (expected-- > 0) {
                g_autoptr(redisReply) reply = redis_link_receive(link, error);
                if (reply == NULL)
                        return false;
                if (reply->type == REDIS_REPLY_ERROR)
                        return fail(link, error, reply->str);
        }
        return true;
}

bool
redis_link_open(RedisLink *link, GError **error)
{
        if (link->context != NULL)
                return true;
        link->context = link->url->socket != NULL
                            ? redisConnectUnixWithTimeout(link->url->socket, link->timeout)
                            : redisConnectWithTimeout(link->url->host, link->url->port, link->timeout);
        if (link->context == NULL || link->context->err != 0)
                return fail(link, error, context_error(link->context));
        if (redisSetTimeout(link->context, link->timeout) != REDIS_OK)
                return fail(link, error, context_error(link->context));
        return handshake(link, error);
}

void
redis_link_send(RedisLink *link, const char *format, ...)
{
        va_list arguments;
        va_start(arguments, format);
        redisvAppendCommand(link->context, format, arguments);
        va_end(arguments);
}

void
redis_link_send_text(RedisLink *link, const char *text, size_t length)
{
        redisAppendFormattedCommand(link->context, text, length);
}

static bool
is_outage(const redisReply *reply)
{
        static const char *const codes[] = {"LOADING ",    "NOAUTH ", "WRONGPASS ",
                                            "MASTERDOWN ", "BUSY ",   "CLUSTERDOWN "};
        if (reply->type != REDIS_REPLY_ERROR)
                return false;
        for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
                if (strncmp(reply->str, codes[i], strlen(codes[i])) == 0)
                        return true;
        }
        return false;
}

redisReply *
redis_link_receive(RedisLink *link, GError **error)
{
        void *data = NULL;
        errno = 0;
        if (redisGetReply(link->context, &data) != REDIS_OK) {
                fail(link, error, context_error(link->context));
                return NULL;
        }
        g_autoptr(redisReply) reply = data;
        if (is_outage(reply)) {
                fail(link, error, reply->str);
                return NULL;
        }
        return g_steal_pointer(&reply);
}

static char *
find_run_id(const redisReply *reply)
{
        static const char field[] = "run_id:";
        const char *start = reply->type == REDIS_REPLY_STRING ? strstr(reply->str, field) : NULL;
        if (start == NULL)
                return g_strdup("");
        start += strlen(field);
        return g_strndup(start, strspn(start, "0123456789abcdef"));
}

const char *
redis_link_run_id(RedisLink *link, GError **error)
{
        if (link->run_id == NULL) {
                redis_link_send(link, "INFO server");
                g_autoptr(redisReply) reply = redis_link_receive(link, error);
                if (reply == NULL)
                        return NULL;
                link->run_id = find_run_id(reply);
        }
        return link->run_id;
}
