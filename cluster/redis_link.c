/* SPDX-License-Identifier: MIT */
#include "cluster/redis_link.h"

#include <gio/gio.h>
#include <string.h>

struct RedisLink {
        char *host; /* NULL for a socket file */
        int port;
        char *socket_path;
        char *user; /* NULL: the default user */
        char *password;
        int64_t database;
        struct timeval timeout;
        redisContext *context; /* NULL: closed */
        char *run_id;          /* of the open connection; NULL: not asked yet */
};

static bool
parse_database(const char *text, int64_t *out_database, GError **error)
{
        guint64 database = 0;
        if (text != NULL && *text != '\0' &&
            !g_ascii_string_to_unsigned(text, 10, 0, 65535, &database, error))
                return false;
        *out_database = (int64_t)database;
        return true;
}

static char *
query_value(GUri *uri, const char *name)
{
        const char *query = g_uri_get_query(uri);
        if (query == NULL)
                return NULL;
        g_autoptr(GHashTable) values = g_uri_parse_params(query, -1, "&", G_URI_PARAMS_NONE, NULL);
        return values != NULL ? g_strdup(g_hash_table_lookup(values, name)) : NULL;
}

static bool
set_address(RedisLink *link, GUri *uri, GError **error)
{
        const char *path = g_uri_get_path(uri);
        if (strcmp(g_uri_get_scheme(uri), "unix") == 0) {
                g_autofree char *database = query_value(uri, "db");
                link->socket_path = g_strdup(path);
                return parse_database(database, &link->database, error);
        }
        if (strcmp(g_uri_get_scheme(uri), "redis") != 0) {
                g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                            "redis URL must begin with redis:// or unix://");
                return false;
        }
        const char *host = g_uri_get_host(uri);
        link->host = g_strdup(host != NULL && *host != '\0' ? host : "127.0.0.1");
        link->port = g_uri_get_port(uri) > 0 ? g_uri_get_port(uri) : 6379;
        return parse_database(*path == '/' ? path + 1 : path, &link->database, error);
}

/* redis://secret@host has the password where URLs have the user: with one part alone, it is the password. */
static void
set_credentials(RedisLink *link, GUri *uri)
{
        const char *user = g_uri_get_user(uri);
        const char *password = g_uri_get_password(uri);
        if (password == NULL) {
                password = user;
                user = NULL;
        }
        link->user = user != NULL && *user != '\0' ? g_strdup(user) : NULL;
        link->password = password != NULL && *password != '\0' ? g_strdup(password) : NULL;
}

RedisLink *
redis_link_new(const char *url, int64_t timeout_ms, GError **error)
{
        g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_HAS_PASSWORD, NULL);
        if (uri == NULL) {
                g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "redis URL cannot be read");
                return NULL;
        }
        g_autoptr(RedisLink) link = g_new0(RedisLink, 1);
        link->timeout.tv_sec = timeout_ms / 1000;
        link->timeout.tv_usec = timeout_ms % 1000 * 1000;
        if (!set_address(link, uri, error))
                return NULL;
        set_credentials(link, uri);
        return g_steal_pointer(&link);
}

void
redis_link_free(RedisLink *link)
{
        if (link == NULL)
                return;
        redis_link_close(link);
        g_free(link->host);
        g_free(link->socket_path);
        g_free(link->user);
        g_free(link->password);
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
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "redis: %s", what);
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
        if (link->password != NULL && link->user != NULL)
                redis_link_send(link, "AUTH %s %s", link->user, link->password);
        else if (link->password != NULL)
                redis_link_send(link, "AUTH %s", link->password);
        expected += link->password != NULL;
        redis_link_send(link, "SELECT %lld", (long long)link->database);

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
        link->context = link->socket_path != NULL
                            ? redisConnectUnixWithTimeout(link->socket_path, link->timeout)
                            : redisConnectWithTimeout(link->host, link->port, link->timeout);
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
