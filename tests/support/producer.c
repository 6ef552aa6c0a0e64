/* SPDX-License-Identifier: MIT */
#include "tests/support/producer.h"

#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <sys/time.h>

/*
 * `tokens` holds the token of every publish on this connection, by its number; a confirmed one is marked in
 * `done`. `first` is the oldest number that may still be unconfirmed.
 */

enum { CHANNEL = 1, CONNECT_PAUSE_US = 100 * 1000, LOGIN_TIMEOUT_S = 10 };

struct Producer {
        GStrv urls;
        unsigned tries;
        void (*on_confirmed)(uint64_t token, void *user_data);
        void *user_data;
        amqp_connection_state_t connection; /* NULL: none */
        int64_t connect_us;                 /* no new attempt before */
        GArray *tokens;                     /* of uint64_t */
        GByteArray *done;
        uint64_t first;
        unsigned unconfirmed;
};

Producer *
producer_new(const char *url, void (*on_confirmed)(uint64_t token, void *user_data), void *user_data)
{
        Producer *producer = g_new0(Producer, 1);

        producer->urls = g_strsplit(url, ",", -1);
        producer->on_confirmed = on_confirmed;
        producer->user_data = user_data;
        producer->tokens = g_array_new(FALSE, FALSE, sizeof(uint64_t));
        producer->done = g_byte_array_new();
        return producer;
}

static void
disconnect(Producer *producer)
{
        if (producer->connection != NULL)
                amqp_destroy_connection(producer->connection);
        producer->connection = NULL;
        producer->connect_us = g_get_monotonic_time() + CONNECT_PAUSE_US;
        producer->unconfirmed = 0;
        producer->first = 0;
        g_array_set_size(producer->tokens, 0);
        g_byte_array_set_size(producer->done, 0);
}

void
producer_free(Producer *producer)
{
        if (producer == NULL)
                return;
        disconnect(producer);
        g_array_unref(producer->tokens);
        g_byte_array_unref(producer->done);
        g_strfreev(producer->urls);
        g_free(producer);
}

static bool
log_in(amqp_connection_state_t connection, const char *url)
{
        g_autofree char *copy = g_strdup(url); /* amqp_parse_url() writes into it */
        amqp_socket_t *socket = amqp_tcp_socket_new(connection);
        struct timeval timeout = {.tv_sec = LOGIN_TIMEOUT_S};
        struct amqp_connection_info info;

        if (amqp_parse_url(copy, &info) != AMQP_STATUS_OK)
                g_error("test producer: not an AMQP URL: %s", url);
        if (amqp_socket_open_noblock(socket, info.host, info.port, &timeout) != AMQP_STATUS_OK)
                return false;
        amqp_set_handshake_timeout(connection, &timeout);
        amqp_set_rpc_timeout(connection, &timeout);
        if (amqp_login(connection, info.vhost, 0, AMQP_DEFAULT_FRAME_SIZE, 0, AMQP_SASL_METHOD_PLAIN,
                       info.user, info.password)
                .reply_type != AMQP_RESPONSE_NORMAL)
                return false;
        amqp_channel_open(connection, CHANNEL);
        if (amqp_get_rpc_reply(connection).reply_type != AMQP_RESPONSE_NORMAL)
                return false;
        amqp_confirm_select(connection, CHANNEL);
        return amqp_get_rpc_reply(connection).reply_type == AMQP_RESPONSE_NORMAL;
}

static bool
ensure_connected(Producer *producer)
{
        if (producer->connection != NULL)
                return true;
        if (g_get_monotonic_time() < producer->connect_us)
                return false;
        producer->connection = amqp_new_connection();
        if (log_in(producer->connection, producer->urls[producer->tries++ % g_strv_length(producer->urls)]))
                return true;
        disconnect(producer);
        return false;
}

bool
producer_publish(Producer *producer, const char *queue, const amqp_basic_properties_t *properties,
                 amqp_bytes_t body, uint64_t token)
{
        static const guint8 not_yet = 0;

        if (!ensure_connected(producer))
                return false;
        g_array_append_val(producer->tokens, token);
        g_byte_array_append(producer->done, &not_yet, 1);
        producer->unconfirmed++;
        if (amqp_basic_publish(producer->connection, CHANNEL, amqp_empty_bytes, amqp_cstring_bytes(queue), 0,
                               0, properties, body) == AMQP_STATUS_OK)
                return true;
        disconnect(producer);
        return false;
}

static void
note_ack(Producer *producer, const amqp_basic_ack_t *ack)
{
        uint64_t from = ack->multiple ? producer->first + 1 : ack->delivery_tag;

        for (uint64_t tag = from; tag <= ack->delivery_tag && tag <= producer->tokens->len; tag++) {
                if (producer->done->data[tag - 1])
                        continue;
                producer->done->data[tag - 1] = 1;
                producer->unconfirmed--;
                producer->on_confirmed(g_array_index(producer->tokens, uint64_t, tag - 1),
                                       producer->user_data);
        }
        while (producer->first < producer->tokens->len && producer->done->data[producer->first])
                producer->first++;
}

static bool
take_frame(Producer *producer, int64_t end_us)
{
        int64_t left_us = MAX(end_us - g_get_monotonic_time(), 0);
        struct timeval timeout = {.tv_sec = left_us / G_USEC_PER_SEC, .tv_usec = left_us % G_USEC_PER_SEC};
        amqp_frame_t frame;
        int status;

        amqp_maybe_release_buffers(producer->connection);
        status = amqp_simple_wait_frame_noblock(producer->connection, &frame, &timeout);
        if (status == AMQP_STATUS_TIMEOUT)
                return false;
        if (status != AMQP_STATUS_OK || frame.frame_type != AMQP_FRAME_METHOD ||
            frame.payload.method.id != AMQP_BASIC_ACK_METHOD) {
                disconnect(producer);
                return false;
        }
        note_ack(producer, frame.payload.method.decoded);
        return true;
}

bool
producer_confirm(Producer *producer, unsigned unconfirmed, int64_t timeout_ms)
{
        int64_t end_us = g_get_monotonic_time() + timeout_ms * 1000;

        while (producer->connection != NULL && producer->unconfirmed > unconfirmed) {
                if (!take_frame(producer, end_us))
                        return false;
        }
        return producer->connection != NULL;
}

unsigned
producer_unconfirmed(const Producer *producer)
{
        return producer->unconfirmed;
}
