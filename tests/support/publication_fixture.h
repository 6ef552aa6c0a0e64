/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/dial.h"
#include "router/publication.h"

#include <string.h>

enum { BUFFER_BYTES = 2 * LINK_FRAME_BYTES, FRAME_OVERHEAD_BYTES = 20 };

static const int64_t now_ms = 1700000000123; /* 2023-11-14T22:13:20.123Z */

static const ConfRoute route = {.name = (char *)"volume", .queue = (char *)"cinder-volume"};

typedef struct {
        char *buffer;
        Publication *publication;
        Message *message;
} Fixture;

static inline amqp_bytes_t
text(const char *value)
{
        return amqp_cstring_bytes(value);
}

static inline void
set_up(Fixture *fixture, gconstpointer user_data)
{
        fixture->buffer = g_malloc(BUFFER_BYTES);
        fixture->publication = publication_new();
}

static inline void
tear_down(Fixture *fixture, gconstpointer user_data)
{
        message_free(fixture->message);
        publication_free(fixture->publication);
        g_free(fixture->buffer);
}

static inline amqp_bytes_t
encode(Fixture *fixture, const amqp_basic_properties_t *properties)
{
        amqp_bytes_t raw = {.len = BUFFER_BYTES, .bytes = fixture->buffer};
        int length = amqp_encode_properties(AMQP_BASIC_CLASS, (void *)properties, raw);

        g_assert_cmpint(length, >, 0);
        raw.len = (size_t)length;
        return raw;
}

/* The message that comes in, as a broker would send it. */
static inline void
receive(Fixture *fixture, const amqp_basic_properties_t *properties)
{
        g_clear_pointer(&fixture->message, message_free);
        fixture->message = message_new(text("openstack"), text("a.key"), encode(fixture, properties), 0);
        g_assert_nonnull(fixture->message);
}

static inline void
receive_headers(Fixture *fixture, amqp_table_entry_t *entries, int count)
{
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG,
                                              .headers = {.num_entries = count, .entries = entries}};

        receive(fixture, &properties);
}

static inline void
receive_plain(Fixture *fixture)
{
        amqp_basic_properties_t properties = {0};

        receive(fixture, &properties);
}

/* What goes out, encoded and decoded again, as its receiver sees it; the caller's. */
static inline Message *
publish(Fixture *fixture, bool parked, const PublicationNotes *notes)
{
        Provenance provenance;

        provenance_read(fixture->message, parked, now_ms, &provenance);

        const amqp_basic_properties_t *out =
            publication_build(fixture->publication, fixture->message, &provenance, notes);
        Message *sent = message_new(text(""), text("to"), encode(fixture, out), 0);

        g_assert_nonnull(sent);
        return sent;
}

static inline Message *
deliver(Fixture *fixture, bool parked)
{
        PublicationNotes notes = {.seq = 7, .ttl_ms = -1, .route = &route, .now_unix_ms = now_ms};

        return publish(fixture, parked, &notes);
}

static inline Message *
store(Fixture *fixture, bool parked, int64_t ttl_ms, int64_t when_ms)
{
        PublicationNotes notes = {.seq = 7,
                                  .ttl_ms = ttl_ms,
                                  .stored = true,
                                  .reason = REASON_CLUSTER_DOWN,
                                  .route = &route,
                                  .cluster = "east",
                                  .now_unix_ms = when_ms};

        return publish(fixture, parked, &notes);
}

static inline int
count_headers(const Message *message, const char *name)
{
        int count = 0;

        for (int i = 0; i < message->properties->headers.num_entries; i++)
                count += bytes_equal(message->properties->headers.entries[i].key, name) ? 1 : 0;
        return count;
}

#define assert_header(message, name, expected)                                                               \
        g_assert_true(bytes_equal(message_header_text((message), (name)), (expected)))
#define assert_no_header(message, name) g_assert_null(message_header((message), (name)))
