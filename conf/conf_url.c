/* SPDX-License-Identifier: MIT */

/*
 * The URL is taken apart from the left: scheme, user and password, host and port, path, query. An unencoded
 * "/" or "@" in a password would move those borders without a trace, so a second "@" anywhere is an error.
 * For the same reason conf_mask_url() hides everything up to the last "@": it must be safe for broken URLs
 * too.
 */

#include "conf/conf_url.h"

#include "conf/conf.h"

#include <string.h>

static const struct {
        const char *scheme;
        ConfUrlKind kind;
        uint16_t port; /* 0: a socket */
} schemes[] = {
    {"amqp", CONF_URL_AMQP, 5672},     {"amqps", CONF_URL_AMQP, 5671}, {"redis", CONF_URL_REDIS, 6379},
    {"redis+unix", CONF_URL_REDIS, 0}, {"unix", CONF_URL_REDIS, 0},    {"mysql", CONF_URL_MYSQL, 3306},
};

static const char *const forms[] = {
    [CONF_URL_AMQP] = "it must look like amqp://USER:PASSWORD@HOST:5672/VHOST, or amqps:// for TLS",
    [CONF_URL_REDIS] = "it must look like redis://:PASSWORD@HOST:6379/0, or unix:///PATH for a socket",
    [CONF_URL_MYSQL] = "it must look like mysql://USER:PASSWORD@HOST:3306/DATABASE",
};

static const char bad_escape[] =
    "% must be followed by two hexadecimal digits, and must not make a NUL or broken UTF-8";

void
conf_url_free(ConfUrl *url)
{
        if (!url)
                return;
        g_free(url->user);
        g_free(url->password);
        g_free(url->host);
        g_free(url->name);
        g_free(url->socket);
        g_free(url);
}

static char *
decode(const char *text)
{
        g_autofree char *plain = g_uri_unescape_string(text, NULL);
        return plain && g_utf8_validate(plain, -1, NULL) ? g_steal_pointer(&plain) : NULL;
}

/* [USER][:PASSWORD] */
static const char *
parse_login(ConfUrl *url, char *login)
{
        char *password = strchr(login, ':');
        if (password) {
                *password++ = '\0';
                if (strchr(password, ':'))
                        return "more than one \":\" in user and password; write %3a";
                url->password = decode(password);
                if (!url->password)
                        return bad_escape;
        }
        if (*login) {
                url->user = decode(login);
                if (!url->user)
                        return bad_escape;
        }
        return NULL;
}

static const char *
parse_port(ConfUrl *url, const char *text)
{
        guint64 port;
        if (!g_ascii_string_to_unsigned(text, 10, 1, 65535, &port, NULL))
                return "the port must be a number from 1 to 65535";
        url->port = (uint16_t)port;
        return NULL;
}

/* HOST[:PORT] or [IPV6][:PORT] */
static const char *
parse_host(ConfUrl *url, char *text)
{
        char *rest = text + strcspn(text, ":");
        if (*text == '[') {
                char *close = strchr(text, ']');
                if (!close)
                        return "\"[\" without \"]\"";
                *close = '\0';
                text++;
                rest = close + 1;
                if (!g_hostname_is_ip_address(text) || !strchr(text, ':'))
                        return "no IPv6 address stands in the brackets";
        }
        const char *problem = NULL;
        if (*rest == ':')
                problem = parse_port(url, rest + 1);
        else if (*rest)
                problem = "only a port may follow \"]\"";
        *rest = '\0';
        if (problem)
                return problem;
        for (const char *at = text; *at; at++)
                if (!g_ascii_isalnum(*at) && !strchr(".-_:", *at))
                        return "the host holds a character that no host name has; IPv6 stands in []";
        url->host = *text ? g_strdup(text) : NULL;
        return NULL;
}

static const char *
parse_db(ConfUrl *url, const char *text)
{
        guint64 db;
        if (!g_ascii_string_to_unsigned(text, 10, 0, 65535, &db, NULL))
                return "the database of redis must be a number";
        url->db = (unsigned)db;
        return NULL;
}

static const char *
parse_socket(ConfUrl *url, const char *text)
{
        url->socket = decode(text);
        if (!url->socket)
                return bad_escape;
        /* 108 bytes with the NUL is what a socket address has room for */
        if (url->socket[0] != '/' || strlen(url->socket) < 2 || strlen(url->socket) > 107)
                return "a socket needs an absolute file name of at most 107 bytes";
        return NULL;
}

/* @path is NULL or begins behind the "/". */
static const char *
parse_path(ConfUrl *url, ConfUrlKind kind, const char *path)
{
        if (kind == CONF_URL_REDIS)
                return path && *path ? parse_db(url, path) : NULL;
        if (path && strchr(path, '/'))
                return kind == CONF_URL_AMQP ? "more than one \"/\" behind the host; in a vhost write %2f"
                                             : "more than one \"/\" behind the host";
        url->name = decode(path ? path : "");
        if (!url->name)
                return bad_escape;
        if (!*url->name && kind == CONF_URL_MYSQL)
                return "it names no database";
        if (!*url->name) {
                g_free(url->name);
                url->name = g_strdup("/");
        }
        return NULL;
}

static const char *
parse_query(ConfUrl *url, ConfUrlKind kind, const char *query)
{
        if (kind == CONF_URL_MYSQL && g_str_has_prefix(query, "socket="))
                return parse_socket(url, query + strlen("socket="));
        if (kind == CONF_URL_REDIS && url->socket && g_str_has_prefix(query, "db="))
                return parse_db(url, query + strlen("db="));
        return "nothing may follow \"?\" but socket=/PATH for mysql and db=NUMBER for a redis socket";
}

static char *
cut_at(char *text, char separator)
{
        char *at = strchr(text, separator);
        if (!at)
                return NULL;
        *at = '\0';
        return at + 1;
}

/* Everything behind "://"; @text is taken apart in place. */
static const char *
parse_rest(ConfUrl *url, ConfUrlKind kind, bool is_socket, char *text)
{
        char *query = cut_at(text, '?');
        char *slash = strchr(text, '/');
        g_autofree char *path = slash ? g_strdup(slash) : NULL;
        if (slash)
                *slash = '\0';

        char *host = cut_at(text, '@');
        const char *problem = host ? parse_login(url, text) : NULL;
        host = host ? host : text;
        if (!problem && is_socket)
                problem = *host ? "a socket has no host: write three slashes, unix:///PATH"
                                : parse_socket(url, path ? path : "");
        else if (!problem)
                problem = parse_host(url, host);
        if (!problem && !is_socket)
                problem = parse_path(url, kind, path ? path + 1 : NULL);
        if (!problem && query)
                problem = parse_query(url, kind, query);
        if (!problem && !url->host && !url->socket)
                problem = "it names no host";
        /* The library would take the name of whoever runs the program. */
        if (!problem && kind == CONF_URL_MYSQL && !url->user)
                problem = "it names no user; write mysql://USER:PASSWORD@HOST:3306/DATABASE";
        return problem;
}

static const char *
against_characters(const char *text)
{
        for (const char *at = text; *at; at++)
                if (g_ascii_isspace(*at) || g_ascii_iscntrl(*at) || *at == '#')
                        return "blanks, control characters and \"#\" must be written as %20 and so on";
        const char *first = strchr(text, '@');
        if (first && strchr(first + 1, '@'))
                return "more than one \"@\"; in a password write %40";
        if (first && (size_t)(first - text) > strcspn(text, "/?"))
                return "a \"/\" or \"?\" stands in front of \"@\"; in a password write %2f and %3f";
        return NULL;
}

ConfUrl *
conf_url_parse(const char *text, ConfUrlKind kind, const char **out_problem)
{
        g_autoptr(ConfUrl) url = g_new0(ConfUrl, 1);
        const char *problem = forms[kind];
        const char *colon = strstr(text, "://");
        for (size_t i = 0; colon && i < G_N_ELEMENTS(schemes); i++) {
                size_t length = strlen(schemes[i].scheme);
                if (schemes[i].kind != kind || (size_t)(colon - text) != length ||
                    g_ascii_strncasecmp(text, schemes[i].scheme, length) != 0)
                        continue;
                url->tls = strcmp(schemes[i].scheme, "amqps") == 0;
                url->port = schemes[i].port;
                g_autofree char *rest = g_strdup(colon + strlen("://"));
                problem = against_characters(rest);
                if (!problem)
                        problem = parse_rest(url, kind, schemes[i].port == 0, rest);
                break;
        }
        if (problem) {
                if (out_problem)
                        *out_problem = problem;
                return NULL;
        }
        if (kind == CONF_URL_AMQP && !url->user) {
                url->user = g_strdup("guest");
                g_free(url->password);
                url->password = g_strdup("guest");
        } else if (kind == CONF_URL_AMQP && !url->password) {
                url->password = g_strdup("");
        }
        return g_steal_pointer(&url);
}

bool
conf_url_is_secret(const ConfUrl *url)
{
        if (!url->password || !*url->password)
                return false;
        return g_strcmp0(url->user, "guest") != 0 || strcmp(url->password, "guest") != 0;
}

char *
conf_mask_url(const char *url)
{
        const char *start = strstr(url, "://");
        start = start ? start + strlen("://") : url;
        const char *at = strrchr(start, '@');
        const char *colon = strchr(start, ':');
        if (!at || !colon || colon > at)
                return g_strdup(url);
        return g_strdup_printf("%.*s:***%s", (int)(colon - url), url, at);
}
