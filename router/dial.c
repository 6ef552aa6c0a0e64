/* SPDX-License-Identifier: MIT */

/*
 * librabbitmq logs in with a fixed, short list of capabilities unless it is told otherwise; without
 * consumer_cancel_notify a deleted queue means silence for ever, and without connection.blocked a memory
 * alarm looks like a dead broker. So the list is spelled out here.
 *
 * frame_max stays at LINK_FRAME_BYTES: it bounds how deep a header table can be nested, and so the stack.
 */

#include "router/dial.h"
#include "conf/conf_url.h"
#include "router/link.h"

#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <string.h>
#include <sys/socket.h>

#define SYSTEM_CA_FILE "/etc/ssl/certs/ca-certificates.crt"

G_DEFINE_QUARK(dial_error, dial_error)

static char *
describe_server(const amqp_method_t *method)
{
        if (method->id == AMQP_CONNECTION_CLOSE_METHOD) {
                const amqp_connection_close_t *close = method->decoded;

                return g_strdup_printf("%u %.*s", close->reply_code, (int)close->reply_text.len,
                                       (const char *)close->reply_text.bytes);
        }
        if (method->id == AMQP_CHANNEL_CLOSE_METHOD) {
                const amqp_channel_close_t *close = method->decoded;

                return g_strdup_printf("%u %.*s", close->reply_code, (int)close->reply_text.len,
                                       (const char *)close->reply_text.bytes);
        }
        return g_strdup(amqp_method_name(method->id));
}

char *
dial_describe_reply(amqp_rpc_reply_t reply)
{
        switch (reply.reply_type) {
        case AMQP_RESPONSE_LIBRARY_EXCEPTION:
                return g_strdup(amqp_error_string2(reply.library_error));
        case AMQP_RESPONSE_SERVER_EXCEPTION:
                return describe_server(&reply.reply);
        default:
                return g_strdup("no answer");
        }
}

static struct timeval
from_ms(int64_t ms)
{
        return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
}

static bool
set_tls(amqp_socket_t *socket, const ConfTls *tls, GError **error)
{
        const char *ca = tls->ca ? tls->ca : SYSTEM_CA_FILE;

        amqp_ssl_socket_set_verify_peer(socket, 1);
        amqp_ssl_socket_set_verify_hostname(socket, 1);
        if (amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST) != AMQP_STATUS_OK ||
            amqp_ssl_socket_set_cacert(socket, ca) != AMQP_STATUS_OK) {
                g_set_error(error, DIAL_ERROR, DIAL_ERROR_SETUP, "cannot read CA certificates from %s", ca);
                return false;
        }
        if (tls->cert && amqp_ssl_socket_set_key(socket, tls->cert, tls->key) != AMQP_STATUS_OK) {
                g_set_error(error, DIAL_ERROR, DIAL_ERROR_SETUP,
                            "cannot use client certificate %s with key %s", tls->cert,
                            tls->key ? tls->key : "(none)");
                return false;
        }
        return true;
}

static char *
describe_failure(int status, const ConfUrl *info, const ConfTls *tls)
{
        switch (status) {
        case AMQP_STATUS_SSL_PEER_VERIFY_FAILED:
                return g_strdup_printf(
                    "its certificate is not valid now, or not signed by an authority in %s (tls_ca)",
                    tls->ca ? tls->ca : SYSTEM_CA_FILE);
        case AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED:
                return g_strdup_printf("its certificate is not for the name %s", info->host);
        default:
                return g_strdup(amqp_error_string2(status));
        }
}

static bool
open_socket(amqp_connection_state_t connection, const ConfUrl *info, const ConfTls *tls, GError **error)
{
        struct timeval timeout = from_ms(DIAL_CONNECT_MS);
        amqp_socket_t *socket = info->tls ? amqp_ssl_socket_new(connection) : amqp_tcp_socket_new(connection);

        if (!socket) {
                g_set_error_literal(error, DIAL_ERROR, DIAL_ERROR_SETUP, "no memory for a socket");
                return false;
        }
        if (info->tls && !set_tls(socket, tls, error))
                return false;

        int status = amqp_socket_open_noblock(socket, info->host, info->port, &timeout);

        if (status != AMQP_STATUS_OK) {
                g_autofree char *why = describe_failure(status, info, tls);

                g_set_error(error, DIAL_ERROR, DIAL_ERROR_REFUSED, "cannot connect: %s", why);
                return false;
        }
        return true;
}

static amqp_table_entry_t
flag_entry(const char *name)
{
        return (amqp_table_entry_t){.key = amqp_cstring_bytes(name),
                                    .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1}};
}

static amqp_table_entry_t
text_entry(const char *name, const char *text)
{
        return (amqp_table_entry_t){
            .key = amqp_cstring_bytes(name),
            .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(text)}};
}

static bool
log_in(amqp_connection_state_t connection, const ConfUrl *info, unsigned heartbeat_s, const char *name,
       GError **error)
{
        amqp_table_entry_t capabilities[] = {
            flag_entry("publisher_confirms"), flag_entry("basic.nack"), flag_entry("consumer_cancel_notify"),
            flag_entry("connection.blocked"), flag_entry("authentication_failure_close")};
        amqp_table_entry_t properties[] = {
            text_entry("product", "cluster-router"),
            text_entry("version", PROJECT_VERSION),
            text_entry("connection_name", name),
            {.key = amqp_cstring_bytes("capabilities"),
             .value = {.kind = AMQP_FIELD_KIND_TABLE,
                       .value.table = {.num_entries = G_N_ELEMENTS(capabilities), .entries = capabilities}}},
        };
        amqp_table_t table = {.num_entries = G_N_ELEMENTS(properties), .entries = properties};
        struct timeval login = from_ms(DIAL_LOGIN_MS), rpc = from_ms(DIAL_RPC_MS);

        amqp_set_handshake_timeout(connection, &login);
        amqp_set_rpc_timeout(connection, &rpc);

        amqp_rpc_reply_t reply =
            amqp_login_with_properties(connection, info->name, 0, LINK_FRAME_BYTES, (int)heartbeat_s, &table,
                                       AMQP_SASL_METHOD_PLAIN, info->user, info->password);

        if (reply.reply_type == AMQP_RESPONSE_NORMAL) {
                amqp_channel_open(connection, LINK_CHANNEL);
                reply = amqp_get_rpc_reply(connection);
        }
        if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
                g_autofree char *why = dial_describe_reply(reply);

                g_set_error(error, DIAL_ERROR, DIAL_ERROR_LOGIN, "cannot log in as %s to vhost %s: %s",
                            info->user, info->name, why);
                return false;
        }
        return true;
}

amqp_connection_state_t
dial(const char *url, const ConfTls *tls, unsigned heartbeat_s, const char *name, GError **error)
{
        const char *problem = NULL;
        g_autofree char *shown = conf_mask_url(url);
        g_autoptr(ConfUrl) parts = conf_url_parse(url, CONF_URL_AMQP, &problem);

        if (!parts) {
                g_set_error(error, DIAL_ERROR, DIAL_ERROR_SETUP, "%s: %s", shown, problem);
                return NULL;
        }

        amqp_connection_state_t connection = amqp_new_connection();

        if (open_socket(connection, parts, tls, error) && log_in(connection, parts, heartbeat_s, name, error))
                return connection;
        g_prefix_error(error, "%s: ", shown);
        dial_discard(connection);
        return NULL;
}

void
dial_discard(amqp_connection_state_t connection)
{
        int fd = amqp_get_sockfd(connection);

        /* The library's TLS close waits for the peer; a socket that is shut down has no peer to wait for. */
        if (fd >= 0)
                shutdown(fd, SHUT_RDWR);
        amqp_destroy_connection(connection);
}
