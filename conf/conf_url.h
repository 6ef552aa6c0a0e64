/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The addresses of servers, parted and checked. Pure; any thread.
 *
 *   amqp://[USER:PASSWORD@]HOST[:PORT][/VHOST]     amqps:// for TLS
 *   redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]     redis+unix:///PATH[?db=DB], unix:///PATH[?db=DB]
 *   mysql://USER[:PASSWORD]@HOST[:PORT]/DB[?socket=/PATH]
 *
 * Percent-encoding is undone; a "/" or "@" in a password or vhost must be encoded.
 */

typedef enum { CONF_URL_AMQP, CONF_URL_REDIS, CONF_URL_MYSQL } ConfUrlKind;

typedef struct {
        bool tls;       /* amqps */
        char *user;     /* AMQP: "guest" if the URL has none; else NULL */
        char *password; /* the same */
        char *host;     /* without the brackets of IPv6; NULL if only a socket is given */
        uint16_t port;  /* as written, else 5672, 5671, 6379 or 3306 */
        char *name;     /* AMQP: virtual host, "/" if absent or empty; MySQL: database; redis: NULL */
        unsigned db;    /* redis: number of the database */
        char *socket;   /* file name of a Unix socket, or NULL */
} ConfUrl;

/*
 * New, or NULL and in *out_problem what is wrong: a constant string that quotes nothing of the URL, which may
 * hold a password. @out_problem may be NULL.
 */
ConfUrl *conf_url_parse(const char *text, ConfUrlKind kind,
                        const char **out_problem) G_GNUC_WARN_UNUSED_RESULT;
void conf_url_free(ConfUrl *url); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConfUrl, conf_url_free)

/* Holds a password that is worth hiding, that is, any but the broker's well-known guest. */
bool conf_url_is_secret(const ConfUrl *url);
