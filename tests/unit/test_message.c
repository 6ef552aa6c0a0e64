/* SPDX-License-Identifier: MIT */
#include "router/dial.h"
#include "router/message.h"

#include <pthread.h>
#include <string.h>

enum { DEPTH = 10000, STACK_BYTES = 32 << 20 };

static amqp_bytes_t
text(const char *value)
{
        return amqp_cstring_bytes(value);
}

/* The encoded form of @properties, as a broker would send it; in @buffer. */
static amqp_bytes_t
encode(amqp_basic_properties_t *properties, char *buffer, size_t size)
{
        int length = amqp_encode_properties(AMQP_BASIC_CLASS, properties,
                                            (amqp_bytes_t){.len = size, .bytes = buffer});

        g_assert_cmpint(length, >, 0);
        return (amqp_bytes_t){.len = (size_t)length, .bytes = buffer};
}

static Message *
make(amqp_basic_properties_t *properties, uint64_t body_bytes)
{
        char buffer[4096];
        Message *message = message_new(text("an exchange"), text("a.key"),
                                       encode(properties, buffer, sizeof(buffer)), body_bytes);

        g_assert_nonnull(message);
        memset(buffer, 'x', sizeof(buffer)); /* nothing may be borrowed */
        return message;
}

static Message *
make_plain(uint64_t body_bytes)
{
        amqp_basic_properties_t properties = {0};

        return make(&properties, body_bytes);
}

static Message *
make_with_headers(amqp_table_entry_t *entries, int count)
{
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG,
                                              .headers = {.num_entries = count, .entries = entries}};

        return make(&properties, 0);
}

/* ---- the body ---- */

static void
test_pieces(void)
{
        const char *body = "one two\0three";
        g_autoptr(Message) message = make_plain(13);

        g_assert_false(message_is_complete(message));
        for (size_t i = 0; i < 13; i++) {
                g_assert_false(message_is_complete(message));
                g_assert_true(message_append(message, (amqp_bytes_t){.len = 1, .bytes = (char *)body + i}));
        }
        g_assert_true(message_is_complete(message));
        g_assert_cmpmem(message->body.bytes, message->body.len, body, 13);
}

static void
test_too_much(void)
{
        g_autoptr(Message) message = make_plain(5);

        g_assert_false(message_append(message, text("123456")));
        g_assert_true(message_append(message, text("123")));
        g_assert_false(message_append(message, text("456")));
        g_assert_cmpuint(message->filled_bytes, ==, 3);
        g_assert_true(message_append(message, text("45")));
        g_assert_true(message_is_complete(message));
        g_assert_false(message_append(message, text("6")));
        g_assert_cmpmem(message->body.bytes, message->body.len, "12345", 5);
}

static void
test_whole(void)
{
        g_autoptr(Message) message = make_plain(5);

        g_assert_true(message_append(message, text("12345")));
        g_assert_true(message_is_complete(message));
}

static void
test_empty_body(void)
{
        g_autoptr(Message) message = make_plain(0);

        g_assert_true(message_is_complete(message));
        g_assert_true(message_append(message, text("")));
        g_assert_false(message_append(message, text("1")));
}

static void
test_body_limit(void)
{
        char raw[] = {0, 0};
        amqp_bytes_t none = {.len = sizeof(raw), .bytes = raw};

        g_assert_null(message_new(text(""), text(""), none, MESSAGE_BODY_MAX + 1));
        g_assert_null(message_new(text(""), text(""), none, UINT64_MAX));
}

/* ---- what the headers say ---- */

static void
test_copies(void)
{
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_CONTENT_TYPE_FLAG |
                                                        AMQP_BASIC_TIMESTAMP_FLAG | AMQP_BASIC_PRIORITY_FLAG,
                                              .content_type = text("application/json"),
                                              .timestamp = 1234567890123,
                                              .priority = 7};
        g_autoptr(Message) message = make(&properties, 0);

        g_assert_true(bytes_equal(message->exchange, "an exchange"));
        g_assert_true(bytes_equal(message->key, "a.key"));
        g_assert_cmpuint(message->properties->_flags, ==, properties._flags);
        g_assert_true(bytes_equal(message->properties->content_type, "application/json"));
        g_assert_cmpuint(message->properties->timestamp, ==, 1234567890123);
        g_assert_cmpuint(message->properties->priority, ==, 7);
        g_assert_cmpuint(message->header_bytes, ==, 2 + 1 + 16 + 1 + 8);
}

static void
test_integers(void)
{
        amqp_table_entry_t entries[] = {
            {text("i8"), {.kind = AMQP_FIELD_KIND_I8, .value.i8 = -8}},
            {text("u8"), {.kind = AMQP_FIELD_KIND_U8, .value.u8 = 208}},
            {text("i16"), {.kind = AMQP_FIELD_KIND_I16, .value.i16 = -1600}},
            {text("u16"), {.kind = AMQP_FIELD_KIND_U16, .value.u16 = 61600}},
            {text("i32"), {.kind = AMQP_FIELD_KIND_I32, .value.i32 = INT32_MIN}},
            {text("u32"), {.kind = AMQP_FIELD_KIND_U32, .value.u32 = UINT32_MAX}},
            {text("i64"), {.kind = AMQP_FIELD_KIND_I64, .value.i64 = INT64_MIN}},
            {text("u64"), {.kind = AMQP_FIELD_KIND_U64, .value.u64 = INT64_MAX}},
            {text("time"), {.kind = AMQP_FIELD_KIND_TIMESTAMP, .value.u64 = 1700000000}},
            {text("text"), {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = text("5")}},
            {text("bool"), {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1}},
            {text("void"), {.kind = AMQP_FIELD_KIND_VOID}},
            {text("double"), {.kind = AMQP_FIELD_KIND_F64, .value.f64 = 5}},
        };
        static const struct {
                const char *name;
                int64_t value;
        } expected[] = {{"i8", -8},           {"u8", 208},         {"i16", -1600},     {"u16", 61600},
                        {"i32", INT32_MIN},   {"u32", UINT32_MAX}, {"i64", INT64_MIN}, {"u64", INT64_MAX},
                        {"time", 1700000000}, {"text", 42},        {"bool", 42},       {"void", 42},
                        {"double", 42},       {"absent", 42},      {"", 42},           {"i", 42}};
        g_autoptr(Message) message = make_with_headers(entries, G_N_ELEMENTS(entries));

        for (size_t i = 0; i < G_N_ELEMENTS(expected); i++)
                g_assert_cmpint(message_header_int(message, expected[i].name, 42), ==, expected[i].value);
}

static void
test_texts(void)
{
        amqp_table_entry_t entries[] = {
            {text("utf8"), {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = text("plain")}},
            {text("bytes"), {.kind = AMQP_FIELD_KIND_BYTES, .value.bytes = {.len = 3, .bytes = "a\0b"}}},
            {text("int"), {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 5}},
            {text("table"), {.kind = AMQP_FIELD_KIND_TABLE}},
            {text("empty"), {.kind = AMQP_FIELD_KIND_UTF8}},
        };
        g_autoptr(Message) message = make_with_headers(entries, G_N_ELEMENTS(entries));
        amqp_bytes_t bytes = message_header_text(message, "bytes");

        g_assert_true(bytes_equal(message_header_text(message, "utf8"), "plain"));
        g_assert_cmpmem(bytes.bytes, bytes.len, "a\0b", 3);
        g_assert_cmpuint(message_header_text(message, "int").len, ==, 0);
        g_assert_cmpuint(message_header_text(message, "table").len, ==, 0);
        g_assert_cmpuint(message_header_text(message, "empty").len, ==, 0);
        g_assert_cmpuint(message_header_text(message, "absent").len, ==, 0);
}

static void
test_first_of_several(void)
{
        amqp_table_entry_t entries[] = {
            {text("other"), {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 1}},
            {text("twice"), {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 2}},
            {text("twice"), {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 3}},
        };
        g_autoptr(Message) message = make_with_headers(entries, G_N_ELEMENTS(entries));

        g_assert_cmpint(message_header_int(message, "twice", 0), ==, 2);
        g_assert_null(message_header(message, "Twice"));
}

static void
test_no_headers(void)
{
        g_autoptr(Message) message = make_plain(0);

        g_assert_null(message_header(message, "any"));
        g_assert_cmpint(message_header_int(message, "any", -1), ==, -1);
        g_assert_cmpuint(message_header_text(message, "any").len, ==, 0);
}

/* ---- hostile properties ---- */

/* Every short string of bytes, and all cuts of a good list: decoded or refused, never read past its end. */
static void
test_garbage(void)
{
        amqp_table_entry_t entry = {text("name"),
                                    {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = text("value")}};
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_USER_ID_FLAG,
                                              .headers = {.num_entries = 1, .entries = &entry},
                                              .user_id = text("guest")};
        char buffer[256];
        amqp_bytes_t whole = encode(&properties, buffer, sizeof(buffer));

        for (size_t length = 0; length < whole.len; length++) {
                g_autofree char *cut = g_memdup2(buffer, length);

                g_assert_null(
                    message_new(text(""), text(""), (amqp_bytes_t){.len = length, .bytes = cut}, 0));
        }
        memset(buffer, 0xff, sizeof(buffer));
        g_assert_null(
            message_new(text(""), text(""), (amqp_bytes_t){.len = sizeof(buffer), .bytes = buffer}, 0));
}

/* A table in a table in a table: "t", kind F, and again. */
static amqp_bytes_t
nested_headers(char *buffer)
{
        enum { LEVEL_BYTES = 4 + 1 + 1 + 1 }; /* length, name of one byte, kind */
        char *at = buffer;

        *at++ = 0x20; /* the headers flag, bit 13 */
        *at++ = 0;
        for (int depth = DEPTH; depth > 0; depth--) {
                uint32_t inside = GUINT32_TO_BE((uint32_t)(depth * LEVEL_BYTES));

                memcpy(at, &inside, 4);
                memcpy(at + 4, "\001tF", 3);
                at += LEVEL_BYTES;
        }
        memset(at, 0, 4);
        return (amqp_bytes_t){.len = (size_t)(at + 4 - buffer), .bytes = buffer};
}

static void *
decode_nested(void *data)
{
        const amqp_bytes_t *raw = data;
        g_autoptr(Message) message = message_new(text(""), text(""), *raw, 0);

        g_assert_nonnull(message);

        const amqp_field_value_t *value = message_header(message, "t");
        int depth = 0;

        for (; value && value->kind == AMQP_FIELD_KIND_TABLE; depth++)
                value = value->value.table.num_entries > 0 ? &value->value.table.entries[0].value : NULL;
        g_assert_cmpint(depth, ==, DEPTH);
        return NULL;
}

static void
test_nested(void)
{
        g_autofree char *buffer = g_malloc(LINK_FRAME_BYTES);
        amqp_bytes_t raw = nested_headers(buffer);
        pthread_attr_t attributes;
        pthread_t thread;

        g_assert_cmpuint(raw.len, <=, LINK_FRAME_BYTES - 20);
        pthread_attr_init(&attributes);
        g_assert_cmpint(pthread_attr_setstacksize(&attributes, STACK_BYTES), ==, 0);
        g_assert_cmpint(pthread_create(&thread, &attributes, decode_nested, &raw), ==, 0);
        pthread_join(thread, NULL);
        pthread_attr_destroy(&attributes);
}

static void
test_bytes(void)
{
        g_assert_true(bytes_equal(amqp_empty_bytes, ""));
        g_assert_true(bytes_equal(bytes_of(NULL), ""));
        g_assert_false(bytes_equal((amqp_bytes_t){.len = 3, .bytes = "a\0b"}, "a"));
        g_assert_false(bytes_equal(bytes_of("ab"), "a"));
        g_assert_false(bytes_equal(bytes_of("a"), "ab"));
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/message/body-comes-in-pieces", test_pieces);
        g_test_add_func("/message/refuses-more-body-than-announced", test_too_much);
        g_test_add_func("/message/takes-a-body-that-fits-exactly", test_whole);
        g_test_add_func("/message/is-complete-without-a-body", test_empty_body);
        g_test_add_func("/message/refuses-a-body-beyond-the-limit", test_body_limit);
        g_test_add_func("/message/keeps-copies-of-everything", test_copies);
        g_test_add_func("/message/reads-integers-of-every-kind", test_integers);
        g_test_add_func("/message/reads-only-strings-as-text", test_texts);
        g_test_add_func("/message/takes-the-first-of-several-headers", test_first_of_several);
        g_test_add_func("/message/without-headers-finds-none", test_no_headers);
        g_test_add_func("/message/refuses-garbage-properties", test_garbage);
        g_test_add_func("/message/decodes-headers-nested-10000-deep", test_nested);
        g_test_add_func("/message/compares-bytes-exactly", test_bytes);
        return g_test_run();
}
