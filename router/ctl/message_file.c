/* SPDX-License-Identifier: MIT */
/*
 * The message is encoded as it would be for the wire and read back from there, so that what is explained has
 * come the same way as what is routed.
 */
#include "router/ctl/message_file.h"

#include "router/ctl/fields.h"
#include "router/dial.h"

#include <amqp_framing.h>
#include <string.h>

enum { NAME_BYTES_MAX = 255 };

G_DEFINE_QUARK(message_file_error, message_file_error)

/* The properties that are short strings: name, flag, where they stand. */
static const struct {
        const char *name;
        amqp_flags_t flag;
        size_t offset;
} texts[] = {
#define TEXT(name, FLAG)                                                                                     \
        {                                                                                                    \
#name, AMQP_BASIC_##FLAG##_FLAG, offsetof(amqp_basic_properties_t, name)                     \
        }
    TEXT(content_type, CONTENT_TYPE),
    TEXT(content_encoding, CONTENT_ENCODING),
    TEXT(correlation_id, CORRELATION_ID),
    TEXT(reply_to, REPLY_TO),
    TEXT(expiration, EXPIRATION),
    TEXT(message_id, MESSAGE_ID),
    TEXT(type, TYPE),
    TEXT(user_id, USER_ID),
    TEXT(app_id, APP_ID),
    TEXT(cluster_id, CLUSTER_ID),
#undef TEXT
};

static bool
refuse(GError **error, const char *what)
{
        g_set_error_literal(error, MESSAGE_FILE_ERROR, 0, what);
        return false;
}

static amqp_bytes_t
borrow(const json_t *text)
{
        return (amqp_bytes_t){.len = json_string_length(text), .bytes = (void *)json_string_value(text)};
}

/* A text of the file; absent is empty. */
static bool
read_text(const json_t *object, const char *name, size_t most, amqp_bytes_t *out_text, GError **error)
{
        const json_t *value = json_object_get(object, name);

        if (value && !json_is_null(value) && !json_is_string(value)) {
                g_set_error(error, MESSAGE_FILE_ERROR, 0, "\"%s\" is no string", name);
                return false;
        }
        *out_text = json_is_string(value) ? borrow(value) : amqp_empty_bytes;
        if (out_text->len > most) {
                g_set_error(error, MESSAGE_FILE_ERROR, 0, "\"%s\" is longer than the %zu bytes AMQP allows",
                            name, most);
                return false;
        }
        return true;
}

static bool
read_number(const json_t *object, const char *name, json_int_t most, bool *out_given, uint64_t *out_number,
            GError **error)
{
        const json_t *value = json_object_get(object, name);

        *out_given = value && !json_is_null(value);
        if (!*out_given)
                return true;
        if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > most) {
                g_set_error(error, MESSAGE_FILE_ERROR, 0, "property \"%s\" is no number that AMQP allows",
                            name);
                return false;
        }
        *out_number = (uint64_t)json_integer_value(value);
        return true;
}

static bool
read_numbers(const json_t *object, amqp_basic_properties_t *properties, GError **error)
{
        uint64_t mode = 0, priority = 0;
        bool has_mode, has_priority, has_time;

        if (!read_number(object, "delivery_mode", UINT8_MAX, &has_mode, &mode, error) ||
            !read_number(object, "priority", UINT8_MAX, &has_priority, &priority, error) ||
            !read_number(object, "timestamp", G_MAXINT64, &has_time, &properties->timestamp, error))
                return false;
        properties->delivery_mode = (uint8_t)mode;
        properties->priority = (uint8_t)priority;
        properties->_flags |= (has_mode ? AMQP_BASIC_DELIVERY_MODE_FLAG : 0u) |
                              (has_priority ? AMQP_BASIC_PRIORITY_FLAG : 0u) |
                              (has_time ? AMQP_BASIC_TIMESTAMP_FLAG : 0u);
        return true;
}

static bool
read_properties(const json_t *object, amqp_pool_t *pool, amqp_basic_properties_t *properties, GError **error)
{
        const json_t *headers = json_object_get(object, "headers");

        if (object && !json_is_object(object))
                return refuse(error, "\"properties\" is no object");
        if (headers && !json_is_object(headers))
                return refuse(error, "\"headers\" is no object");
        for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
                amqp_bytes_t *text = (amqp_bytes_t *)((char *)properties + texts[i].offset);

                if (!read_text(object, texts[i].name, NAME_BYTES_MAX, text, error))
                        return false;
                properties->_flags |=
                    json_is_string(json_object_get(object, texts[i].name)) ? texts[i].flag : 0;
        }
        if (headers) {
                properties->headers = fields_from_json(headers, pool);
                properties->_flags |= AMQP_BASIC_HEADERS_FLAG;
        }
        return read_numbers(object, properties, error);
}

Message *
message_file_make(amqp_bytes_t exchange, amqp_bytes_t key, const amqp_basic_properties_t *properties,
                  amqp_bytes_t body, GError **error)
{
        static const amqp_basic_properties_t none;
        g_autofree char *buffer = g_malloc(LINK_FRAME_BYTES);
        amqp_bytes_t raw = {.len = LINK_FRAME_BYTES, .bytes = buffer};
        int length = amqp_encode_properties(AMQP_BASIC_CLASS, (void *)(properties ? properties : &none), raw);
        Message *message = NULL;

        raw.len = length > 0 ? (size_t)length : 0;
        if (length >= 0)
                message = message_new(exchange, key, raw, body.len);
        if (message && message_append(message, body))
                return message;
        message_free(message);
        refuse(error, "its properties and headers do not fit into one frame of AMQP");
        return NULL;
}

static Message *
make_from(const json_t *file, const char *queue, amqp_pool_t *pool, GError **error)
{
        amqp_basic_properties_t properties = {0};
        amqp_bytes_t exchange, key, body;

        if (!read_text(file, "exchange", NAME_BYTES_MAX, &exchange, error) ||
            !read_text(file, "routing_key", NAME_BYTES_MAX, &key, error) ||
            !read_text(file, "body", SIZE_MAX, &body, error) ||
            !read_properties(json_object_get(file, "properties"), pool, &properties, error))
                return NULL;
        if (exchange.len == 0 && key.len == 0)
                key = bytes_of(queue);
        return message_file_make(exchange, key, &properties, body, error);
}

Message *
message_file_parse(const char *text, size_t length, const char *queue, GError **error)
{
        json_error_t why;
        json_t *file = json_loadb(text, length, JSON_ALLOW_NUL, &why);
        amqp_pool_t pool;
        Message *message = NULL;

        init_amqp_pool(&pool, 4096);
        if (!file)
                g_set_error(error, MESSAGE_FILE_ERROR, 0, "line %d: %s", why.line, why.text);
        else if (!json_is_object(file))
                refuse(error, "this is no JSON object");
        else
                message = make_from(file, queue, &pool, error);
        empty_amqp_pool(&pool);
        json_decref(file);
        return message;
}
