/* SPDX-License-Identifier: MIT */
#include "tests/support/live.h"
#include "tests/support/stage.h"

#include <string.h>

/* What comes out is what went in: body, properties, headers of every kind, but for the few that are ours. */

#define ROUTE                                                                                                \
        "[route:$N]\nqueue = $N\ndestination = queue:{queue}.{cluster}\ncluster_from = header:cluster\n"     \
        "on_no_cluster = cluster:east\n"

static const char CONF[] = "[east]\ncluster_member_ips = e\n" ROUTE;
static const char DRAIN[] = "[east]\ncluster_member_ips = e\nstate = drain\n" ROUTE;

static Stage *
start(const char *name, const char *conf)
{
        Stage *stage = stage_new(name);

        if (stage != NULL)
                stage_run(stage, conf);
        return stage;
}

static void
publish(Stage *stage, const amqp_basic_properties_t *properties, amqp_bytes_t body)
{
        client_publish(stage->client, "", stage->name, properties, body);
        client_confirm(stage->client);
}

/* ---- comparing ---- */

static bool same_table(const amqp_table_t *a, const amqp_table_t *b);

static bool
same_bytes(amqp_bytes_t a, amqp_bytes_t b)
{
        return a.len == b.len && (a.len == 0 || memcmp(a.bytes, b.bytes, a.len) == 0);
}

static bool
same_value(const amqp_field_value_t *a, const amqp_field_value_t *b)
{
        if (a->kind != b->kind)
                return false;
        switch (a->kind) {
        case AMQP_FIELD_KIND_UTF8:
        case AMQP_FIELD_KIND_BYTES:
                return same_bytes(a->value.bytes, b->value.bytes);
        case AMQP_FIELD_KIND_TABLE:
                return same_table(&a->value.table, &b->value.table);
        case AMQP_FIELD_KIND_ARRAY:
                for (int i = 0; i < a->value.array.num_entries; i++) {
                        if (i >= b->value.array.num_entries ||
                            !same_value(&a->value.array.entries[i], &b->value.array.entries[i]))
                                return false;
                }
                return a->value.array.num_entries == b->value.array.num_entries;
        case AMQP_FIELD_KIND_BOOLEAN:
                return a->value.boolean == b->value.boolean;
        case AMQP_FIELD_KIND_I8:
        case AMQP_FIELD_KIND_U8:
                return a->value.u8 == b->value.u8;
        case AMQP_FIELD_KIND_I16:
        case AMQP_FIELD_KIND_U16:
                return a->value.u16 == b->value.u16;
        case AMQP_FIELD_KIND_I32:
        case AMQP_FIELD_KIND_U32:
        case AMQP_FIELD_KIND_F32:
                return a->value.u32 == b->value.u32;
        case AMQP_FIELD_KIND_DECIMAL:
                return a->value.decimal.decimals == b->value.decimal.decimals &&
                       a->value.decimal.value == b->value.decimal.value;
        case AMQP_FIELD_KIND_VOID:
                return true;
        default: /* eight bytes, of whatever kind */
                return a->value.u64 == b->value.u64;
        }
}

static bool
same_table(const amqp_table_t *a, const amqp_table_t *b)
{
        for (int i = 0; i < a->num_entries; i++) {
                if (i >= b->num_entries || !same_bytes(a->entries[i].key, b->entries[i].key) ||
                    !same_value(&a->entries[i].value, &b->entries[i].value)) {
                        g_test_message("differs: %.*s", (int)a->entries[i].key.len,
                                       (const char *)a->entries[i].key.bytes);
                        return false;
                }
        }
        return a->num_entries == b->num_entries;
}

/* The headers of @message without those the router adds; @message loses them. */
static const amqp_table_t *
without_own(ClientMessage *message)
{
        amqp_table_t *headers = &message->message.properties.headers;
        int kept = 0;

        for (int i = 0; i < headers->num_entries; i++) {
                amqp_bytes_t key = headers->entries[i].key;

                if (key.len < 9 || memcmp(key.bytes, "x-router-", 9) != 0)
                        headers->entries[kept++] = headers->entries[i];
        }
        headers->num_entries = kept;
        return headers;
}

/* ---- headers and properties ---- */

#define KIND(letter, field, what)                                                                            \
        {                                                                                                    \
                .key = {sizeof(#letter) - 1, (void *)#letter}, .value = {                                    \
                        .kind = AMQP_FIELD_KIND_##letter,                                                    \
                        .value.field = what                                                                  \
                }                                                                                            \
        }

static void
expect_headers_kept(Stage *stage, const amqp_table_t *headers)
{
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG, .headers = *headers};
        g_autoptr(ClientMessage) message = NULL;

        publish(stage, &properties, amqp_cstring_bytes("kinds"));
        message = stage_take(stage, "$N.east");
        g_assert_true(message->message.properties._flags == AMQP_BASIC_HEADERS_FLAG);
        g_assert_true(same_table(headers, without_own(message)));
}

static void
test_headers_of_every_kind_are_kept(void)
{
        g_autoptr(Stage) stage = start("kinds", CONF);
        amqp_table_entry_t inner[] = {client_entry_text("a", "b"), client_entry_int("c", -1)};
        amqp_field_value_t elements[] = {
            {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("x")},
            {.kind = AMQP_FIELD_KIND_VOID},
            {.kind = AMQP_FIELD_KIND_TABLE, .value.table = {2, inner}}};
        amqp_table_entry_t entries[] = {
            KIND(BOOLEAN, boolean, 1),
            KIND(I8, i8, -8),
            KIND(U8, u8, 200),
            KIND(I16, i16, -1600),
            KIND(U16, u16, 65000),
            KIND(I32, i32, -320000),
            KIND(U32, u32, 4000000000),
            KIND(I64, i64, G_MININT64),
            KIND(F32, f32, 0.1F),
            KIND(F64, f64, 0.1),
            KIND(TIMESTAMP, u64, 1700000000),
            KIND(VOID, u64, 0),
            KIND(BYTES, bytes, ((amqp_bytes_t){4, (void *)"\0\1\xff\n"})),
            KIND(UTF8, bytes, ((amqp_bytes_t){6, (void *)"gr\xc3\xbc\xc3\x9f"})),
            KIND(TABLE, table, ((amqp_table_t){2, inner})),
            KIND(ARRAY, array, ((amqp_array_t){3, elements})),
            {.key = amqp_cstring_bytes("empty"), .value = {.kind = AMQP_FIELD_KIND_TABLE}},
            client_entry_text("x-death", "the broker's own are kept, too"),
            {.key = amqp_cstring_bytes("decimal"),
             .value = {.kind = AMQP_FIELD_KIND_DECIMAL, .value.decimal = {2, 12345}}},
        };

        if (stage == NULL)
                return;
        expect_headers_kept(stage, &(amqp_table_t){G_N_ELEMENTS(entries), entries});
        expect_headers_kept(stage, &(amqp_table_t){0, NULL});
}

/* All properties but those that do not stay as they are. */
static amqp_basic_properties_t
all_properties(void)
{
        return (amqp_basic_properties_t){
            ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CONTENT_ENCODING_FLAG |
                      AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_PRIORITY_FLAG |
                      AMQP_BASIC_CORRELATION_ID_FLAG | AMQP_BASIC_REPLY_TO_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG |
                      AMQP_BASIC_TIMESTAMP_FLAG | AMQP_BASIC_TYPE_FLAG | AMQP_BASIC_APP_ID_FLAG |
                      AMQP_BASIC_CLUSTER_ID_FLAG,
            .content_type = amqp_cstring_bytes("application/x-anything"),
            .content_encoding = amqp_cstring_bytes(""),
            .delivery_mode = 1,
            .priority = 7,
            .correlation_id = amqp_cstring_bytes("correlation"),
            .reply_to = amqp_cstring_bytes("a.queue.of.mine"),
            .message_id = amqp_cstring_bytes("message"),
            .timestamp = 1700000000,
            .type = amqp_cstring_bytes("type"),
            .app_id = amqp_cstring_bytes("app"),
            .cluster_id = amqp_cstring_bytes("cluster-id")};
}

static void
expect_properties(const ClientMessage *message)
{
        const amqp_basic_properties_t wanted = all_properties();
        const amqp_basic_properties_t *found = &message->message.properties;

        g_assert_cmpuint(found->_flags, ==, wanted._flags | AMQP_BASIC_HEADERS_FLAG);
        g_assert_true(same_bytes(found->content_type, wanted.content_type));
        g_assert_true(same_bytes(found->content_encoding, wanted.content_encoding));
        g_assert_cmpint(found->delivery_mode, ==, wanted.delivery_mode);
        g_assert_cmpint(found->priority, ==, wanted.priority);
        g_assert_true(same_bytes(found->correlation_id, wanted.correlation_id));
        g_assert_true(same_bytes(found->reply_to, wanted.reply_to));
        g_assert_true(same_bytes(found->message_id, wanted.message_id));
        g_assert_cmpuint(found->timestamp, ==, wanted.timestamp);
        g_assert_true(same_bytes(found->type, wanted.type));
        g_assert_true(same_bytes(found->app_id, wanted.app_id));
        g_assert_true(same_bytes(found->cluster_id, wanted.cluster_id));
}

static void
test_every_property_is_kept(void)
{
        g_autoptr(Stage) stage = start("properties", CONF);
        amqp_basic_properties_t properties = all_properties();
        g_autoptr(ClientMessage) message = NULL;

        if (stage == NULL)
                return;
        publish(stage, &properties, amqp_cstring_bytes("properties"));
        message = stage_take(stage, "$N.east");
        expect_properties(message);
}

static void
test_every_property_is_kept_through_parking(void)
{
        g_autoptr(Stage) stage = start("parked-properties", DRAIN);
        amqp_basic_properties_t properties = all_properties();
        g_autoptr(ClientMessage) message = NULL;

        if (stage == NULL)
                return;
        publish(stage, &properties, amqp_cstring_bytes("properties"));
        stage_wait_number(stage, "$N", "parked_now", 1);
        stage_reload(stage, CONF);
        message = stage_take(stage, "$N.east");
        expect_properties(message);
}

static void
test_message_without_properties_gets_only_our_header(void)
{
        g_autoptr(Stage) stage = start("bare", CONF);
        amqp_basic_properties_t none = {._flags = 0};
        g_autoptr(ClientMessage) message = NULL;

        if (stage == NULL)
                return;
        publish(stage, &none, amqp_cstring_bytes("bare"));
        message = stage_take(stage, "$N.east");
        g_assert_cmpuint(message->message.properties._flags, ==, AMQP_BASIC_HEADERS_FLAG);
        g_assert_cmpint(message->message.properties.headers.num_entries, ==, 1);
        g_assert_nonnull(client_message_header(message, "x-router-seq"));
}

/* ---- what is changed on purpose ---- */

static void
test_copies_are_not_sent_again(void)
{
        g_autoptr(Stage) stage = start("copies", CONF);
        g_autofree char *leak = NULL;
        g_autoptr(ClientMessage) message = NULL;

        if (stage == NULL)
                return;
        leak = stage_text(stage, "$N.leak");

        amqp_field_value_t names[] = {
            {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(leak)}};
        amqp_table_entry_t entries[] = {
            {.key = amqp_cstring_bytes("CC"),
             .value = {.kind = AMQP_FIELD_KIND_ARRAY, .value.array = {1, names}}},
            client_entry_text("other", "stays"),
            {.key = amqp_cstring_bytes("BCC"),
             .value = {.kind = AMQP_FIELD_KIND_ARRAY, .value.array = {1, names}}}};
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG, .headers = {3, entries}};

        stage_declare(stage, "$N.leak");
        publish(stage, &properties, amqp_cstring_bytes("copy"));
        message = stage_take(stage, "$N.east");
        g_assert_null(client_message_header(message, "CC"));
        g_assert_null(client_message_header(message, "BCC"));
        g_assert_nonnull(client_message_header(message, "other"));
        g_assert_cmpuint(stage_count(stage, "$N.leak"), ==, 1); /* the one that we caused ourselves */
}

static void
test_user_id_moves_to_a_header(void)
{
        g_autoptr(Stage) stage = start("user", CONF);
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_USER_ID_FLAG,
                                              .user_id = amqp_cstring_bytes("guest")};
        g_autoptr(ClientMessage) message = NULL;
        g_autofree char *user = NULL;

        if (stage == NULL)
                return;
        publish(stage, &properties, amqp_cstring_bytes("user"));
        message = stage_take(stage, "$N.east");
        user = client_message_header_text(message, "x-router-user-id");
        g_assert_cmpstr(user, ==, "guest");
        g_assert_false(message->message.properties._flags & AMQP_BASIC_USER_ID_FLAG);
}

static void
test_expiration_stays_a_number_not_above_what_it_was(void)
{
        g_autoptr(Stage) stage = start("expiration", CONF);
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_EXPIRATION_FLAG,
                                              .expiration = amqp_cstring_bytes("60000")};
        g_autoptr(ClientMessage) message = NULL;
        g_autofree char *text = NULL;

        if (stage == NULL)
                return;
        publish(stage, &properties, amqp_cstring_bytes("expiration"));
        message = stage_take(stage, "$N.east");
        g_assert_true(message->message.properties._flags & AMQP_BASIC_EXPIRATION_FLAG);
        text = g_strndup(message->message.properties.expiration.bytes,
                         message->message.properties.expiration.len);
        g_assert_cmpint(g_ascii_strtoll(text, NULL, 10), <=, 60000);
        g_assert_cmpint(g_ascii_strtoll(text, NULL, 10), >, 50000);
}

static void
test_headers_that_claim_to_be_ours_are_not_believed(void)
{
        g_autoptr(Stage) stage = start("forged", CONF);
        amqp_table_entry_t entries[] = {client_entry_text("x-router-reason", "unroutable"),
                                        client_entry_text("x-router-key", "elsewhere"),
                                        client_entry_text("x-router-time", "2020-01-01T00:00:00.000Z"),
                                        client_entry_int("x-router-attempt", 99)};
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG,
                                              .headers = {G_N_ELEMENTS(entries), entries}};
        g_autoptr(ClientMessage) message = NULL;

        if (stage == NULL)
                return;
        publish(stage, &properties, amqp_cstring_bytes("forged"));
        message = stage_take(stage, "$N.east");
        g_assert_cmpint(message->message.properties.headers.num_entries, ==, 1);
        g_assert_nonnull(client_message_header(message, "x-router-seq"));
}

/* ---- bodies ---- */

static void
test_bodies_of_all_sizes_are_kept(void)
{
        /* around the frame size, at which a body is sent in pieces, and far above */
        static const size_t sizes[] = {0, 1, 131063, 131064, 131065, 1 << 20, 64 << 20};
        g_autoptr(Stage) stage = start("bodies", CONF);

        if (stage == NULL)
                return;
        for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
                g_autofree guint8 *body = g_malloc(sizes[i] + 1);
                g_autoptr(GRand) random = g_rand_new_with_seed(i);
                g_autoptr(ClientMessage) message = NULL;

                for (size_t at = 0; at < sizes[i]; at++)
                        body[at] = (guint8)g_rand_int(random);
                publish(stage, NULL, (amqp_bytes_t){sizes[i], body});
                message = stage_take(stage, "$N.east");
                g_assert_cmpmem(message->message.body.bytes, message->message.body.len, body, sizes[i]);
        }
        stage_wait_number(stage, "$N", "in_flight", 0);
        g_assert_true(stage_balances(stage, "$N"));
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/integrity/headers-of-every-kind-are-kept", test_headers_of_every_kind_are_kept);
        g_test_add_func("/integrity/every-property-is-kept", test_every_property_is_kept);
        g_test_add_func("/integrity/every-property-is-kept-through-parking",
                        test_every_property_is_kept_through_parking);
        g_test_add_func("/integrity/message-without-properties-gets-only-our-header",
                        test_message_without_properties_gets_only_our_header);
        g_test_add_func("/integrity/copies-are-not-sent-again", test_copies_are_not_sent_again);
        g_test_add_func("/integrity/user-id-moves-to-a-header", test_user_id_moves_to_a_header);
        g_test_add_func("/integrity/expiration-stays-a-number-not-above-what-it-was",
                        test_expiration_stays_a_number_not_above_what_it_was);
        g_test_add_func("/integrity/headers-that-claim-to-be-ours-are-not-believed",
                        test_headers_that_claim_to_be_ours_are_not_believed);
        g_test_add_func("/integrity/bodies-of-all-sizes-are-kept", test_bodies_of_all_sizes_are_kept);
        return g_test_run();
}
