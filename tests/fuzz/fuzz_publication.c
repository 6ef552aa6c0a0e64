/* SPDX-License-Identifier: MIT */
#include "router/dial.h"
#include "router/publication.h"

#include <string.h>

/*
 * Property bytes, as a broker would send them, published again in every way: what goes out can be encoded
 * again and fits its frame, whatever came in. The first byte chooses what the message is and what becomes of
 * it; small inputs are blown up to the size of a frame now and then, since it is there that room runs out.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
        ROOM_BYTES = LINK_FRAME_BYTES - 20,
        PADDING_BYTES = 128800,
        PADDING_STEP_BYTES = 9,
        NOW_S = 1700000000
};

enum { PARKED = 1, STORED = 2, TAGGED = 4, DOUBTFUL = 8, PADDED = 16, TO_HOST = 32, WITH_BODY = 64 };

static const ConfRoute route = {.name = (char *)"route", .queue = (char *)"queue"};

/* A header table in front of everything else can be made longer by an entry of its own. */
static amqp_bytes_t
pad(amqp_bytes_t raw, uint8_t steps)
{
        static const char entry[] = "\003padS";
        const uint8_t *from = raw.bytes;
        uint32_t text = PADDING_BYTES + PADDING_STEP_BYTES * (uint32_t)steps;
        uint32_t table = 0, added = (uint32_t)sizeof(entry) - 1 + 4 + text;
        bool only_headers = raw.len >= 6 && from[0] == 0x20 && from[1] == 0;

        if (!only_headers || raw.len > 255)
                return (amqp_bytes_t){.len = raw.len, .bytes = g_memdup2(raw.bytes, raw.len)};

        char *to = g_malloc0(raw.len + added);

        memcpy(to, from, 2);
        memcpy(&table, from + 2, 4);
        table = GUINT32_FROM_BE(table) + added;
        table = GUINT32_TO_BE(table);
        text = GUINT32_TO_BE(text);
        memcpy(to + 2, &table, 4);
        memcpy(to + 6, entry, sizeof(entry) - 1);
        memcpy(to + 6 + sizeof(entry) - 1, &text, 4);
        memcpy(to + 6 + added, from + 6, raw.len - 6);
        return (amqp_bytes_t){.len = raw.len + added, .bytes = to};
}

static PublicationNotes
choose(uint8_t way, const Provenance *provenance)
{
        PublicationNotes notes = {.seq = UINT64_MAX,
                                  .possible_duplicate = way & DOUBTFUL,
                                  .ttl_ms = provenance->ttl_ms,
                                  .stored = way & STORED,
                                  .to_host = way & TO_HOST,
                                  .reason = REASON_UNKNOWN_CLUSTER,
                                  .route = &route,
                                  .now_unix_ms = NOW_S * 1000ll};

        if (way & TAGGED) {
                notes.tag_cluster = notes.cluster = "east";
                notes.tag_hosts = "10.0.0.11,10.0.0.12";
        }
        return notes;
}

static void
check_headers(const amqp_basic_properties_t *out, bool bare)
{
        int marks = 0;

        for (int i = 0; i < out->headers.num_entries; i++) {
                amqp_bytes_t name = out->headers.entries[i].key;

                g_assert_false(bytes_equal(name, "CC"));
                g_assert_false(bytes_equal(name, "BCC"));
                g_assert_false(bare && bytes_equal(name, "x-router-seq"));
                marks += bytes_equal(name, "x-possible-duplicate") ? 1 : 0;
        }
        g_assert_true(bare || marks <= 1);
        g_assert_false(out->_flags & AMQP_BASIC_USER_ID_FLAG);
}

static void
publish(const Message *message, uint8_t way)
{
        g_autoptr(Publication) publication = publication_new();
        g_autofree char *frame = g_malloc(ROOM_BYTES);
        Provenance provenance;

        provenance_read(message, way & PARKED, NOW_S * 1000ll, &provenance);
        g_assert_cmpint(provenance.ttl_ms, >=, -1);

        PublicationNotes notes = choose(way, &provenance);
        const amqp_basic_properties_t *out = publication_build(publication, message, &provenance, &notes);
        int length = amqp_encode_properties(AMQP_BASIC_CLASS, (void *)out,
                                            (amqp_bytes_t){.len = ROOM_BYTES, .bytes = frame});

        g_assert_cmpint(length, >, 0);
        check_headers(out, publication_is_bare(message, notes.tag_hosts));

        /* And it can be read again. */
        Message *again = message_new(amqp_empty_bytes, amqp_empty_bytes,
                                     (amqp_bytes_t){.len = (size_t)length, .bytes = frame}, 0);

        g_assert_nonnull(again);
        message_free(again);
}

/* In pieces of that size, until the message is full. */
static void
fill(Message *message, amqp_bytes_t raw, size_t piece)
{
        char *from = raw.bytes;

        for (size_t at = 0; at < raw.len; at += piece) {
                amqp_bytes_t fragment = {.len = MIN(piece, raw.len - at), .bytes = from + at};

                if (!message_append(message, fragment))
                        break;
                g_assert_cmpuint(message->filled_bytes, <=, message->body.len);
        }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 2 || size > ROOM_BYTES)
                return 0;

        amqp_bytes_t raw = {.len = size - 2, .bytes = (void *)(data + 2)};
        amqp_bytes_t whole = data[0] & PADDED
                                 ? pad(raw, data[1])
                                 : (amqp_bytes_t){.len = raw.len, .bytes = g_memdup2(raw.bytes, raw.len)};
        g_autoptr(Message) message =
            whole.len <= ROOM_BYTES
                ? message_new(bytes_of("exchange"), bytes_of("key"), whole, data[0] & WITH_BODY ? data[1] : 0)
                : NULL;

        g_free(whole.bytes);
        if (!message)
                return 0;
        fill(message, raw, 1 + data[1] % 7);
        publish(message, data[0]);
        return 0;
}
