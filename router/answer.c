/* SPDX-License-Identifier: MIT */

/*
 * The oslo form follows what oslo.messaging 14 sends for an exception in a service (a captured one is
 * tests/data/20-reply-failure.json): the failure is a JSON text inside the inner JSON, which itself is a text
 * inside the body.
 */

#include "router/answer.h"

#include <amqp_framing.h>
#include <jansson.h>
#include <string.h>

enum { PROPERTY_BYTES = 1024, ADDRESS_BYTES = 255 };

static char *
value_text(const JsonValue *value)
{
        char buffer[ADDRESS_BYTES];
        size_t length = json_value_copy(value, buffer, sizeof(buffer));

        return length <= sizeof(buffer) ? g_utf8_make_valid(buffer, (gssize)length) : NULL;
}

char *
answer_address(const Envelope *envelope, const Message *request)
{
        const amqp_basic_properties_t *properties = request->properties;

        if (!envelope->is_call)
                return NULL;
        if (envelope->reply_q.kind == JSON_VALUE_STRING)
                return value_text(&envelope->reply_q);
        if (properties->_flags & AMQP_BASIC_REPLY_TO_FLAG)
                return g_strndup(properties->reply_to.bytes, properties->reply_to.len);
        return NULL;
}

static char *
describe(const char *cluster, Reason reason)
{
        return g_strdup_printf("cluster %s cannot serve this call now: %s (%s)", cluster,
                               reason_meaning(reason), reason_code(reason));
}

static json_t *
oslo_failure(const char *class_name, const char *text)
{
        json_t *failure = json_pack("{s:s, s:s, s:s, s:[s], s:[s], s:{}}", "class", class_name, "module",
                                    "cluster_router", "message", text, "tb", text, "args", text, "kwargs");
        char *line = json_dumps(failure, JSON_COMPACT);
        json_t *string = json_string(line);

        json_decref(failure);
        free(line);
        return string;
}

char *
answer_oslo_body(const char *msg_id, json_t *result, const char *class_name, const char *text)
{
        g_autofree char *unique_id = g_uuid_string_random();
        json_t *inner = json_pack("{s:o, s:o, s:b, s:s?, s:s}", "result", result ? result : json_null(),
                                  "failure", class_name ? oslo_failure(class_name, text) : json_null(),
                                  "ending", 1, "_msg_id", msg_id, "_unique_id", unique_id);
        char *inner_text = json_dumps(inner, JSON_ENSURE_ASCII);
        json_t *outer = json_pack("{s:s, s:s}", "oslo.version", "2.0", "oslo.message", inner_text);
        char *body = json_dumps(outer, JSON_ENSURE_ASCII);

        json_decref(inner);
        json_decref(outer);
        free(inner_text);
        return body;
}

static char *
oslo_body(const Envelope *envelope, const char *cluster, Reason reason)
{
        g_autofree char *text = describe(cluster, reason);
        g_autofree char *msg_id = value_text(&envelope->msg_id);

        return answer_oslo_body(msg_id, NULL, "ClusterUnavailable", text);
}

static char *
plain_body(const char *cluster, Reason reason)
{
        g_autofree char *text = describe(cluster, reason);
        json_t *error = json_pack("{s:{s:s, s:s, s:s}}", "error", "cluster", cluster, "reason",
                                  reason_code(reason), "message", text);
        char *body = json_dumps(error, JSON_ENSURE_ASCII);

        json_decref(error);
        return body;
}

/* As oslo sends its own replies; other clients find their correlation id. */
static amqp_basic_properties_t
answer_properties(const Message *request)
{
        amqp_basic_properties_t properties = {
            ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CONTENT_ENCODING_FLAG |
                      AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_PRIORITY_FLAG,
            .content_type = amqp_cstring_bytes("application/json"),
            .content_encoding = amqp_cstring_bytes("utf-8"),
            .delivery_mode = 2};

        if (request->properties->_flags & AMQP_BASIC_CORRELATION_ID_FLAG) {
                properties._flags |= AMQP_BASIC_CORRELATION_ID_FLAG;
                properties.correlation_id = request->properties->correlation_id;
        }
        return properties;
}

Message *
answer_new(const Envelope *envelope, const Message *request, const char *address, const char *cluster,
           Reason reason)
{
        bool oslo = envelope->reply_q.kind == JSON_VALUE_STRING;
        char *body = oslo ? oslo_body(envelope, cluster, reason) : plain_body(cluster, reason);
        amqp_basic_properties_t properties = answer_properties(request);
        char buffer[PROPERTY_BYTES];
        amqp_bytes_t encoded = {.len = sizeof(buffer), .bytes = buffer};
        int length = amqp_encode_properties(AMQP_BASIC_CLASS, &properties, encoded);
        Message *answer;

        g_assert(length > 0);
        encoded.len = (size_t)length;
        answer = message_new(amqp_empty_bytes, bytes_of(address), encoded, strlen(body));
        g_assert(answer);
        if (!message_append(answer, bytes_of(body)))
                g_assert_not_reached();
        answer->received_us = request->received_us;
        free(body);
        return answer;
}
