/* SPDX-License-Identifier: MIT */
#include "router/envelope.h"

#include <string.h>

/*
 * envelope_read() on a message made of the input: first line the sources of the route, second the routing
 * key, third the value of a header, the rest the body. Whatever comes out must be consistent.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ConfSource *
make_source(const char *text)
{
        ConfSource *source = g_new0(ConfSource, 1);
        source->is_host = *text == 'h';
        source->kind = *text ? (ConfSourceKind)(text[0] % 4) : CONF_SOURCE_HEADER;
        source->text = g_strdup(*text ? text + 1 : "c");
        return source;
}

static void
source_free(gpointer data)
{
        ConfSource *source = data;
        g_free(source->text);
        g_free(source);
}

static amqp_bytes_t
take_line(const char **p, const char *end)
{
        const char *begin = *p;
        const char *newline = memchr(begin, '\n', (size_t)(end - begin));
        const char *stop = newline ? newline : end;
        *p = newline ? newline + 1 : end;
        return (amqp_bytes_t){.bytes = (void *)begin, .len = (size_t)(stop - begin)};
}

static View *
make_view(void)
{
        static const ViewHost host = {.name = (char *)"e", .usable = true};
        static const ViewInput input = {.name = "east", .hosts = &host, .n_hosts = 1};
        return view_new(&input, 1, false, NULL);
}

static void
check(const Envelope *envelope, unsigned n_sources)
{
        g_assert_true((envelope->kind == ENVELOPE_CLUSTER) == (envelope->cluster != NULL));
        g_assert_true((envelope->kind == ENVELOPE_BAD) == (envelope->why != NULL));
        g_assert_true((envelope->kind == ENVELOPE_NO_CLUSTER) == (envelope->source == -1));
        g_assert_cmpint(envelope->source, <, (int)n_sources);
        g_assert_cmpuint(envelope->value_length, <=, ENVELOPE_VALUE_MAX);
        if (envelope->reply_q.kind == JSON_VALUE_STRING)
                g_assert_true(envelope->is_call);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *p = size > 0 ? (const char *)data : "";
        const char *end = p + size;
        amqp_bytes_t line = take_line(&p, end);
        g_autofree char *text = g_strndup(line.bytes, line.len);
        g_auto(GStrv) spellings = g_strsplit(text, " ", 8);
        g_autoptr(GPtrArray) sources = g_ptr_array_new_with_free_func(source_free);
        for (char **spelling = spellings; *spelling; spelling++)
                g_ptr_array_add(sources, make_source(*spelling));
        ConfRoute route = {.sources = sources,
                           .on_down_call.kind = size % 2 ? CONF_POLICY_PARK : CONF_POLICY_ANY};
        EnvelopeInput input = {.key = take_line(&p, end)};
        amqp_table_entry_t header = {.key = amqp_cstring_bytes("c"), .value.kind = AMQP_FIELD_KIND_UTF8};
        amqp_table_t headers = {.num_entries = 1, .entries = &header};
        header.value.value.bytes = take_line(&p, end);
        input.headers = &headers;
        input.body = (amqp_bytes_t){.bytes = (void *)p, .len = (size_t)(end - p)};
        g_autoptr(View) view = make_view();
        g_autoptr(EnvelopeReader) reader = envelope_reader_new(&route, false);
        Envelope envelope;
        envelope_read(reader, view, &input, &envelope);
        check(&envelope, sources->len);
        return 0;
}
