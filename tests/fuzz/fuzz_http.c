/* SPDX-License-Identifier: MIT */
#include "router/http.h"

#include <gio/gio.h>
#include <string.h>

/*
 * Any bytes as what a client sends to the HTTP port: whatever it is, the answer is one of HTTP or none, and
 * the server goes on to serve. Pages come from a registry that knows the file alone.
 */

#define BEGINNING "HTTP/1."

enum { REQUEST_MAX = 4096, PATIENCE_US = 20 * 1000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Made once, kept until the program ends. */
static Http *http;
static uint16_t port;

static uint16_t
free_port(void)
{
        g_autoptr(GSocketListener) listener = g_socket_listener_new();
        uint16_t found = g_socket_listener_add_any_inet_port(listener, NULL, NULL);

        g_socket_listener_close(listener);
        return found;
}

static void
serve(void)
{
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GError) error = NULL;

        port = free_port();

        g_autofree char *text = g_strdup_printf("[DEFAULT]\nstate_dir = %s\n[http]\nlisten = 127.0.0.1:%u\n"
                                                "[route:work]\nqueue = work\ndestination = queue:other\n",
                                                g_get_tmp_dir(), port);
        Conf *conf = conf_parse("f", text, strlen(text), errors);

        g_assert_cmpuint(errors->len, ==, 0);

        Stats *stats = stats_new();

        stats_set_conf(stats, conf);

        Registry *registry = registry_new(conf, NULL, NULL, &error);

        g_assert_no_error(error);

        Recorder *recorder = recorder_new(g_get_monotonic_time());

        http_free(http_new(conf, stats, registry, recorder, NULL)); /* the port is free again */
        http = http_new(conf, stats, registry, recorder, &error);
        g_assert_no_error(error);
        g_assert_null(http_new(conf, stats, registry, recorder, NULL)); /* and now taken */
}

static GSocket *
connect_to(void)
{
        g_autoptr(GError) error = NULL;
        g_autoptr(GInetAddress) loopback = g_inet_address_new_loopback(G_SOCKET_FAMILY_IPV4);
        g_autoptr(GSocketAddress) address = g_inet_socket_address_new(loopback, port);
        GSocket *socket =
            g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, &error);

        g_assert_no_error(error);
        g_socket_connect(socket, address, NULL, &error);
        g_assert_no_error(error);
        return socket;
}

static void
send_all(GSocket *socket, const char *bytes, size_t length)
{
        gssize sent = 1;

        /* It may have had enough before the end. */
        for (; length > 0 && sent > 0; bytes += sent, length -= (size_t)MAX(sent, 0))
                sent = g_socket_send(socket, bytes, length, NULL, NULL);
        g_socket_shutdown(socket, FALSE, TRUE, NULL);
}

/* What comes soon; a server that waits for the rest of a request says nothing. */
static gssize
receive(GSocket *socket, char *answer, size_t size)
{
        if (!g_socket_condition_timed_wait(socket, G_IO_IN, PATIENCE_US, NULL, NULL))
                return 0;
        return g_socket_receive(socket, answer, size, NULL, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char answer[4096];

        if (!http)
                serve();

        g_autoptr(GSocket) socket = connect_to();

        send_all(socket, (const char *)data, MIN(size, REQUEST_MAX));

        gssize length = receive(socket, answer, sizeof(answer));

        if (length >= (gssize)strlen(BEGINNING))
                g_assert_cmpmem(answer, strlen(BEGINNING), BEGINNING, strlen(BEGINNING));
        while (length > 0)
                length = receive(socket, answer, sizeof(answer));
        return 0;
}
