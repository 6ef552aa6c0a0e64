/* SPDX-License-Identifier: MIT */
/*
 * basic.get, not basic.consume: this program must hold no more messages than it looks at, and must know when
 * a queue is empty.
 */
#include "router/ctl/broker.h"

#include "router/ctl/command.h"
#include "router/ctl/message_file.h"
#include "router/dial.h"
#include "router/topology.h"

#include <amqp_framing.h>
#include <string.h>

struct Broker {
        amqp_connection_state_t connection;
        char *url; /* masked */
        char *error;
};

static bool
use(Broker *broker, const char *url, amqp_connection_state_t connection)
{
        broker->connection = connection;
        broker->url = conf_mask_url(url);
        return true;
}

Broker *
broker_open(const Conf *conf)
{
        return broker_open_for(conf, NULL);
}

Broker *
broker_open_for(const Conf *conf, const ConfCluster *cluster)
{
        bool own = cluster && cluster->amqp_urls[0];
        const ConfTls *tls = own ? &cluster->tls : &conf->broker_tls;
        g_autoptr(Broker) broker = g_new0(Broker, 1);

        for (char **url = own ? cluster->amqp_urls : conf->broker_urls; *url; url++) {
                g_autoptr(GError) error = NULL;
                amqp_connection_state_t connection =
                    dial(*url, tls, conf->broker_heartbeat_s, "clusterctl", &error);

                if (connection && use(broker, *url, connection))
                        return g_steal_pointer(&broker);
                command_warn("%s", error->message);
        }
        return NULL;
}

void
broker_free(Broker *broker)
{
        struct timeval second = {.tv_sec = 1};

        if (broker == NULL)
                return;
        if (broker->connection && !broker->error) {
                amqp_set_rpc_timeout(broker->connection, &second);
                amqp_connection_close(broker->connection, AMQP_REPLY_SUCCESS);
        }
        if (broker->connection)
                dial_discard(broker->connection);
        g_free(broker->url);
        g_free(broker->error);
        g_free(broker);
}

int
broker_fail(const Broker *broker)
{
        return command_fail(EXIT_UNAVAILABLE, "%s: %s", broker->url, broker->error);
}

static BrokerResult
fail(Broker *broker, char *why)
{
        g_free(broker->error);
        broker->error = why;
        return BROKER_FAILED;
}

static BrokerResult
check_status(Broker *broker, int status)
{
        return status == AMQP_STATUS_OK ? BROKER_DONE : fail(broker, g_strdup(amqp_error_string2(status)));
}

BrokerResult
broker_look(Broker *broker, const char *queue, uint32_t *out_messages, uint32_t *out_consumers)
{
        g_autoptr(GError) error = NULL;

        switch (topology_look(broker->connection, LINK_CHANNEL, queue, out_messages, out_consumers, &error)) {
        case TOPOLOGY_OK:
                return BROKER_DONE;
        case TOPOLOGY_ABSENT:
                return BROKER_NOTHING;
        case TOPOLOGY_REFUSED:
        case TOPOLOGY_LOST:
                break;
        }
        return fail(broker, g_strdup(error->message));
}

/* ---- taking ---- */

/* What the broker answered to basic.get; the strings live until buffers are released. */
typedef struct {
        uint64_t tag;
        bool redelivered;
        char exchange[256], key[256];
        size_t exchange_bytes, key_bytes;
} Taken;

static size_t
keep(char *to, amqp_bytes_t from)
{
        size_t length = MIN(from.len, 255);

        if (length > 0)
                memcpy(to, from.bytes, length);
        return length;
}

static Message *
assemble(const Taken *taken, const amqp_message_t *content, GError **error)
{
        amqp_bytes_t exchange = {taken->exchange_bytes, (void *)taken->exchange};
        amqp_bytes_t key = {taken->key_bytes, (void *)taken->key};
        Message *message = message_file_make(exchange, key, &content->properties, content->body, error);

        if (message == NULL)
                return NULL;
        message->tag = taken->tag;
        message->redelivered = taken->redelivered;
        message->received_us = g_get_monotonic_time();
        return message;
}

static BrokerResult
read_content(Broker *broker, const Taken *taken, Message **out_message)
{
        amqp_message_t content;
        g_autoptr(GError) error = NULL;
        amqp_rpc_reply_t reply = amqp_read_message(broker->connection, LINK_CHANNEL, &content, 0);

        if (reply.reply_type != AMQP_RESPONSE_NORMAL)
                return fail(broker, dial_describe_reply(reply));

        Message *message = assemble(taken, &content, &error);

        amqp_destroy_message(&content);
        if (message == NULL)
                return fail(broker, g_strdup(error->message));
        *out_message = message;
        return BROKER_DONE;
}

BrokerResult
broker_take(Broker *broker, const char *queue, Message **out_message)
{
        amqp_rpc_reply_t reply;
        Taken taken = {0};

        amqp_maybe_release_buffers(broker->connection);
        reply = amqp_basic_get(broker->connection, LINK_CHANNEL, amqp_cstring_bytes(queue), 0);
        if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
                g_autofree char *why = dial_describe_reply(reply);

                return fail(broker, g_strdup_printf("queue \"%s\": %s", queue, why));
        }
        if (reply.reply.id == AMQP_BASIC_GET_EMPTY_METHOD)
                return BROKER_NOTHING;

        const amqp_basic_get_ok_t *got = reply.reply.decoded;

        taken.tag = got->delivery_tag;
        taken.redelivered = got->redelivered;
        taken.exchange_bytes = keep(taken.exchange, got->exchange);
        taken.key_bytes = keep(taken.key, got->routing_key);
        return read_content(broker, &taken, out_message);
}

BrokerResult
broker_settle(Broker *broker, uint64_t tag)
{
        return check_status(broker, amqp_basic_ack(broker->connection, LINK_CHANNEL, tag, false));
}

BrokerResult
broker_give_back(Broker *broker)
{
        return check_status(broker, amqp_basic_nack(broker->connection, LINK_CHANNEL, 0, true, true));
}

BrokerResult
broker_idle(Broker *broker)
{
        struct timeval none = {0};
        amqp_frame_t frame;
        int status = amqp_simple_wait_frame_noblock(broker->connection, &frame, &none);

        if (status == AMQP_STATUS_TIMEOUT)
                return BROKER_DONE;
        if (status != AMQP_STATUS_OK)
                return check_status(broker, status);
        if (frame.frame_type == AMQP_FRAME_METHOD &&
            frame.payload.method.id != AMQP_CONNECTION_BLOCKED_METHOD &&
            frame.payload.method.id != AMQP_CONNECTION_UNBLOCKED_METHOD)
                return fail(broker, g_strdup_printf("the broker closed the channel (%s)",
                                                    amqp_method_name(frame.payload.method.id)));
        return BROKER_DONE;
}
