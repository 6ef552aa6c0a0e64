/* SPDX-License-Identifier: MIT */
/* Copies in parking and dead queues: what they tell, and what of it is read back; and full frames. */
#include "tests/support/publication_fixture.h"

/* ---- expiration ---- */

static void
assert_expiration(Fixture *fixture, int64_t ttl_ms, const char *expected)
{
        PublicationNotes notes = {.seq = 1, .ttl_ms = ttl_ms, .route = &route, .now_unix_ms = now_ms};
        g_autoptr(Message) sent = publish(fixture, false, &notes);

        if (expected)
                g_assert_true(bytes_equal(sent->properties->expiration, expected));
        g_assert_cmpint(!!(sent->properties->_flags & AMQP_BASIC_EXPIRATION_FLAG), ==, expected ? 1 : 0);
}

static void
test_expiration(Fixture *fixture, gconstpointer user_data)
{
        amqp_basic_properties_t given = {._flags = AMQP_BASIC_EXPIRATION_FLAG, .expiration = text("60000")};

        receive(fixture, &given);
        assert_expiration(fixture, 1234, "1234");
        assert_expiration(fixture, 0, "0");
        receive_plain(fixture);
        assert_expiration(fixture, -1, NULL);
}

static void
test_stored_never_expires(Fixture *fixture, gconstpointer user_data)
{
        amqp_basic_properties_t given = {._flags = AMQP_BASIC_EXPIRATION_FLAG, .expiration = text("60000")};

        receive(fixture, &given);

        g_autoptr(Message) expiring = store(fixture, false, 1234, now_ms);
        g_autoptr(Message) zero = store(fixture, false, 0, now_ms);

        receive_plain(fixture);

        g_autoptr(Message) lasting = store(fixture, false, -1, now_ms);

        g_assert_false(expiring->properties->_flags & AMQP_BASIC_EXPIRATION_FLAG);
        assert_header(expiring, "x-router-expiration", "1234");
        assert_header(zero, "x-router-expiration", "0");
        assert_no_header(lasting, "x-router-expiration");
}

/* ---- stored copies ---- */

static void
assert_mode(Fixture *fixture, amqp_basic_properties_t given, int delivered)
{
        receive(fixture, &given);

        g_autoptr(Message) sent = deliver(fixture, false);
        g_autoptr(Message) stored = store(fixture, false, -1, now_ms);
        bool has_mode = sent->properties->_flags & AMQP_BASIC_DELIVERY_MODE_FLAG;

        g_assert_cmpint(has_mode ? sent->properties->delivery_mode : -1, ==, delivered);
        g_assert_true(stored->properties->_flags & AMQP_BASIC_DELIVERY_MODE_FLAG);
        g_assert_cmpint(stored->properties->delivery_mode, ==, 2);
}

static void
test_delivery_mode(Fixture *fixture, gconstpointer user_data)
{
        amqp_basic_properties_t given = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = 1};

        assert_mode(fixture, given, 1);
        given.delivery_mode = 2;
        assert_mode(fixture, given, 2);
        given._flags = 0;
        assert_mode(fixture, given, -1);
}

/* A stored copy is persistent, but the delivered one is what its sender asked for. */
static void
test_mode_passes_parking(Fixture *fixture, gconstpointer user_data)
{
        amqp_basic_properties_t given = {0};

        for (int mode = 0; mode <= 2; mode++) {
                given._flags = mode > 0 ? AMQP_BASIC_DELIVERY_MODE_FLAG : 0;
                given.delivery_mode = (uint8_t)mode;
                receive(fixture, &given);

                Message *stored = store(fixture, false, -1, now_ms);

                message_free(fixture->message);
                fixture->message = stored;

                g_autoptr(Message) again = store(fixture, true, -1, now_ms);
                g_autoptr(Message) sent = deliver(fixture, true);

                g_assert_cmpint(again->properties->delivery_mode, ==, 2);
                g_assert_cmpuint(sent->properties->_flags & AMQP_BASIC_DELIVERY_MODE_FLAG, ==, given._flags);
                g_assert_cmpint(mode > 0 ? sent->properties->delivery_mode : 0, ==, mode);
        }
}

static void
test_stored_tells_why(Fixture *fixture, gconstpointer user_data)
{
        receive_plain(fixture);

        g_autoptr(Message) stored = store(fixture, false, 500, now_ms);
        PublicationNotes nobody = {
            .stored = true, .reason = REASON_NO_CLUSTER, .route = &route, .ttl_ms = -1};
        g_autoptr(Message) common = publish(fixture, false, &nobody);

        assert_header(stored, "x-router-reason", "cluster_down");
        assert_header(stored, "x-router-route", "volume");
        assert_header(stored, "x-router-queue", "cinder-volume");
        assert_header(stored, "x-router-exchange", "openstack");
        assert_header(stored, "x-router-key", "a.key");
        assert_header(stored, "x-router-cluster", "east");
        assert_header(stored, "x-router-time", "2023-11-14T22:13:20.123Z");
        assert_header(stored, "x-router-since", "2023-11-14T22:13:20.123Z");
        g_assert_cmpint(message_header_int(stored, "x-router-attempt", 0), ==, 1);
        assert_header(common, "x-router-reason", "no_cluster");
        assert_no_header(common, "x-router-cluster");
}

static void
test_delivered_tells_nothing(Fixture *fixture, gconstpointer user_data)
{
        receive_plain(fixture);

        Message *stored = store(fixture, false, 500, now_ms);

        message_free(fixture->message);
        fixture->message = stored;

        g_autoptr(Message) sent = deliver(fixture, true);

        g_assert_cmpint(sent->properties->headers.num_entries, ==, 1);
        g_assert_cmpint(message_header_int(sent, "x-router-seq", 0), ==, 7);
}

/* Out of the parking queue after a while, and parked again: what it tells of its first coming stays. */
static void
test_round_trip(Fixture *fixture, gconstpointer user_data)
{
        amqp_table_entry_t entry = {text("own"), {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 3}};
        Provenance provenance;

        receive_headers(fixture, &entry, 1);
        for (int attempt = 1; attempt <= 3; attempt++) {
                Message *stored =
                    store(fixture, attempt > 1, 10000 - attempt * 1000, now_ms + attempt * 1000);

                message_free(fixture->message);
                fixture->message = stored;
                provenance_read(stored, true, now_ms + attempt * 1000 + 400, &provenance);
                g_assert_true(provenance.is_own);
                g_assert_true(bytes_equal(provenance.exchange, "openstack"));
                g_assert_true(bytes_equal(provenance.key, "a.key"));
                g_assert_true(bytes_equal(provenance.reason, "cluster_down"));
                g_assert_cmpint(provenance.attempt, ==, attempt);
                g_assert_cmpint(provenance.since_unix_ms, ==, now_ms + 1000);
                g_assert_cmpint(provenance.time_unix_ms, ==, now_ms + attempt * 1000);
                g_assert_cmpint(provenance.ttl_ms, ==, 10000 - attempt * 1000 - 400);
                g_assert_cmpint(count_headers(stored, "x-router-since"), ==, 1);
                g_assert_cmpint(message_header_int(stored, "own", 0), ==, 3);
        }
}

/* Not our router's words: still nothing may overflow, and what goes out must be in order. */
static void
test_survives_forged_parking(Fixture *fixture, gconstpointer user_data)
{
        static const char *const times[] = {"0001-01-01T00:00:00+23", "9999-12-31T23:59:59.999-23",
                                            "1969-12-31T23:59:59.5Z", "no time", ""};
        amqp_table_entry_t entries[] = {
            {text("x-router-time"), {.kind = AMQP_FIELD_KIND_UTF8}},
            {text("x-router-since"), {.kind = AMQP_FIELD_KIND_UTF8}},
            {text("x-router-attempt"), {.kind = AMQP_FIELD_KIND_I64, .value.i64 = INT64_MAX}},
            {text("x-router-expiration"),
             {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = text("999999999999999999")}},
        };

        for (unsigned i = 0; i < G_N_ELEMENTS(times); i++) {
                entries[0].value.value.bytes = entries[1].value.value.bytes = text(times[i]);
                receive_headers(fixture, entries, G_N_ELEMENTS(entries));

                g_autoptr(Message) stored = store(fixture, true, -1, now_ms);

                g_assert_cmpint(message_header_int(stored, "x-router-attempt", 0), >, 0);
                assert_header(stored, "x-router-time", "2023-11-14T22:13:20.123Z");
        }
}

/* ---- room ---- */

/* A header "pad" that makes the encoded properties @bytes long, with other headers before it. */
static void
receive_padded(Fixture *fixture, amqp_table_entry_t *entries, int count, size_t bytes)
{
        g_autofree char *pad = g_strnfill(bytes, 'p');
        amqp_basic_properties_t given = {._flags = AMQP_BASIC_HEADERS_FLAG,
                                         .headers = {.num_entries = count, .entries = entries}};
        amqp_table_entry_t *last = &entries[count - 1];

        *last = (amqp_table_entry_t){text("pad"), {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = text("")}};
        last->value.value.bytes = (amqp_bytes_t){.len = bytes - encode(fixture, &given).len, .bytes = pad};
        receive(fixture, &given);
        g_assert_cmpuint(fixture->message->header_bytes, ==, bytes);
}

static void
test_bare(Fixture *fixture, gconstpointer user_data)
{
        amqp_table_entry_t entries[] = {
            {text("CC"), {.kind = AMQP_FIELD_KIND_VOID}},
            {text("x-possible-duplicate"), {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 1}},
            {text("cluster"), {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = text("own")}},
            {text("pad"), {0}}};
        PublicationNotes notes = {.seq = 1,
                                  .ttl_ms = -1,
                                  .route = &route,
                                  .stored = true,
                                  .possible_duplicate = true,
                                  .tag_cluster = "east",
                                  .tag_hosts = "e1"};

        receive_padded(fixture, entries, G_N_ELEMENTS(entries), LINK_FRAME_BYTES - FRAME_OVERHEAD_BYTES);
        g_assert_true(publication_is_bare(fixture->message, NULL));

        g_autoptr(Message) sent = publish(fixture, false, &notes);

        g_assert_cmpint(sent->properties->headers.num_entries, ==, 3);
        assert_no_header(sent, "CC");
        g_assert_cmpint(count_headers(sent, "x-possible-duplicate"), ==, 1);
        assert_header(sent, "cluster", "own");
        g_assert_cmpuint(sent->header_bytes, <=, LINK_FRAME_BYTES - FRAME_OVERHEAD_BYTES);
}

/* One byte more in a full frame is one too many: then the copy is as lasting as its sender asked for. */
static void
test_bare_fits(Fixture *fixture, gconstpointer user_data)
{
        amqp_table_entry_t pad;

        receive_padded(fixture, &pad, 1, LINK_FRAME_BYTES - FRAME_OVERHEAD_BYTES);

        g_autoptr(Message) stored = store(fixture, false, -1, now_ms);

        g_assert_cmpuint(stored->header_bytes, <=, LINK_FRAME_BYTES - FRAME_OVERHEAD_BYTES);
}

/* The largest message that is not bare has room for all of ours. */
static void
test_room(Fixture *fixture, gconstpointer user_data)
{
        g_autofree char *name = g_strnfill(64, 'n'), *longest = g_strnfill(255, 'l');
        g_autofree char *hosts = g_strnfill(30000, 'h');
        ConfRoute wide = {.name = name, .queue = longest};
        PublicationNotes notes = {.seq = UINT64_MAX,
                                  .ttl_ms = INT64_MAX / 1000000,
                                  .possible_duplicate = true,
                                  .tag_cluster = name,
                                  .tag_hosts = hosts,
                                  .stored = true,
                                  .reason = REASON_CLUSTER_DRAINED,
                                  .route = &wide,
                                  .cluster = name,
                                  .now_unix_ms = now_ms};
        size_t bytes = LINK_FRAME_BYTES;
        amqp_table_entry_t pad;

        do
                receive_padded(fixture, &pad, 1, --bytes);
        while (publication_is_bare(fixture->message, hosts) && bytes > 90000);
        fixture->message->exchange = fixture->message->key = text(longest);
        fixture->message->properties->_flags |= AMQP_BASIC_USER_ID_FLAG;
        fixture->message->properties->user_id = text(longest);

        g_autoptr(Message) sent = publish(fixture, false, &notes);

        g_assert_nonnull(message_header(sent, "x-router-expiration"));
        g_assert_cmpuint(sent->header_bytes, <=, LINK_FRAME_BYTES - FRAME_OVERHEAD_BYTES);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
#define ADD(name, function)                                                                                  \
        g_test_add("/publication_stored/" name, Fixture, NULL, set_up, function, tear_down)
        ADD("gives-out-what-is-left-of-the-expiration", test_expiration);
        ADD("stored-copies-never-expire-in-their-queue", test_stored_never_expires);
        ADD("keeps-the-delivery-mode-or-stores-for-good", test_delivery_mode);
        ADD("keeps-the-delivery-mode-through-parking", test_mode_passes_parking);
        ADD("stored-copies-tell-why", test_stored_tells_why);
        ADD("delivered-copies-tell-nothing-of-their-parking", test_delivered_tells_nothing);
        ADD("reads-back-what-it-stored", test_round_trip);
        ADD("survives-forged-parking-headers", test_survives_forged_parking);
        ADD("adds-nothing-where-there-is-no-room", test_bare);
        ADD("never-outgrows-a-full-frame", test_bare_fits);
        ADD("has-room-for-its-headers-unless-bare", test_room);
#undef ADD
        return g_test_run();
}
