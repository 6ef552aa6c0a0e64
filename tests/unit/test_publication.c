/* SPDX-License-Identifier: MIT */
/* Integrity: what a message keeps on its way through the router, what it loses and what is added. */
#include "tests/support/publication_fixture.h"

/* ---- kept ---- */

static void
test_keeps_properties(Fixture *fixture, gconstpointer user_data)
{
        amqp_basic_properties_t given = {
            ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CONTENT_ENCODING_FLAG |
                      AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_PRIORITY_FLAG |
                      AMQP_BASIC_CORRELATION_ID_FLAG | AMQP_BASIC_REPLY_TO_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG |
                      AMQP_BASIC_TIMESTAMP_FLAG | AMQP_BASIC_TYPE_FLAG | AMQP_BASIC_APP_ID_FLAG |
                      AMQP_BASIC_CLUSTER_ID_FLAG,
            .content_type = text("application/json"),
            .content_encoding = text("utf-8"),
            .delivery_mode = 1,
            .priority = 9,
            .correlation_id = {.len = 3, .bytes = "a\0b"},
            .reply_to = text("reply_1234"),
            .message_id = text("m-1"),
            .timestamp = UINT64_MAX,
            .type = text("a type"),
            .app_id = text("an app"),
            .cluster_id = text(""),
        };

        receive(fixture, &given);

        g_autoptr(Message) sent = deliver(fixture, false);
        const amqp_basic_properties_t *got = sent->properties;

        g_assert_cmpuint(got->_flags, ==, given._flags | AMQP_BASIC_HEADERS_FLAG);
        g_assert_true(bytes_equal(got->content_type, "application/json"));
        g_assert_true(bytes_equal(got->content_encoding, "utf-8"));
        g_assert_cmpuint(got->delivery_mode, ==, 1);
        g_assert_cmpuint(got->priority, ==, 9);
        g_assert_cmpmem(got->correlation_id.bytes, got->correlation_id.len, "a\0b", 3);
        g_assert_true(bytes_equal(got->reply_to, "reply_1234"));
        g_assert_true(bytes_equal(got->message_id, "m-1"));
        g_assert_cmpuint(got->timestamp, ==, UINT64_MAX);
        g_assert_true(bytes_equal(got->type, "a type"));
        g_assert_true(bytes_equal(got->app_id, "an app"));
        g_assert_cmpuint(got->cluster_id.len, ==, 0);
}

/* The table of headers as bytes. */
static size_t
encode_table(const amqp_table_t *table, char *buffer)
{
        size_t length = 0;
        amqp_table_t copy = *table;

        g_assert_cmpint(
            amqp_encode_table((amqp_bytes_t){.len = BUFFER_BYTES, .bytes = buffer}, &copy, &length), ==, 0);
        return length;
}

static void
test_keeps_headers(Fixture *fixture, gconstpointer user_data)
{
        amqp_table_entry_t inner[] = {
            {text("in"), {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = text("side")}}};
        amqp_field_value_t items[] = {{.kind = AMQP_FIELD_KIND_I32, .value.i32 = 1},
                                      {.kind = AMQP_FIELD_KIND_VOID}};
        amqp_table_entry_t entries[] = {
            {text("t"), {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1}},
            {text("b"), {.kind = AMQP_FIELD_KIND_I8, .value.i8 = -1}},
            {text("B"), {.kind = AMQP_FIELD_KIND_U8, .value.u8 = 255}},
            {text("s"), {.kind = AMQP_FIELD_KIND_I16, .value.i16 = -1}},
            {text("u"), {.kind = AMQP_FIELD_KIND_U16, .value.u16 = 65535}},
            {text("I"), {.kind = AMQP_FIELD_KIND_I32, .value.i32 = -1}},
            {text("i"), {.kind = AMQP_FIELD_KIND_U32, .value.u32 = 1}},
            {text("l"), {.kind = AMQP_FIELD_KIND_I64, .value.i64 = -1}},
            {text("L"), {.kind = AMQP_FIELD_KIND_U64, .value.u64 = 1}},
            {text("f"), {.kind = AMQP_FIELD_KIND_F32, .value.f32 = 1.5f}},
            {text("d"), {.kind = AMQP_FIELD_KIND_F64, .value.f64 = 1.5}},
            {text("D"), {.kind = AMQP_FIELD_KIND_DECIMAL, .value.decimal = {.decimals = 2, .value = 314}}},
            {text("S"), {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = text("text")}},
            {text("A"), {.kind = AMQP_FIELD_KIND_ARRAY, .value.array = {.num_entries = 2, .entries = items}}},
            {text("T"), {.kind = AMQP_FIELD_KIND_TIMESTAMP, .value.u64 = 1700000000}},
            {text("F"), {.kind = AMQP_FIELD_KIND_TABLE, .value.table = {.num_entries = 1, .entries = inner}}},
            {text("V"), {.kind = AMQP_FIELD_KIND_VOID}},
            {text("x"), {.kind = AMQP_FIELD_KIND_BYTES, .value.bytes = {.len = 3, .bytes = "a\0b"}}},
            {text("twice"), {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 1}},
            {text("twice"), {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 2}},
            {text("x-router"), {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 3}},
            {text("cc"), {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 4}},
            {text(""), {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 5}},
        };
        g_autofree char *before = g_malloc(BUFFER_BYTES), *after = g_malloc(BUFFER_BYTES);

        receive_headers(fixture, entries, G_N_ELEMENTS(entries));

        g_autoptr(Message) sent = deliver(fixture, false);
        size_t length = encode_table(&fixture->message->properties->headers, before);

        g_assert_cmpint(sent->properties->headers.num_entries, ==, G_N_ELEMENTS(entries) + 1);
        g_assert_cmpint(message_header_int(sent, "x-router-seq", 0), ==, 7);
        encode_table(&sent->properties->headers, after);
        g_assert_cmpmem(after + 4, length - 4, before + 4, length - 4);
}

static void
test_drops_copies(Fixture *fixture, gconstpointer user_data)
{
        amqp_field_value_t key = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = text("elsewhere")};
        amqp_field_value_t keys = {.kind = AMQP_FIELD_KIND_ARRAY,
                                   .value.array = {.num_entries = 1, .entries = &key}};
        amqp_table_entry_t entries[] = {
            {text("CC"), keys}, {text("a"), key}, {text("BCC"), keys}, {text("CC"), key}};

        receive_headers(fixture, entries, G_N_ELEMENTS(entries));

        g_autoptr(Message) sent = deliver(fixture, false);
        g_autoptr(Message) stored = store(fixture, false, -1, now_ms);

        assert_no_header(sent, "CC");
        assert_no_header(sent, "BCC");
        assert_header(sent, "a", "elsewhere");
        assert_no_header(stored, "CC");
        assert_no_header(stored, "BCC");
}

/* ---- the user ---- */

static void
test_moves_user(Fixture *fixture, gconstpointer user_data)
{
        amqp_basic_properties_t given = {._flags = AMQP_BASIC_USER_ID_FLAG, .user_id = text("nova")};

        receive(fixture, &given);

        g_autoptr(Message) sent = deliver(fixture, false);

        g_assert_false(sent->properties->_flags & AMQP_BASIC_USER_ID_FLAG);
        assert_header(sent, "x-router-user-id", "nova");
}

static void
test_believes_own_headers_only(Fixture *fixture, gconstpointer user_data)
{
        amqp_field_value_t forged = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = text("forged")};
        amqp_table_entry_t entries[] = {
            {text("x-router-user-id"), forged},  {text("x-router-exchange"), forged},
            {text("x-router-anything"), forged}, {text("x-router-seq"), forged},
            {text("x-router-time"), forged},     {text("x-router-"), forged}};

        receive_headers(fixture, entries, G_N_ELEMENTS(entries));

        g_autoptr(Message) shared = deliver(fixture, false);
        g_autoptr(Message) parked = deliver(fixture, true);

        g_assert_cmpint(shared->properties->headers.num_entries, ==, 1);
        g_assert_cmpint(message_header_int(shared, "x-router-seq", 0), ==, 7);
        g_assert_cmpint(parked->properties->headers.num_entries, ==, 2);
        assert_header(parked, "x-router-user-id", "forged");

        Provenance provenance;

        provenance_read(fixture->message, false, now_ms, &provenance);
        g_assert_false(provenance.is_own);
        g_assert_true(bytes_equal(provenance.exchange, "openstack"));
        g_assert_true(bytes_equal(provenance.key, "a.key"));
}

static void
test_user_passes_parking(Fixture *fixture, gconstpointer user_data)
{
        amqp_basic_properties_t given = {._flags = AMQP_BASIC_USER_ID_FLAG, .user_id = text("nova")};

        receive(fixture, &given);

        Message *stored = store(fixture, false, -1, now_ms);

        message_free(fixture->message);
        fixture->message = stored;

        g_autoptr(Message) sent = deliver(fixture, true);

        assert_header(sent, "x-router-user-id", "nova");
        g_assert_cmpint(count_headers(sent, "x-router-user-id"), ==, 1);
}

/* ---- the queue of a host ---- */

static void
test_taken_back_knows_where_it_came_from(Fixture *fixture, gconstpointer user_data)
{
        amqp_basic_properties_t given = {._flags = AMQP_BASIC_USER_ID_FLAG | AMQP_BASIC_EXPIRATION_FLAG,
                                         .user_id = text("nova"),
                                         .expiration = text("5000")};
        PublicationNotes notes = {
            .seq = 7, .ttl_ms = 5000, .route = &route, .now_unix_ms = now_ms, .to_host = true};
        Provenance provenance;

        receive(fixture, &given);

        Message *sent = publish(fixture, false, &notes);

        message_free(fixture->message);
        fixture->message = sent;
        provenance_read(sent, true, now_ms + 3000, &provenance);
        g_assert_true(provenance.is_own);
        g_assert_true(bytes_equal(provenance.exchange, "openstack"));
        g_assert_true(bytes_equal(provenance.key, "a.key"));
        g_assert_cmpint(provenance.ttl_ms, ==, 2000);
        g_assert_cmpint(provenance.attempt, ==, 0);
        provenance_read(sent, true, now_ms + 9000, &provenance);
        g_assert_cmpint(provenance.ttl_ms, ==, 0);
        provenance_read(sent, false, now_ms, &provenance);
        g_assert_true(bytes_equal(provenance.key, "to"));

        g_autoptr(Message) again = deliver(fixture, true);

        assert_header(again, "x-router-user-id", "nova");
        assert_no_header(again, "x-router-key");
}

/* ---- marks ---- */

static void
test_marks_duplicates(Fixture *fixture, gconstpointer user_data)
{
        amqp_table_entry_t entries[] = {
            {text("x-possible-duplicate"), {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = text("yes")}},
            {text("x-possible-duplicate"), {.kind = AMQP_FIELD_KIND_I64, .value.i64 = 5}},
        };
        PublicationNotes notes = {.seq = 1, .ttl_ms = -1, .route = &route, .possible_duplicate = true};

        for (int given = 0; given <= 2; given++) {
                for (int doubtful = 0; doubtful <= 1; doubtful++) {
                        receive_headers(fixture, entries, given);
                        notes.possible_duplicate = doubtful;

                        g_autoptr(Message) sent = publish(fixture, false, &notes);
                        const amqp_field_value_t *mark = message_header(sent, "x-possible-duplicate");

                        g_assert_cmpint(count_headers(sent, "x-possible-duplicate"), ==,
                                        given > 0 || doubtful ? 1 : 0);
                        if (!mark)
                                continue;
                        g_assert_cmpint(mark->kind, ==, AMQP_FIELD_KIND_I32);
                        g_assert_cmpint(mark->value.i32, ==, 1);
                }
        }
}

static void
test_tags(Fixture *fixture, gconstpointer user_data)
{
        amqp_field_value_t old = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = text("old")};
        amqp_table_entry_t entries[] = {
            {text("cluster"), old}, {text("cluster-hosts"), old}, {text("cluster"), old}};
        PublicationNotes notes = {
            .seq = 1, .ttl_ms = -1, .route = &route, .tag_cluster = "east", .tag_hosts = "e1,e2"};

        receive_headers(fixture, entries, G_N_ELEMENTS(entries));

        g_autoptr(Message) tagged = publish(fixture, false, &notes);
        g_autoptr(Message) rerouted = deliver(fixture, false);

        assert_header(tagged, "cluster", "east");
        assert_header(tagged, "cluster-hosts", "e1,e2");
        g_assert_cmpint(count_headers(tagged, "cluster"), ==, 1);
        g_assert_cmpint(count_headers(tagged, "cluster-hosts"), ==, 1);
        g_assert_cmpint(count_headers(rerouted, "cluster"), ==, 2);
        assert_header(rerouted, "cluster-hosts", "old");
}

static void
test_adds_little(Fixture *fixture, gconstpointer user_data)
{
        PublicationNotes notes = {.seq = UINT64_MAX,
                                  .ttl_ms = -1,
                                  .route = &route,
                                  .possible_duplicate = true,
                                  .tag_cluster =
                                      "a-cluster-with-a-long-name-of-some-sixty-letters-and-digits-64",
                                  .tag_hosts = "10.0.0.11,10.0.0.12"};
        amqp_basic_properties_t given = {._flags = AMQP_BASIC_USER_ID_FLAG, .user_id = text("nova")};

        receive(fixture, &given);

        g_autoptr(Message) sent = publish(fixture, false, &notes);

        g_assert_cmpuint(sent->header_bytes - fixture->message->header_bytes, <, 256);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
#define ADD(name, function) g_test_add("/publication/" name, Fixture, NULL, set_up, function, tear_down)
        ADD("keeps-every-property", test_keeps_properties);
        ADD("keeps-headers-of-every-kind", test_keeps_headers);
        ADD("drops-cc-and-bcc", test_drops_copies);
        ADD("moves-the-user-to-a-header", test_moves_user);
        ADD("believes-its-own-headers-only-from-parking", test_believes_own_headers_only);
        ADD("keeps-the-user-through-parking", test_user_passes_parking);
        ADD("taken-back-knows-where-it-came-from", test_taken_back_knows_where_it_came_from);
        ADD("marks-possible-duplicates-once-with-an-int", test_marks_duplicates);
        ADD("tag-headers-replace-those-given", test_tags);
        ADD("adds-less-than-256-bytes", test_adds_little);
#undef ADD
        return g_test_run();
}
