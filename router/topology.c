/* SPDX-License-Identifier: MIT */

/*
 * A declare with other arguments than the queue has is refused with 406 and closes the channel; a passive
 * declare ignores the arguments. So: declare, and where that is refused, look passively and use what is
 * there. An exchange is looked at first: to make one with the wrong properties would break its other users
 * with 406.
 */

#include "router/topology.h"
#include "conf/trouble.h"
#include "router/dial.h"

#include <amqp_framing.h>

char *
topology_parking_queue(const ConfRoute *route, const char *cluster)
{
        if (!cluster)
                return g_strdup_printf("cluster-router.%s.parked", route->name);
        return g_strdup_printf("cluster-router.%s.parked.%s", route->name, cluster);
}

char *
topology_dead_queue(const ConfRoute *route)
{
        return g_strdup_printf("cluster-router.%s.dead", route->name);
}

amqp_table_entry_t
topology_quorum_argument(void)
{
        return (amqp_table_entry_t){
            .key = amqp_cstring_bytes("x-queue-type"),
            .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("quorum")}};
}

amqp_table_entry_t
topology_reply_argument(void)
{
        /* A minute more than oslo.messaging gives its own queues, so that none of these is taken for ours. */
        return (amqp_table_entry_t){
            .key = amqp_cstring_bytes("x-expires"),
            .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = TOPOLOGY_REPLY_EXPIRES_MS}};
}

/* After a refusal the channel is closed: agrees to that and opens it again. */
static TopologyResult
recover(amqp_connection_state_t connection, amqp_channel_t channel, amqp_rpc_reply_t reply, const char *what,
        GError **error)
{
        g_autofree char *why = dial_describe_reply(reply);
        amqp_channel_close_ok_t ok = {0};
        bool refused =
            reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD;

        g_set_error(error, TROUBLE, TROUBLE_OUTSIDE, "%s: %s", what, why);
        if (!refused ||
            amqp_send_method(connection, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok) != AMQP_STATUS_OK)
                return TOPOLOGY_LOST;
        amqp_channel_open(connection, channel);
        if (amqp_get_rpc_reply(connection).reply_type != AMQP_RESPONSE_NORMAL)
                return TOPOLOGY_LOST;
        return TOPOLOGY_REFUSED;
}

typedef enum { QUEUE_DURABLE, QUEUE_LOOK } QueueKind;

static bool
is_not_found(amqp_rpc_reply_t reply)
{
        if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION || reply.reply.id != AMQP_CHANNEL_CLOSE_METHOD)
                return false;
        return ((amqp_channel_close_t *)reply.reply.decoded)->reply_code == AMQP_NOT_FOUND;
}

static TopologyResult
declare_queue(amqp_connection_state_t connection, amqp_channel_t channel, const char *queue, QueueKind kind,
              const amqp_table_t *arguments, amqp_queue_declare_ok_t *out_state, GError **error)
{
        g_autofree char *what = g_strdup_printf("queue \"%s\"", queue);
        const amqp_queue_declare_ok_t *state =
            amqp_queue_declare(connection, channel, amqp_cstring_bytes(queue), kind == QUEUE_LOOK,
                               kind == QUEUE_DURABLE, 0, 0, *arguments);

        if (state) {
                *out_state = *state;
                return TOPOLOGY_OK;
        }

        amqp_rpc_reply_t reply = amqp_get_rpc_reply(connection);
        bool absent = kind == QUEUE_LOOK && is_not_found(reply);
        TopologyResult result = recover(connection, channel, reply, what, error);

        return absent && result == TOPOLOGY_REFUSED ? TOPOLOGY_ABSENT : result;
}

TopologyResult
topology_ensure_queue(amqp_connection_state_t connection, amqp_channel_t channel, const char *queue,
                      bool quorum, uint32_t *out_messages, GError **error)
{
        amqp_table_entry_t type = topology_quorum_argument();
        amqp_table_t arguments = {.num_entries = quorum ? 1 : 0, .entries = &type};
        amqp_queue_declare_ok_t state = {0};
        g_autoptr(GError) refusal = NULL;
        TopologyResult result =
            declare_queue(connection, channel, queue, QUEUE_DURABLE, &arguments, &state, &refusal);

        if (result == TOPOLOGY_REFUSED) {
                result =
                    declare_queue(connection, channel, queue, QUEUE_LOOK, &amqp_empty_table, &state, NULL);
                /* Neither made nor seen: then the first refusal tells why. */
                result = result == TOPOLOGY_ABSENT ? TOPOLOGY_REFUSED : result;
        }
        if (result != TOPOLOGY_OK)
                g_propagate_error(error, g_steal_pointer(&refusal));
        else if (out_messages)
                *out_messages = state.message_count;
        return result;
}

TopologyResult
topology_look(amqp_connection_state_t connection, amqp_channel_t channel, const char *queue,
              uint32_t *out_messages, uint32_t *out_consumers, GError **error)
{
        amqp_queue_declare_ok_t state = {0};
        g_autoptr(GError) refusal = NULL;
        TopologyResult result =
            declare_queue(connection, channel, queue, QUEUE_LOOK, &amqp_empty_table, &state, &refusal);

        if (result != TOPOLOGY_OK && result != TOPOLOGY_ABSENT)
                g_propagate_error(error, g_steal_pointer(&refusal));
        if (result == TOPOLOGY_OK && out_messages)
                *out_messages = state.message_count;
        if (result == TOPOLOGY_OK && out_consumers)
                *out_consumers = state.consumer_count;
        return result;
}

static TopologyResult
ensure_exchange(amqp_connection_state_t connection, amqp_channel_t channel, const ConfRoute *route,
                const char *exchange, GError **error)
{
        g_autofree char *what = g_strdup_printf("exchange \"%s\"", exchange);
        amqp_bytes_t name = amqp_cstring_bytes(exchange),
                     type = amqp_cstring_bytes(route->bind_exchange_type);
        g_autoptr(GError) absent = NULL;

        if (amqp_exchange_declare(connection, channel, name, type, 1, 0, 0, 0, amqp_empty_table))
                return TOPOLOGY_OK;
        if (recover(connection, channel, amqp_get_rpc_reply(connection), what, &absent) == TOPOLOGY_LOST) {
                g_propagate_error(error, g_steal_pointer(&absent));
                return TOPOLOGY_LOST;
        }
        if (amqp_exchange_declare(connection, channel, name, type, 0, route->bind_exchange_durable,
                                  route->bind_exchange_auto_delete, 0, amqp_empty_table))
                return TOPOLOGY_OK;
        return recover(connection, channel, amqp_get_rpc_reply(connection), what, error);
}

static TopologyResult
ensure_bind(amqp_connection_state_t connection, amqp_channel_t channel, const ConfRoute *route,
            const ConfBind *bind, GError **error)
{
        g_autofree char *what = g_strdup_printf("binding %s/%s", bind->exchange, bind->key);
        TopologyResult result = ensure_exchange(connection, channel, route, bind->exchange, error);

        if (result != TOPOLOGY_OK)
                return result;
        if (amqp_queue_bind(connection, channel, amqp_cstring_bytes(route->queue),
                            amqp_cstring_bytes(bind->exchange), amqp_cstring_bytes(bind->key),
                            amqp_empty_table))
                return TOPOLOGY_OK;
        return recover(connection, channel, amqp_get_rpc_reply(connection), what, error);
}

TopologyResult
topology_ensure_intake(amqp_connection_state_t connection, amqp_channel_t channel, const Conf *conf,
                       const ConfRoute *route, GError **error)
{
        TopologyResult result =
            topology_ensure_queue(connection, channel, route->queue, conf->quorum, NULL, error);

        for (unsigned i = 0; result == TOPOLOGY_OK && i < route->binds->len; i++)
                result = ensure_bind(connection, channel, route, g_ptr_array_index(route->binds, i), error);
        return result;
}
