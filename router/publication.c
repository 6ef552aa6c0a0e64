/* SPDX-License-Identifier: MIT */

/*
 * The entries of the header table are collected in an array that is reused from message to message; names and
 * values are borrowed, so nothing is copied but the entries themselves.
 */

#include "router/publication.h"
#include "router/dial.h"

#include <amqp_framing.h>
#include <string.h>

#define OWN_PREFIX "x-router-"
#define DUPLICATE_HEADER "x-possible-duplicate"
#define USER_HEADER "x-router-user-id"
#define YEAR_10000_UNIX_S G_GINT64_CONSTANT(253402300800)

enum { DIGITS_MAX = 15 /* of milliseconds: as microseconds they still fit */, FRAME_OVERHEAD_BYTES = 20 };
enum { OWN_ENTRIES = 24, OWN_BYTES = 2048, TEXT_BYTES = 48, PERSISTENT = 2 };

struct Publication {
        amqp_basic_properties_t properties;
        amqp_table_entry_t *entries;
        int capacity;
        int count;
        char expiration[24];
        char time[TEXT_BYTES];
        char since[TEXT_BYTES];
};

Publication *
publication_new(void)
{
        return g_new0(Publication, 1);
}

void
publication_free(Publication *publication)
{
        if (!publication)
                return;
        g_free(publication->entries);
        g_free(publication);
}

/* ---- reading ---- */

static int64_t
parse_digits(amqp_bytes_t text)
{
        int64_t value = 0;

        if (text.len == 0 || text.len > DIGITS_MAX)
                return -1;
        for (size_t i = 0; i < text.len; i++) {
                char c = ((const char *)text.bytes)[i];

                if (!g_ascii_isdigit(c))
                        return -1;
                value = value * 10 + (c - '0');
        }
        return value;
}

static int64_t
parse_time(amqp_bytes_t text)
{
        char copy[TEXT_BYTES] = "";

        if (text.len == 0 || text.len >= sizeof(copy))
                return 0;
        memcpy(copy, text.bytes, text.len);

        g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(copy, NULL);
        int64_t unix_s = time ? g_date_time_to_unix(time) : 0;

        /* Nothing was parked before 1970 or will be after 9999, whatever a forged header says. */
        if (unix_s <= 0 || unix_s >= YEAR_10000_UNIX_S)
                return 0;
        return unix_s * 1000 + g_date_time_get_microsecond(time) / 1000;
}

static void
write_time(char out[TEXT_BYTES], int64_t unix_ms)
{
        g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(unix_ms / 1000);
        g_autofree char *seconds = g_date_time_format(time, "%Y-%m-%dT%H:%M:%S");

        g_snprintf(out, TEXT_BYTES, "%s.%03dZ", seconds, (int)(unix_ms % 1000));
}

static int64_t
own_expiration(const Message *message)
{
        if (!(message->properties->_flags & AMQP_BASIC_EXPIRATION_FLAG))
                return -1;
        return parse_digits(message->properties->expiration);
}

static int64_t
own_delivery_mode(const Message *message)
{
        return message->properties->_flags & AMQP_BASIC_DELIVERY_MODE_FLAG
                   ? message->properties->delivery_mode
                   : 0;
}

/* It lay in the queue of a host. */
static void
read_taken_back(const Message *message, int64_t now_unix_ms, Provenance *out)
{
        if (!message_header(message, OWN_PREFIX "key"))
                return;
        out->is_own = true;
        out->exchange = message_header_text(message, OWN_PREFIX "exchange");
        out->key = message_header_text(message, OWN_PREFIX "key");

        int64_t put_unix_ms = parse_time(message_header_text(message, OWN_PREFIX "delivered"));

        if (out->ttl_ms >= 0 && put_unix_ms > 0)
                out->ttl_ms = MAX(out->ttl_ms - MAX(now_unix_ms - put_unix_ms, 0), 0);
}

void
provenance_read(const Message *message, bool own, int64_t now_unix_ms, Provenance *out)
{
        *out = (Provenance){.exchange = message->exchange,
                            .key = message->key,
                            .ttl_ms = own_expiration(message),
                            .delivery_mode = own_delivery_mode(message)};
        if (!own)
                return;
        if (!message_header(message, OWN_PREFIX "time")) {
                read_taken_back(message, now_unix_ms, out);
                return;
        }

        int64_t ttl_ms = parse_digits(message_header_text(message, OWN_PREFIX "expiration"));

        out->is_own = true;
        out->exchange = message_header_text(message, OWN_PREFIX "exchange");
        out->key = message_header_text(message, OWN_PREFIX "key");
        out->attempt = CLAMP(message_header_int(message, OWN_PREFIX "attempt", 0), 0, INT32_MAX);
        out->since_unix_ms = parse_time(message_header_text(message, OWN_PREFIX "since"));
        out->time_unix_ms = parse_time(message_header_text(message, OWN_PREFIX "time"));
        out->reason = message_header_text(message, OWN_PREFIX "reason");
        out->delivery_mode = message_header_int(message, OWN_PREFIX "delivery-mode", PERSISTENT);
        out->ttl_ms = ttl_ms < 0 ? -1 : MAX(ttl_ms - (now_unix_ms - out->time_unix_ms), 0);
}

/* ---- writing ---- */

static void
add_text(Publication *publication, const char *name, amqp_bytes_t text)
{
        publication->entries[publication->count++] = (amqp_table_entry_t){
            .key = amqp_cstring_bytes(name), .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = text}};
}

static void
add_int(Publication *publication, const char *name, int64_t value)
{
        publication->entries[publication->count++] = (amqp_table_entry_t){
            .key = amqp_cstring_bytes(name), .value = {.kind = AMQP_FIELD_KIND_I64, .value.i64 = value}};
}

static bool
has_prefix(amqp_bytes_t name, const char *prefix)
{
        size_t length = strlen(prefix);

        return name.len >= length && memcmp(name.bytes, prefix, length) == 0;
}

/* Headers that are not passed on: those the broker would act upon, and those that are not believed. */
static bool
is_dropped(const amqp_table_entry_t *entry, bool keep_user)
{
        if (bytes_equal(entry->key, "CC") || bytes_equal(entry->key, "BCC"))
                return true;
        if (bytes_equal(entry->key, USER_HEADER))
                return !keep_user;
        return has_prefix(entry->key, OWN_PREFIX);
}

/* Headers that ours take the place of. */
static bool
is_replaced(const amqp_table_entry_t *entry, const PublicationNotes *notes, bool *out_duplicate)
{
        if (bytes_equal(entry->key, DUPLICATE_HEADER)) {
                *out_duplicate = true;
                return true;
        }
        return notes->tag_cluster &&
               (bytes_equal(entry->key, "cluster") || bytes_equal(entry->key, "cluster-hosts"));
}

static void
reserve(Publication *publication, int entries)
{
        publication->count = 0;
        if (entries <= publication->capacity)
                return;
        publication->capacity = MAX(entries, 64);
        publication->entries = g_renew(amqp_table_entry_t, publication->entries, publication->capacity);
}

static bool
copy_headers(Publication *publication, const Message *message, const Provenance *provenance,
             const PublicationNotes *notes, bool bare)
{
        const amqp_basic_properties_t *from = message->properties;
        int given = from->_flags & AMQP_BASIC_HEADERS_FLAG ? from->headers.num_entries : 0;
        bool duplicate = false;

        reserve(publication, given + OWN_ENTRIES);
        for (int i = 0; i < given; i++) {
                const amqp_table_entry_t *entry = &from->headers.entries[i];

                if (!is_dropped(entry, provenance->is_own) &&
                    (bare || !is_replaced(entry, notes, &duplicate)))
                        publication->entries[publication->count++] = *entry;
        }
        return duplicate;
}

static void
add_storage_notes(Publication *publication, const Provenance *provenance, const PublicationNotes *notes)
{
        int64_t since = provenance->since_unix_ms ? provenance->since_unix_ms : notes->now_unix_ms;

        write_time(publication->time, notes->now_unix_ms);
        write_time(publication->since, since);
        add_text(publication, OWN_PREFIX "reason", bytes_of(reason_code(notes->reason)));
        add_text(publication, OWN_PREFIX "route", bytes_of(notes->route->name));
        add_text(publication, OWN_PREFIX "queue", bytes_of(notes->route->queue));
        add_text(publication, OWN_PREFIX "exchange", provenance->exchange);
        add_text(publication, OWN_PREFIX "key", provenance->key);
        if (notes->cluster)
                add_text(publication, OWN_PREFIX "cluster", bytes_of(notes->cluster));
        add_text(publication, OWN_PREFIX "time", bytes_of(publication->time));
        add_text(publication, OWN_PREFIX "since", bytes_of(publication->since));
        add_int(publication, OWN_PREFIX "attempt", provenance->attempt + 1);
        if (provenance->delivery_mode != PERSISTENT)
                add_int(publication, OWN_PREFIX "delivery-mode", provenance->delivery_mode);
        if (notes->ttl_ms >= 0)
                add_text(publication, OWN_PREFIX "expiration", bytes_of(publication->expiration));
}

static void
add_origin_notes(Publication *publication, const Provenance *provenance, const PublicationNotes *notes)
{
        add_text(publication, OWN_PREFIX "exchange", provenance->exchange);
        add_text(publication, OWN_PREFIX "key", provenance->key);
        if (notes->ttl_ms < 0)
                return;
        write_time(publication->time, notes->now_unix_ms);
        add_text(publication, OWN_PREFIX "delivered", bytes_of(publication->time));
}

static void
add_own_headers(Publication *publication, const Message *message, const Provenance *provenance,
                const PublicationNotes *notes, bool duplicate)
{
        add_int(publication, OWN_PREFIX "seq", (int64_t)notes->seq);
        if (duplicate)
                publication->entries[publication->count++] =
                    (amqp_table_entry_t){.key = amqp_cstring_bytes(DUPLICATE_HEADER),
                                         .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 1}};
        if (message->properties->_flags & AMQP_BASIC_USER_ID_FLAG)
                add_text(publication, USER_HEADER, message->properties->user_id);
        if (notes->tag_cluster) {
                add_text(publication, "cluster", bytes_of(notes->tag_cluster));
                add_text(publication, "cluster-hosts", bytes_of(notes->tag_hosts));
        }
        if (notes->stored)
                add_storage_notes(publication, provenance, notes);
        else if (notes->to_host)
                add_origin_notes(publication, provenance, notes);
}

static void
set_delivery_mode(amqp_basic_properties_t *to, int64_t delivery_mode)
{
        to->delivery_mode = (uint8_t)delivery_mode;
        to->_flags &= ~(amqp_flags_t)(AMQP_BASIC_DELIVERY_MODE_FLAG);
        if (delivery_mode != 0)
                to->_flags |= AMQP_BASIC_DELIVERY_MODE_FLAG;
}

static void
set_properties(Publication *publication, const Message *message, const Provenance *provenance,
               const PublicationNotes *notes)
{
        amqp_basic_properties_t *to = &publication->properties;

        *to = *message->properties;
        to->_flags &= ~(amqp_flags_t)(AMQP_BASIC_USER_ID_FLAG);
        /* Where there was none, its byte may be the one too many in a full frame. */
        if (message->header_bytes < LINK_FRAME_BYTES - FRAME_OVERHEAD_BYTES)
                set_delivery_mode(to, notes->stored ? PERSISTENT : provenance->delivery_mode);
        if (notes->ttl_ms >= 0) {
                g_snprintf(publication->expiration, sizeof(publication->expiration), "%" G_GINT64_FORMAT,
                           notes->ttl_ms);
                to->expiration = bytes_of(publication->expiration);
                to->_flags |= AMQP_BASIC_EXPIRATION_FLAG;
        }
        if (notes->stored)
                to->_flags &= ~(amqp_flags_t)(AMQP_BASIC_EXPIRATION_FLAG);
}

const amqp_basic_properties_t *
publication_build(Publication *publication, const Message *message, const Provenance *provenance,
                  const PublicationNotes *notes)
{
        set_properties(publication, message, provenance, notes);

        bool bare = publication_is_bare(message, notes->tag_hosts);
        bool duplicate =
            copy_headers(publication, message, provenance, notes, bare) || notes->possible_duplicate;

        if (!bare)
                add_own_headers(publication, message, provenance, notes, duplicate);
        publication->properties.headers =
            (amqp_table_t){.num_entries = publication->count, .entries = publication->entries};
        if (publication->count > 0)
                publication->properties._flags |= AMQP_BASIC_HEADERS_FLAG;
        return &publication->properties;
}

bool
publication_is_bare(const Message *message, const char *tag_hosts_or_null)
{
        size_t tag_bytes = tag_hosts_or_null ? strlen(tag_hosts_or_null) : 0;

        return message->header_bytes + tag_bytes + OWN_BYTES > LINK_FRAME_BYTES;
}
