/* SPDX-License-Identifier: MIT */

/*
 * A message keeps its own copy of everything, because the library's buffers are released as soon as the next
 * frame is read, while a message must stay until its publish is confirmed: it may have to be published again.
 *
 * The property list is copied as encoded bytes and decoded once more from the copy: the decoded strings point
 * into the encoded bytes, so this is one memcpy and no walk through nested tables of our own.
 */

#include "router/message.h"

#include <string.h>

enum { POOL_PAGE_BYTES = 1024 };

static amqp_bytes_t
place(char **cursor, amqp_bytes_t bytes)
{
        amqp_bytes_t copy = {.len = bytes.len, .bytes = *cursor};

        if (bytes.len > 0)
                memcpy(*cursor, bytes.bytes, bytes.len);
        *cursor += bytes.len;
        return copy;
}

Message *
message_new(amqp_bytes_t exchange, amqp_bytes_t key, amqp_bytes_t raw, uint64_t body_bytes)
{
        if (body_bytes > MESSAGE_BODY_MAX)
                return NULL;

        Message *message = g_malloc(sizeof(*message) + exchange.len + key.len + raw.len + body_bytes);
        char *cursor = (char *)(message + 1);
        void *properties = NULL;

        memset(message, 0, sizeof(*message));
        init_amqp_pool(&message->pool, POOL_PAGE_BYTES);
        message->exchange = place(&cursor, exchange);
        message->key = place(&cursor, key);
        message->header_bytes = raw.len;
        if (amqp_decode_properties(AMQP_BASIC_CLASS, &message->pool, place(&cursor, raw), &properties) < 0) {
                message_free(message);
                return NULL;
        }
        message->properties = properties;
        message->body = (amqp_bytes_t){.len = body_bytes, .bytes = cursor};
        return message;
}

bool
message_append(Message *message, amqp_bytes_t fragment)
{
        if (fragment.len > message->body.len - message->filled_bytes)
                return false;
        if (fragment.len > 0)
                memcpy((char *)message->body.bytes + message->filled_bytes, fragment.bytes, fragment.len);
        message->filled_bytes += fragment.len;
        return true;
}

void
message_free(Message *message)
{
        if (!message)
                return;
        empty_amqp_pool(&message->pool);
        g_free(message);
}

bool
bytes_equal(amqp_bytes_t bytes, const char *text)
{
        size_t length = strlen(text);

        return bytes.len == length && (length == 0 || memcmp(bytes.bytes, text, length) == 0);
}

amqp_bytes_t
bytes_of(const char *text)
{
        return text ? amqp_cstring_bytes(text) : amqp_empty_bytes;
}

const amqp_field_value_t *
message_header(const Message *message, const char *name)
{
        const amqp_table_t *headers = &message->properties->headers;

        if (!(message->properties->_flags & AMQP_BASIC_HEADERS_FLAG))
                return NULL;
        for (int i = 0; i < headers->num_entries; i++) {
                if (bytes_equal(headers->entries[i].key, name))
                        return &headers->entries[i].value;
        }
        return NULL;
}

amqp_bytes_t
message_header_text(const Message *message, const char *name)
{
        const amqp_field_value_t *value = message_header(message, name);

        if (!value || (value->kind != AMQP_FIELD_KIND_UTF8 && value->kind != AMQP_FIELD_KIND_BYTES))
                return amqp_empty_bytes;
        return value->value.bytes;
}

int64_t
message_header_int(const Message *message, const char *name, int64_t fallback)
{
        const amqp_field_value_t *value = message_header(message, name);

        if (!value)
                return fallback;
        switch (value->kind) {
        case AMQP_FIELD_KIND_I8:
                return value->value.i8;
        case AMQP_FIELD_KIND_U8:
                return value->value.u8;
        case AMQP_FIELD_KIND_I16:
                return value->value.i16;
        case AMQP_FIELD_KIND_U16:
                return value->value.u16;
        case AMQP_FIELD_KIND_I32:
                return value->value.i32;
        case AMQP_FIELD_KIND_U32:
                return value->value.u32;
        case AMQP_FIELD_KIND_I64:
        case AMQP_FIELD_KIND_U64:
        case AMQP_FIELD_KIND_TIMESTAMP:
                return value->value.i64;
        default:
                return fallback;
        }
}
