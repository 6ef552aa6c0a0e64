/* SPDX-License-Identifier: MIT */
/*
 * A message has no number of its own that lasts: tags are of a channel, x-router-seq is of a connection. When
 * it was put there, under which number, from where and with which body tell it from all others.
 */
#include "router/ctl/stored.h"

#include "router/ctl/fields.h"
#include "router/json_scan.h"

#include <string.h>

/* ---- the id ---- */

static void
add_bytes(GChecksum *sum, amqp_bytes_t bytes)
{
        uint64_t length = bytes.len;

        g_checksum_update(sum, (const guchar *)&length, sizeof(length));
        if (bytes.len > 0)
                g_checksum_update(sum, bytes.bytes, (gssize)bytes.len);
}

static char *
make_id(const Message *message)
{
        g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
        int64_t seq = message_header_int(message, "x-router-seq", 0);

        add_bytes(sum, message_header_text(message, "x-router-time"));
        add_bytes(sum, (amqp_bytes_t){.len = sizeof(seq), .bytes = &seq});
        add_bytes(sum, message_header_text(message, "x-router-exchange"));
        add_bytes(sum, message_header_text(message, "x-router-key"));
        add_bytes(sum, message->body);
        return g_strndup(g_checksum_get_string(sum), STORED_ID_LENGTH);
}

/* ---- the rest ---- */

static char *
text_of(amqp_bytes_t bytes)
{
        return g_utf8_make_valid(bytes.len ? bytes.bytes : "", (gssize)bytes.len);
}

static bool
is_filled(const JsonValue *value)
{
        return value->kind == JSON_VALUE_STRING && value->length > 0;
}

static void
read_oslo(Stored *stored, const Message *message)
{
        static const char *const pointers[] = {"/method", "/_msg_id", "/_reply_q"};
        g_autoptr(JsonFields) fields = json_fields_new();
        g_autoptr(JsonScratch) scratch = json_scratch_new();
        g_autofree JsonResult *result = g_new0(JsonResult, 1);
        char method[256] = "";
        bool added = true;

        for (int i = 0; i < (int)G_N_ELEMENTS(pointers); i++)
                added &= json_fields_add(fields, JSON_INNER, pointers[i]) == i;
        json_scan(fields, scratch, message->body.len ? message->body.bytes : "", message->body.len, result);
        if (added && result->inner == JSON_TEXT_OK) {
                size_t length = 0;

                if (is_filled(&result->values[0]))
                        length = json_value_copy(&result->values[0], method, sizeof(method));
                stored->is_call = is_filled(&result->values[1]) && is_filled(&result->values[2]);
                stored->method = text_of((amqp_bytes_t){MIN(length, sizeof(method)), method});
        }
        if (message->properties->_flags & AMQP_BASIC_REPLY_TO_FLAG && message->properties->reply_to.len > 0)
                stored->is_call = true;
}

Stored *
stored_read(const Message *message, int64_t now_unix_ms)
{
        Stored *stored = g_new0(Stored, 1);

        provenance_read(message, true, now_unix_ms, &stored->provenance);
        stored->id = make_id(message);
        stored->is_own = stored->provenance.is_own;
        stored->reason = text_of(message_header_text(message, "x-router-reason"));
        stored->cluster = text_of(message_header_text(message, "x-router-cluster"));
        stored->exchange = text_of(stored->provenance.exchange);
        stored->key = text_of(stored->provenance.key);
        stored->time_unix_ms = stored->provenance.time_unix_ms;
        stored->attempt = stored->provenance.attempt;
        stored->is_expired = stored->is_own && stored->provenance.ttl_ms == 0;
        stored->bytes = message->body.len;
        read_oslo(stored, message);
        if (stored->method == NULL)
                stored->method = g_strdup("");
        return stored;
}

void
stored_free(Stored *stored)
{
        if (stored == NULL)
                return;
        g_free(stored->id);
        g_free(stored->reason);
        g_free(stored->cluster);
        g_free(stored->exchange);
        g_free(stored->key);
        g_free(stored->method);
        g_free(stored);
}

json_t *
stored_age_json(int64_t time_unix_ms, int64_t now_unix_ms)
{
        return time_unix_ms ? json_integer(MAX(now_unix_ms - time_unix_ms, 0) / 1000) : json_null();
}

char *
stored_age_text(int64_t time_unix_ms, int64_t now_unix_ms)
{
        int64_t age_s = MAX(now_unix_ms - time_unix_ms, 0) / 1000;

        if (time_unix_ms == 0)
                return g_strdup("-");
        if (age_s < 120)
                return g_strdup_printf("%d s", (int)age_s);
        if (age_s < 2 * 3600)
                return g_strdup_printf("%d min", (int)(age_s / 60));
        if (age_s < 2 * 86400)
                return g_strdup_printf("%d h", (int)(age_s / 3600));
        return g_strdup_printf("%" G_GINT64_FORMAT " d", age_s / 86400);
}

/* ---- selecting ---- */

bool
selection_is_all(const Selection *selection)
{
        return !selection->id && !selection->reason && !selection->cluster && !selection->method &&
               selection->older_ms == 0;
}

bool
selection_has(const Selection *selection, const Stored *stored, int64_t now_unix_ms)
{
        if (selection->id && !g_str_has_prefix(stored->id, selection->id))
                return false;
        if (selection->reason && strcmp(selection->reason, stored->reason) != 0)
                return false;
        if (selection->cluster && strcmp(selection->cluster, stored->cluster) != 0)
                return false;
        if (selection->method && strcmp(selection->method, stored->method) != 0)
                return false;
        /* What does not tell its age is not older than anything. */
        return selection->older_ms == 0 || (stored->time_unix_ms > 0 && now_unix_ms - stored->time_unix_ms >=
                                                                            (int64_t)selection->older_ms);
}
