/* SPDX-License-Identifier: MIT */
#include "tests/support/client.h"

#include "tests/support/live.h"

#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <string.h>
#include <sys/time.h>

/*
 * Everything is an RPC on one channel, so librabbitmq's simple calls do. Confirms may come in any order and
 * several at once: `confirmed` holds one byte per publish, and `settled` counts those in front that have no
 * gap.
 */

enum { CHANNEL = 1, CONNECT_DEADLINE_MS = 30000, CONFIRM_DEADLINE_MS = 30000, PERSISTENT = 2 };

struct Client {
        char *url;
        GStrv urls; /* its parts */
        unsigned tries;
        amqp_connection_state_t connection;
        uint64_t published;
        uint64_t settled;
        GByteArray *confirmed; /* byte N: publish N + 1 is confirmed */
};

static char *
describe(amqp_rpc_reply_t reply)
{
        if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION)
                return g_strdup(amqp_error_string2(reply.library_error));
        if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
            reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
                amqp_channel_close_t *close = reply.reply.decoded;

                return g_strndup(close->reply_text.bytes, close->reply_text.len);
        }
        if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
            reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
                amqp_connection_close_t *close = reply.reply.decoded;

                return g_strndup(close->reply_text.bytes, close->reply_text.len);
        }
        return g_strdup("no answer");
}

static void
must(amqp_rpc_reply_t reply, const char *what, const char *name)
{
        if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
                g_autofree char *why = describe(reply);

                g_error("test client: %s %s: %s", what, name, why);
        }
}

static bool
try_connect(void *data)
{
        Client *client = data;
        unsigned turn = client->tries++ % g_strv_length(client->urls);
        g_autofree char *url = g_strdup(client->urls[turn]); /* amqp_parse_url() writes into it */
        struct amqp_connection_info info;
        amqp_socket_t *socket = NULL;
        amqp_rpc_reply_t reply;

        if (amqp_parse_url(url, &info) != AMQP_STATUS_OK)
                g_error("test client: not an AMQP URL: %s", client->urls[turn]);
        client->connection = amqp_new_connection();
        socket = amqp_tcp_socket_new(client->connection);
        if (amqp_socket_open(socket, info.host, info.port) == AMQP_STATUS_OK) {
                reply = amqp_login(client->connection, info.vhost, 0, AMQP_DEFAULT_FRAME_SIZE, 0,
                                   AMQP_SASL_METHOD_PLAIN, info.user, info.password);
                if (reply.reply_type == AMQP_RESPONSE_NORMAL)
                        return true;
        }
        amqp_destroy_connection(client->connection);
        client->connection = NULL;
        return false;
}

static void
open_channel(Client *client)
{
        amqp_channel_open(client->connection, CHANNEL);
        must(amqp_get_rpc_reply(client->connection), "opens a channel at", client->url);
        amqp_confirm_select(client->connection, CHANNEL);
        must(amqp_get_rpc_reply(client->connection), "asks for confirms at", client->url);
        client->published = 0;
        client->settled = 0;
        g_byte_array_set_size(client->confirmed, 0);
}

Client *
client_new(const char *url)
{
        Client *client = g_new0(Client, 1);

        client->url = g_strdup(url);
        client->urls = g_strsplit(url, ",", -1);
        client->confirmed = g_byte_array_new();
        if (!live_wait(CONNECT_DEADLINE_MS, try_connect, client))
                g_error("test client: cannot connect to %s", url);
        open_channel(client);
        return client;
}

void
client_free(Client *client)
{
        if (client == NULL)
                return;
        amqp_connection_close(client->connection, AMQP_REPLY_SUCCESS);
        amqp_destroy_connection(client->connection);
        g_byte_array_unref(client->confirmed);
        g_strfreev(client->urls);
        g_free(client->url);
        g_free(client);
}

void
client_declare_queue(Client *client, const char *queue, const amqp_table_t *arguments)
{
        amqp_queue_declare(client->connection, CHANNEL, amqp_cstring_bytes(queue), 0, 1, 0, 0,
                           arguments != NULL ? *arguments : amqp_empty_table);
        must(amqp_get_rpc_reply(client->connection), "declares queue", queue);
}

void
client_declare_exclusive(Client *client, const char *queue)
{
        amqp_queue_declare(client->connection, CHANNEL, amqp_cstring_bytes(queue), 0, 0, 1, 0,
                           amqp_empty_table);
        must(amqp_get_rpc_reply(client->connection), "declares for itself queue", queue);
}

void
client_delete_queue(Client *client, const char *queue)
{
        amqp_queue_delete(client->connection, CHANNEL, amqp_cstring_bytes(queue), 0, 0);
        must(amqp_get_rpc_reply(client->connection), "deletes queue", queue);
}

void
client_purge_queue(Client *client, const char *queue)
{
        amqp_queue_purge(client->connection, CHANNEL, amqp_cstring_bytes(queue));
        must(amqp_get_rpc_reply(client->connection), "purges queue", queue);
}

void
client_declare_exchange(Client *client, const char *exchange, const char *type)
{
        amqp_exchange_declare(client->connection, CHANNEL, amqp_cstring_bytes(exchange),
                              amqp_cstring_bytes(type), 0, 1, 0, 0, amqp_empty_table);
        must(amqp_get_rpc_reply(client->connection), "declares exchange", exchange);
}

void
client_delete_exchange(Client *client, const char *exchange)
{
        amqp_exchange_delete(client->connection, CHANNEL, amqp_cstring_bytes(exchange), 0);
        must(amqp_get_rpc_reply(client->connection), "deletes exchange", exchange);
}

void
client_bind(Client *client, const char *queue, const char *exchange, const char *key)
{
        amqp_queue_bind(client->connection, CHANNEL, amqp_cstring_bytes(queue), amqp_cstring_bytes(exchange),
                        amqp_cstring_bytes(key), amqp_empty_table);
        must(amqp_get_rpc_reply(client->connection), "binds queue", queue);
}

static bool
is_not_found(amqp_rpc_reply_t reply)
{
        return reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
               reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD &&
               ((amqp_channel_close_t *)reply.reply.decoded)->reply_code == AMQP_NOT_FOUND;
}

/* Confirms of the channel that is gone would be taken for the new one's. */
static void
drop_queued_frames(Client *client)
{
        struct timeval at_once = {0};
        amqp_frame_t frame;

        while (amqp_frames_enqueued(client->connection) &&
               amqp_simple_wait_frame_noblock(client->connection, &frame, &at_once) == AMQP_STATUS_OK)
                ;
}

bool
client_count(Client *client, const char *queue, uint32_t *out_messages, uint32_t *out_consumers)
{
        amqp_queue_declare_ok_t *ok = amqp_queue_declare(
            client->connection, CHANNEL, amqp_cstring_bytes(queue), 1, 0, 0, 0, amqp_empty_table);
        amqp_rpc_reply_t reply = amqp_get_rpc_reply(client->connection);

        if (is_not_found(reply)) {
                amqp_channel_close_ok_t close_ok = {0};

                amqp_send_method(client->connection, CHANNEL, AMQP_CHANNEL_CLOSE_OK_METHOD, &close_ok);
                drop_queued_frames(client);
                open_channel(client);
                return false;
        }
        must(reply, "looks at queue", queue);
        if (out_messages != NULL)
                *out_messages = ok->message_count;
        if (out_consumers != NULL)
                *out_consumers = ok->consumer_count;
        amqp_maybe_release_buffers(client->connection);
        return true;
}

void
client_publish(Client *client, const char *exchange, const char *key,
               const amqp_basic_properties_t *properties, amqp_bytes_t body)
{
        static const guint8 not_yet = 0;
        int status = amqp_basic_publish(client->connection, CHANNEL, amqp_cstring_bytes(exchange),
                                        amqp_cstring_bytes(key), 0, 0, properties, body);

        if (status != AMQP_STATUS_OK)
                g_error("test client: publish to \"%s\" with key %s: %s", exchange, key,
                        amqp_error_string2(status));
        client->published++;
        g_byte_array_append(client->confirmed, &not_yet, 1);
}

void
client_publish_text(Client *client, const char *queue, const char *cluster, const char *body)
{
        amqp_table_entry_t entry = client_entry_text("cluster", cluster != NULL ? cluster : "");
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
                                              .delivery_mode = PERSISTENT};

        if (cluster != NULL) {
                properties._flags |= AMQP_BASIC_HEADERS_FLAG;
                properties.headers = (amqp_table_t){1, &entry};
        }
        client_publish(client, "", queue, &properties, amqp_cstring_bytes(body));
}

static void
note_confirm(Client *client, const amqp_basic_ack_t *ack)
{
        uint64_t from = ack->multiple ? client->settled + 1 : ack->delivery_tag;
        uint64_t to = ack->delivery_tag == 0 ? client->published : ack->delivery_tag;

        g_assert_cmpuint(to, <=, client->published);
        for (uint64_t tag = from; tag <= to; tag++)
                client->confirmed->data[tag - 1] = 1;
        while (client->settled < client->published && client->confirmed->data[client->settled] != 0)
                client->settled++;
}

static void
handle_frame(Client *client, const amqp_frame_t *frame)
{
        if (frame->frame_type != AMQP_FRAME_METHOD)
                return;
        if (frame->payload.method.id == AMQP_BASIC_ACK_METHOD)
                note_confirm(client, frame->payload.method.decoded);
        else
                g_error("test client: %s instead of a confirm", amqp_method_name(frame->payload.method.id));
}

static struct timeval
until(int64_t end_us)
{
        int64_t left_us = MAX(end_us - g_get_monotonic_time(), 0);

        return (struct timeval){.tv_sec = left_us / G_USEC_PER_SEC, .tv_usec = left_us % G_USEC_PER_SEC};
}

void
client_confirm(Client *client)
{
        int64_t end_us = g_get_monotonic_time() + CONFIRM_DEADLINE_MS * INT64_C(1000);

        while (client->settled < client->published) {
                struct timeval timeout = until(end_us);
                amqp_frame_t frame;
                int status = amqp_simple_wait_frame_noblock(client->connection, &frame, &timeout);

                if (status != AMQP_STATUS_OK)
                        g_error("test client: %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
                                " confirmed, then: %s",
                                client->settled, client->published, amqp_error_string2(status));
                handle_frame(client, &frame);
                amqp_maybe_release_buffers(client->connection);
        }
}

amqp_table_entry_t
client_entry_text(const char *key, const char *text)
{
        return (amqp_table_entry_t){
            .key = amqp_cstring_bytes(key),
            .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(text)}};
}

amqp_table_entry_t
client_entry_int(const char *key, int64_t value)
{
        return (amqp_table_entry_t){.key = amqp_cstring_bytes(key),
                                    .value = {.kind = AMQP_FIELD_KIND_I64, .value.i64 = value}};
}

void
client_message_free(ClientMessage *message)
{
        if (message == NULL)
                return;
        g_free(message->exchange);
        g_free(message->key);
        amqp_destroy_message(&message->message);
        g_free(message);
}

const amqp_field_value_t *
client_message_header(const ClientMessage *message, const char *name)
{
        const amqp_table_t *headers = &message->message.properties.headers;

        if ((message->message.properties._flags & AMQP_BASIC_HEADERS_FLAG) == 0)
                return NULL;
        for (int i = 0; i < headers->num_entries; i++) {
                amqp_bytes_t key = headers->entries[i].key;

                if (key.len == strlen(name) && memcmp(key.bytes, name, key.len) == 0)
                        return &headers->entries[i].value;
        }
        return NULL;
}

/* Of no bytes librabbitmq keeps no address. */
static char *
text_of(amqp_bytes_t bytes)
{
        return bytes.len > 0 ? g_strndup(bytes.bytes, bytes.len) : g_strdup("");
}

char *
client_message_header_text(const ClientMessage *message, const char *name)
{
        const amqp_field_value_t *value = client_message_header(message, name);

        if (value == NULL || value->kind != AMQP_FIELD_KIND_UTF8)
                return NULL;
        return text_of(value->value.bytes);
}

void
client_message_expect_text(const ClientMessage *message, const char *name, const char *wanted)
{
        g_autofree char *found = client_message_header_text(message, name);

        g_assert_cmpstr(found, ==, wanted);
}

char *
client_message_body(const ClientMessage *message)
{
        return text_of(message->message.body);
}

static ClientMessage *
new_message(amqp_bytes_t exchange, amqp_bytes_t key, bool redelivered, uint64_t delivery_tag)
{
        ClientMessage *message = g_new0(ClientMessage, 1);

        message->exchange = g_strndup(exchange.bytes, exchange.len);
        message->key = g_strndup(key.bytes, key.len);
        message->redelivered = redelivered;
        message->delivery_tag = delivery_tag;
        return message;
}

ClientMessage *
client_get(Client *client, const char *queue)
{
        ClientMessage *message = NULL;
        amqp_basic_get_ok_t *ok = NULL;
        amqp_rpc_reply_t reply;

        client_confirm(client); /* a confirm amid the frames of the message would confuse the library */
        reply = amqp_basic_get(client->connection, CHANNEL, amqp_cstring_bytes(queue), 1);
        must(reply, "gets from queue", queue);
        if (reply.reply.id == AMQP_BASIC_GET_EMPTY_METHOD)
                return NULL;
        ok = reply.reply.decoded;
        message = new_message(ok->exchange, ok->routing_key, ok->redelivered, ok->delivery_tag);
        must(amqp_read_message(client->connection, CHANNEL, &message->message, 0), "reads from queue", queue);
        amqp_maybe_release_buffers(client->connection);
        return message;
}

void
client_consume(Client *client, const char *queue, uint16_t prefetch)
{
        amqp_basic_qos(client->connection, CHANNEL, 0, prefetch, 0);
        must(amqp_get_rpc_reply(client->connection), "sets the prefetch for queue", queue);
        amqp_basic_consume(client->connection, CHANNEL, amqp_cstring_bytes(queue), amqp_empty_bytes, 0, 0, 0,
                           amqp_empty_table);
        must(amqp_get_rpc_reply(client->connection), "consumes queue", queue);
}

ClientMessage *
client_next(Client *client, int64_t timeout_ms)
{
        struct timeval timeout = until(g_get_monotonic_time() + timeout_ms * 1000);
        ClientMessage *message = NULL;
        amqp_envelope_t envelope;
        amqp_rpc_reply_t reply;

        amqp_maybe_release_buffers(client->connection);
        reply = amqp_consume_message(client->connection, &envelope, &timeout, 0);
        if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION && reply.library_error == AMQP_STATUS_TIMEOUT)
                return NULL;
        must(reply, "waits for a message at", client->url);
        message =
            new_message(envelope.exchange, envelope.routing_key, envelope.redelivered, envelope.delivery_tag);
        message->message = envelope.message;
        memset(&envelope.message, 0, sizeof envelope.message);
        amqp_bytes_free(envelope.routing_key);
        amqp_bytes_free(envelope.exchange);
        amqp_bytes_free(envelope.consumer_tag);
        return message;
}

static void
ack(Client *client, const ClientMessage *message, amqp_boolean_t multiple)
{
        int status = amqp_basic_ack(client->connection, CHANNEL, message->delivery_tag, multiple);

        if (status != AMQP_STATUS_OK)
                g_error("test client: ack: %s", amqp_error_string2(status));
}

void
client_ack(Client *client, const ClientMessage *message)
{
        ack(client, message, 0);
}

void
client_ack_upto(Client *client, const ClientMessage *message)
{
        ack(client, message, 1);
}
