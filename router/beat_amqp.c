/* SPDX-License-Identifier: MIT */
/*
 * The answer comes back by the broker's direct reply-to, so no queue is made for it. A request that no router
 * takes within the time to live of its heartbeat is dropped by the broker: it would say nothing any more.
 */
#include "router/beat_amqp.h"

#include "conf/trouble.h"
#include "router/control.h"
#include "router/dial.h"
#include "router/message.h"

#include <jansson.h>
#include <string.h>
#include <sys/time.h>

static const char REPLY_QUEUE[] = "amq.rabbitmq.reply-to";

struct AmqpBeat {
        Conf *conf;
        amqp_connection_state_t connection; /* NULL: none */
        unsigned next_url;
        uint64_t number; /* of the last request */
};

AmqpBeat *
amqp_beat_new(const Conf *conf)
{
        AmqpBeat *beat = g_new0(AmqpBeat, 1);

        beat->conf = conf_ref((Conf *)conf);
        return beat;
}

static void
disconnect(AmqpBeat *beat)
{
        if (beat->connection)
                dial_discard(beat->connection);
        beat->connection = NULL;
}

static void
free_beat(void *sender)
{
        AmqpBeat *beat = sender;
        struct timeval second = {.tv_sec = 1};

        if (beat->connection) {
                amqp_set_rpc_timeout(beat->connection, &second);
                amqp_connection_close(beat->connection, AMQP_REPLY_SUCCESS);
        }
        disconnect(beat);
        conf_unref(beat->conf);
        g_free(beat);
}

static bool
fail(AmqpBeat *beat, GError **error, const char *why)
{
        g_set_error(error, TROUBLE, TROUBLE_OUTSIDE, "control queue: %s", why);
        disconnect(beat);
        return false;
}

static bool
connect_once(AmqpBeat *beat, GError **error)
{
        const ConfCluster *cluster = conf_find_cluster(beat->conf, beat->conf->cluster);
        bool own = cluster && cluster->amqp_urls[0];
        char **urls = own ? cluster->amqp_urls : beat->conf->broker_urls;
        const char *url = urls[beat->next_url++ % g_strv_length(urls)];

        beat->connection =
            dial(url, own ? &cluster->tls : &beat->conf->broker_tls, 0, "cluster-agent", error);
        if (!beat->connection)
                return false;
        amqp_basic_consume(beat->connection, LINK_CHANNEL, amqp_cstring_bytes(REPLY_QUEUE), amqp_empty_bytes,
                           false, true, false, amqp_empty_table);
        amqp_rpc_reply_t reply = amqp_get_rpc_reply(beat->connection);
        if (reply.reply_type == AMQP_RESPONSE_NORMAL)
                return true;
        g_autofree char *why = dial_describe_reply(reply);
        return fail(beat, error, why);
}

static bool
publish(AmqpBeat *beat, const char *body, const char *id, int64_t ttl_ms)
{
        g_autofree char *expiration = g_strdup_printf("%" G_GINT64_FORMAT, ttl_ms);
        amqp_basic_properties_t properties = {._flags =
                                                  AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_REPLY_TO_FLAG |
                                                  AMQP_BASIC_CORRELATION_ID_FLAG |
                                                  AMQP_BASIC_EXPIRATION_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG,
                                              .content_type = amqp_cstring_bytes("application/json"),
                                              .reply_to = amqp_cstring_bytes(REPLY_QUEUE),
                                              .correlation_id = amqp_cstring_bytes(id),
                                              .expiration = amqp_cstring_bytes(expiration),
                                              .delivery_mode = 1};

        return amqp_basic_publish(beat->connection, LINK_CHANNEL, amqp_empty_bytes,
                                  amqp_cstring_bytes(CONTROL_QUEUE), false, false, &properties,
                                  amqp_cstring_bytes(body)) == AMQP_STATUS_OK;
}

static bool
judge(const amqp_bytes_t body, GError **error)
{
        json_t *document = json_loadb(body.bytes, body.len, 0, NULL);
        const char *why = json_string_value(json_object_get(json_object_get(document, "error"), "message"));

        if (why)
                g_set_error(error, TROUBLE, TROUBLE_OUTSIDE, "the router refuses: %s", why);
        json_decref(document);
        return why == NULL;
}

static bool
is_answer(const amqp_envelope_t *envelope, const char *id)
{
        const amqp_basic_properties_t *properties = &envelope->message.properties;

        return properties->_flags & AMQP_BASIC_CORRELATION_ID_FLAG &&
               bytes_equal(properties->correlation_id, id);
}

/* Answers to earlier requests, which came too late, are stepped over. */
static bool
await_answer(AmqpBeat *beat, const char *id, GError **error)
{
        int64_t until_us = g_get_monotonic_time() + beat->conf->redis_timeout_ms * 1000;

        for (;;) {
                int64_t left_us = MAX(until_us - g_get_monotonic_time(), 0);
                struct timeval timeout = {left_us / G_USEC_PER_SEC, left_us % G_USEC_PER_SEC};
                amqp_envelope_t envelope;

                amqp_maybe_release_buffers(beat->connection);
                amqp_rpc_reply_t reply = amqp_consume_message(beat->connection, &envelope, &timeout, 0);
                if (reply.reply_type != AMQP_RESPONSE_NORMAL)
                        return fail(beat, error, "no router answers");
                bool mine = is_answer(&envelope, id);
                bool fine = !mine || judge(envelope.message.body, error);
                amqp_destroy_envelope(&envelope);
                if (mine)
                        return fine;
        }
}

static bool
request(AmqpBeat *beat, const char *method, const char *cluster, const char *host, int64_t ttl_ms,
        GError **error)
{
        if (!beat->connection && !connect_once(beat, error))
                return false;
        g_autofree char *id = g_strdup_printf("%" G_GUINT64_FORMAT, ++beat->number);
        json_t *document =
            json_pack("{s:s, s:{s:s, s:s}}", "method", method, "args", "cluster", cluster, "host", host);
        char *body = json_dumps(document, JSON_ENSURE_ASCII);
        bool sent = publish(beat, body, id, ttl_ms);

        json_decref(document);
        free(body);
        return sent ? await_answer(beat, id, error) : fail(beat, error, "the connection was lost");
}

static bool
send_heartbeat(void *sender, const char *cluster, const char *host, int64_t ttl_ms, GError **error)
{
        return request(sender, "send_heartbeat", cluster, host, ttl_ms, error);
}

static bool
say_goodbye(void *sender, const char *cluster, const char *host, GError **error)
{
        AmqpBeat *beat = sender;

        return request(beat, "remove_host", cluster, host, beat->conf->heartbeat_ttl_ms, error);
}

const BeatWay beat_by_amqp = {"the router", send_heartbeat, say_goodbye, free_beat};
