/* SPDX-License-Identifier: MIT */
#include "router/envelope.h"

#include "cluster/rendezvous.h"
#include "router/key_template.h"

#include <string.h>

/*
 * Each source of the route is compiled to where it looks: a header name, an index in the results of the JSON
 * scanner, or a key template. Reading a message asks them in turn; the first JSON source that is asked has
 * the body scanned, for all of them. What makes an oslo message a call is looked for in the same scan.
 *
 * A host may be written as oslo services write it, "host@backend#pool": if the whole is no known host, the
 * part before the "@" is looked up.
 */

/* One source, compiled. */
typedef struct {
        const ConfSource *conf;
        int field;                 /* JSON and OSLO: index in the results; -1: cannot be compiled */
        KeyTemplate *key_template; /* KEY; NULL: cannot be compiled */
} Source;

struct EnvelopeReader {
        Source *sources;
        unsigned n_sources;
        Source affinity;  /* conf NULL: none */
        bool tells_calls; /* the body is always scanned */
        bool reads_oslo;  /* the three fields below are looked for */
        int msg_id;
        int reply_q;
        int unique_id;
        JsonFields *fields;
        JsonScratch *scratch;
        JsonResult json; /* of the message at hand, if it was scanned */
};

/* One message while it is read. */
typedef struct {
        EnvelopeReader *reader;
        const View *view;
        const EnvelopeInput *input;
        bool scanned;
} Reading;

/* What one source holds. */
typedef struct {
        SourceAnswer answer;
        const ViewCluster *cluster; /* KNOWN */
        const char *text;           /* KNOWN and UNKNOWN: the value */
        size_t length;
        const char *why;                 /* BAD */
        char buffer[ENVELOPE_VALUE_MAX]; /* the value, if it had to be unescaped */
} Finding;

/* ---- compiling ---- */

static void
compile_source(EnvelopeReader *reader, Source *source, const ConfSource *conf)
{
        source->conf = conf;
        if (conf->kind == CONF_SOURCE_JSON)
                source->field = json_fields_add(reader->fields, JSON_OUTER, conf->text);
        if (conf->kind == CONF_SOURCE_OSLO)
                source->field = json_fields_add(reader->fields, JSON_INNER, conf->text);
        if (conf->kind == CONF_SOURCE_KEY)
                source->key_template = key_template_new(conf->text);
}

/* Its policies for calls and casts differ, or one of them answers the caller. */
static bool
route_tells_calls(const ConfRoute *route)
{
        const ConfPolicy *cast = &route->on_down_cast;
        const ConfPolicy *call = &route->on_down_call;
        return cast->kind == CONF_POLICY_FAIL || call->kind == CONF_POLICY_FAIL || cast->kind != call->kind ||
               g_strcmp0(cast->name, call->name) != 0;
}

EnvelopeReader *
envelope_reader_new(const ConfRoute *route, bool tell_calls)
{
        EnvelopeReader *reader = g_new0(EnvelopeReader, 1);
        reader->fields = json_fields_new();
        reader->scratch = json_scratch_new();
        reader->tells_calls = tell_calls || route_tells_calls(route);
        reader->reads_oslo = reader->tells_calls;
        for (unsigned i = 0; i < route->sources->len; i++) {
                const ConfSource *conf = route->sources->pdata[i];
                reader->reads_oslo |= conf->kind == CONF_SOURCE_OSLO;
        }
        reader->reads_oslo |= route->affinity && route->affinity->kind == CONF_SOURCE_OSLO;
        if (reader->reads_oslo) {
                reader->msg_id = json_fields_add(reader->fields, JSON_INNER, "/_msg_id");
                reader->reply_q = json_fields_add(reader->fields, JSON_INNER, "/_reply_q");
                reader->unique_id = json_fields_add(reader->fields, JSON_INNER, "/_unique_id");
        }
        reader->n_sources = route->sources->len;
        reader->sources = g_new0(Source, reader->n_sources);
        for (unsigned i = 0; i < reader->n_sources; i++)
                compile_source(reader, &reader->sources[i], route->sources->pdata[i]);
        if (route->affinity)
                compile_source(reader, &reader->affinity, route->affinity);
        return reader;
}

void
envelope_reader_free(EnvelopeReader *reader)
{
        if (!reader)
                return;
        for (unsigned i = 0; i < reader->n_sources; i++)
                key_template_free(reader->sources[i].key_template);
        key_template_free(reader->affinity.key_template);
        g_free(reader->sources);
        json_fields_free(reader->fields);
        json_scratch_free(reader->scratch);
        g_free(reader);
}

/* ---- what one source says ---- */

/* Never NULL, so that it may be compared and counted from even if it is empty. */
static const char *
bytes_text(amqp_bytes_t bytes)
{
        return bytes.bytes ? bytes.bytes : "";
}

static void
say_bad(Finding *finding, const char *why)
{
        finding->answer = SOURCE_SAYS_BAD;
        finding->why = why;
}

static const ViewCluster *
find_host(const View *view, const char *host, size_t length)
{
        const ViewCluster *cluster = view_find_by_host(view, host, length);
        const char *at = memchr(host, '@', length);
        return cluster || !at ? cluster : view_find_by_host(view, host, (size_t)(at - host));
}

/* A value was held, maybe an empty one, which is none. */
static void
say_value(Finding *finding, const Reading *reading, const Source *source, const char *text, size_t length)
{
        if (length == 0)
                return;
        finding->text = text;
        finding->length = length;
        finding->cluster = source->conf->is_host ? find_host(reading->view, text, length)
                                                 : view_find(reading->view, text, length);
        finding->answer = finding->cluster ? SOURCE_SAYS_KNOWN : SOURCE_SAYS_UNKNOWN;
}

static void
say_header(Finding *finding, const Reading *reading, const Source *source)
{
        const amqp_table_t *headers = reading->input->headers;
        const amqp_field_value_t *value = NULL;
        size_t name_length = strlen(source->conf->text);
        for (int i = 0; headers && i < headers->num_entries; i++) {
                const amqp_table_entry_t *entry = &headers->entries[i];
                if (entry->key.len != name_length ||
                    memcmp(entry->key.bytes, source->conf->text, name_length) != 0)
                        continue;
                if (value) {
                        say_bad(finding, "the header that names the cluster is there twice");
                        return;
                }
                value = &entry->value;
        }
        if (!value || value->kind == AMQP_FIELD_KIND_VOID)
                return;
        if (value->kind == AMQP_FIELD_KIND_UTF8 || value->kind == AMQP_FIELD_KIND_BYTES)
                say_value(finding, reading, source, bytes_text(value->value.bytes), value->value.bytes.len);
        else
                say_bad(finding, "the header that names the cluster is not a string");
}

static void
say_key(Finding *finding, const Reading *reading, const Source *source)
{
        const char *text;
        size_t length;
        if (!source->key_template)
                say_bad(finding, "the route's key template does not hold one {cluster} or {host}");
        else if (key_template_match(source->key_template, bytes_text(reading->input->key),
                                    reading->input->key.len, &text, &length))
                say_value(finding, reading, source, text, length);
}

static void
scan_body(Reading *reading)
{
        if (reading->scanned)
                return;
        reading->scanned = true;
        json_scan(reading->reader->fields, reading->reader->scratch, bytes_text(reading->input->body),
                  reading->input->body.len, &reading->reader->json);
}

static void
say_field(Finding *finding, const Reading *reading, const Source *source, const JsonValue *value)
{
        switch (value->kind) {
        case JSON_VALUE_ABSENT:
                return;
        case JSON_VALUE_OTHER:
                say_bad(finding, "the field that names the cluster is not a string");
                return;
        case JSON_VALUE_AMBIGUOUS:
                say_bad(finding, "two keys of one name stand in the body where the cluster is named");
                return;
        case JSON_VALUE_STRING:
                break;
        }
        if (!value->escaped) {
                say_value(finding, reading, source, value->text, value->length);
                return;
        }
        size_t length = json_value_copy(value, finding->buffer, sizeof(finding->buffer));
        say_value(finding, reading, source, finding->buffer, MIN(length, sizeof(finding->buffer)));
}

static void
say_json(Finding *finding, Reading *reading, const Source *source)
{
        if (source->field < 0) {
                say_bad(finding,
                        "the route looks for too many JSON fields, or for one by a malformed pointer");
                return;
        }
        scan_body(reading);
        const JsonResult *json = &reading->reader->json;
        bool oslo = source->conf->kind == CONF_SOURCE_OSLO;
        if (json->outer == JSON_TEXT_BROKEN)
                say_bad(finding, "the body begins as JSON but is broken or cut off");
        else if (oslo && json->inner == JSON_TEXT_BROKEN)
                say_bad(finding, "oslo.message in the body is broken, no string, or there twice");
        else if ((oslo ? json->inner : json->outer) == JSON_TEXT_OK)
                say_field(finding, reading, source, &json->values[source->field]);
}

static void
ask(Finding *finding, Reading *reading, const Source *source)
{
        finding->answer = SOURCE_SAYS_NOTHING;
        switch (source->conf->kind) {
        case CONF_SOURCE_HEADER:
                say_header(finding, reading, source);
                return;
        case CONF_SOURCE_KEY:
                say_key(finding, reading, source);
                return;
        case CONF_SOURCE_JSON:
        case CONF_SOURCE_OSLO:
                say_json(finding, reading, source);
                return;
        }
}

/* ---- the whole message ---- */

static EnvelopeKind
kind_of(SourceAnswer answer)
{
        switch (answer) {
        case SOURCE_SAYS_NOTHING:
                return ENVELOPE_NO_CLUSTER;
        case SOURCE_SAYS_KNOWN:
                return ENVELOPE_CLUSTER;
        case SOURCE_SAYS_UNKNOWN:
                return ENVELOPE_UNKNOWN;
        case SOURCE_SAYS_BAD:
                return ENVELOPE_BAD;
        }
        g_return_val_if_reached(ENVELOPE_BAD);
}

/* Known beats bad beats unknown beats nothing; of equals the first stands. */
static bool
beats(EnvelopeKind a, EnvelopeKind b)
{
        static const int rank[] = {
            [ENVELOPE_NO_CLUSTER] = 0, [ENVELOPE_UNKNOWN] = 1, [ENVELOPE_BAD] = 2, [ENVELOPE_CLUSTER] = 3};
        return rank[a] > rank[b];
}

static void
settle(Envelope *envelope, int source, const Finding *finding)
{
        EnvelopeKind kind = kind_of(finding->answer);
        if (!beats(kind, envelope->kind))
                return;
        envelope->kind = kind;
        envelope->source = source;
        envelope->cluster = kind == ENVELOPE_CLUSTER ? finding->cluster : NULL;
        envelope->why = kind == ENVELOPE_BAD ? finding->why : NULL;
        envelope->value_length = kind == ENVELOPE_BAD ? 0 : MIN(finding->length, ENVELOPE_VALUE_MAX);
        if (envelope->value_length > 0)
                memcpy(envelope->value, finding->text, envelope->value_length);
        envelope->value[envelope->value_length] = '\0';
}

static bool
is_text(const JsonValue *value)
{
        return value->kind == JSON_VALUE_STRING && value->length > 0;
}

/* Whether somebody waits for a reply, and the names that oslo.messaging gives to message and reply. */
static void
read_call(const Reading *reading, Envelope *envelope)
{
        const EnvelopeReader *reader = reading->reader;
        const JsonResult *json = &reader->json;
        envelope->is_call = reading->input->reply_to.len > 0;
        envelope->is_oslo = reading->scanned && reader->reads_oslo && json->outer == JSON_TEXT_OK &&
                            json->inner == JSON_TEXT_OK;
        if (!envelope->is_oslo)
                return;
        envelope->msg_id = json->values[reader->msg_id];
        envelope->unique_id = json->values[reader->unique_id];
        if (is_text(&json->values[reader->msg_id]) && is_text(&json->values[reader->reply_q])) {
                envelope->is_call = true;
                envelope->reply_q = json->values[reader->reply_q];
        }
}

/* Whatever it says of clusters: equal values are all that counts. One that cannot be read is none. */
static void
read_affinity(Reading *reading, Envelope *envelope)
{
        const Source *source = &reading->reader->affinity;
        Finding finding;
        envelope->has_affinity = false;
        if (!source->conf)
                return;
        ask(&finding, reading, source);
        if (finding.answer != SOURCE_SAYS_KNOWN && finding.answer != SOURCE_SAYS_UNKNOWN)
                return;
        envelope->has_affinity = true;
        envelope->affinity = rendezvous_hash(finding.text, MIN(finding.length, ENVELOPE_VALUE_MAX));
}

void
envelope_explain(EnvelopeReader *reader, const View *view, const EnvelopeInput *input, Envelope *out_envelope,
                 SourceAnswer *out_answers)
{
        Reading reading = {.reader = reader, .view = view, .input = input};
        Finding finding;
        out_envelope->kind = ENVELOPE_NO_CLUSTER;
        out_envelope->cluster = NULL;
        out_envelope->source = -1;
        out_envelope->value[0] = '\0';
        out_envelope->value_length = 0;
        out_envelope->why = NULL;
        out_envelope->reply_q = out_envelope->msg_id = out_envelope->unique_id = (JsonValue){0};
        for (unsigned i = 0; i < reader->n_sources && out_envelope->kind != ENVELOPE_CLUSTER; i++) {
                finding.answer = SOURCE_SAYS_NOTHING;
                if (!view->single)
                        ask(&finding, &reading, &reader->sources[i]);
                settle(out_envelope, (int)i, &finding);
                if (out_answers)
                        out_answers[i] = finding.answer;
        }
        if (reader->tells_calls)
                scan_body(&reading);
        read_affinity(&reading, out_envelope);
        read_call(&reading, out_envelope);
}

void
envelope_read(EnvelopeReader *reader, const View *view, const EnvelopeInput *input, Envelope *out_envelope)
{
        envelope_explain(reader, view, input, out_envelope, NULL);
}
