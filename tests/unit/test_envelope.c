/* SPDX-License-Identifier: MIT */
#include "router/envelope.h"

#include "tests/support/capture.h"

#include <string.h>

/*
 * Which cluster a message is for. The view knows cluster east (alias az1; hosts east-node and 10.0.0.11) and
 * west (host west.example.org).
 */

static GPtrArray *captures;

static View *
make_view(bool single)
{
        static const char *const aliases[] = {"az1", NULL};
        static const ViewHost east[] = {{.name = (char *)"10.0.0.11", .usable = true, .alive = true},
                                        {.name = (char *)"east-node", .usable = true, .alive = true}};
        static const ViewHost west[] = {{.name = (char *)"west.example.org"}};
        static const ViewInput inputs[] = {
            {.name = "east", .aliases = aliases, .hosts = east, .n_hosts = G_N_ELEMENTS(east)},
            {.name = "west", .hosts = west, .n_hosts = G_N_ELEMENTS(west)},
        };
        return view_new(inputs, single ? 0 : G_N_ELEMENTS(inputs), single, NULL);
}

/* ---- a route of sources written as in the config file ---- */

static void
source_free(gpointer data)
{
        ConfSource *source = data;
        g_free(source->text);
        g_free(source);
}

static ConfSource *
source_new(const char *spelling)
{
        static const struct {
                const char *prefix;
                ConfSourceKind kind;
        } kinds[] = {{"header:", CONF_SOURCE_HEADER},
                     {"json:", CONF_SOURCE_JSON},
                     {"oslo:", CONF_SOURCE_OSLO},
                     {"key:", CONF_SOURCE_KEY}};
        ConfSource *source = g_new0(ConfSource, 1);
        source->is_host = g_str_has_prefix(spelling, "host:") || strstr(spelling, "{host}");
        if (g_str_has_prefix(spelling, "host:"))
                spelling += strlen("host:");
        for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
                if (g_str_has_prefix(spelling, kinds[i].prefix)) {
                        source->kind = kinds[i].kind;
                        source->text = g_strdup(spelling + strlen(kinds[i].prefix));
                }
        }
        g_assert_nonnull(source->text);
        return source;
}

typedef struct {
        ConfRoute route;
        View *view;
        EnvelopeReader *reader;
        Envelope envelope;
        SourceAnswer answers[8];
} Fixture;

/* @sources: separated by blanks. */
static void
fixture_init(Fixture *fixture, const char *sources, ConfPolicyKind call, bool single)
{
        *fixture = (Fixture){0};
        g_auto(GStrv) spellings = g_strsplit(sources, " ", -1);
        fixture->route.sources = g_ptr_array_new_with_free_func(source_free);
        for (char **spelling = spellings; *spelling && **spelling; spelling++)
                g_ptr_array_add(fixture->route.sources, source_new(*spelling));
        fixture->route.on_down_cast.kind = CONF_POLICY_PARK;
        fixture->route.on_down_call.kind = call;
        fixture->view = make_view(single);
        fixture->reader = envelope_reader_new(&fixture->route, false);
}

static void
fixture_clear(Fixture *fixture)
{
        envelope_reader_free(fixture->reader);
        view_unref(fixture->view);
        g_ptr_array_unref(fixture->route.sources);
}

static void
fixture_read(Fixture *fixture, const amqp_table_t *headers, const char *key, const char *reply_to,
             const char *body)
{
        EnvelopeInput input = {.headers = headers,
                               .key = key ? amqp_cstring_bytes(key) : amqp_empty_bytes,
                               .reply_to = reply_to ? amqp_cstring_bytes(reply_to) : amqp_empty_bytes,
                               .body = body ? amqp_cstring_bytes(body) : amqp_empty_bytes};
        memset(&fixture->envelope, 0xa5, sizeof(fixture->envelope));
        envelope_explain(fixture->reader, fixture->view, &input, &fixture->envelope, fixture->answers);
}

/* "CLUSTER", or "-" for none, "?VALUE" for unknown, "!" for bad. */
static void
fixture_expect(const Fixture *fixture, const char *expect)
{
        const Envelope *envelope = &fixture->envelope;
        g_autofree char *got = NULL;
        switch (envelope->kind) {
        case ENVELOPE_NO_CLUSTER:
                got = g_strdup("-");
                g_assert_cmpint(envelope->source, ==, -1);
                break;
        case ENVELOPE_CLUSTER:
                got = g_strdup(envelope->cluster->name);
                break;
        case ENVELOPE_UNKNOWN:
                got = g_strdup_printf("?%s", envelope->value);
                break;
        case ENVELOPE_BAD:
                got = g_strdup("!");
                g_assert_nonnull(envelope->why);
                break;
        }
        g_assert_cmpstr(got, ==, expect);
}

/* ---- JSON and key sources ---- */

typedef struct {
        const char *sources;
        const char *key;
        const char *body;
        const char *expect;
} Row;

static const Row rows[] = {
    /* one JSON field */
    {"json:/cluster", "k", "{\"cluster\": \"east\"}", "east"},
    {"json:/cluster", "k", "{\"cluster\": \"az1\"}", "east"},
    {"json:/cluster", "k", "{\"clus\\u0074er\": \"e\\u0061st\"}", "east"},
    {"json:/cluster", "k", "{\"cluster\": \"north\"}", "?north"},
    {"json:/cluster", "k", "{\"cluster\": \"EAST\"}", "?EAST"},
    {"json:/cluster", "k", "{\"cluster\": \"east \"}", "?east "},
    {"json:/cluster", "k", "{\"cluster\": \"*\"}", "?*"},
    {"json:/cluster", "k", "{\"cluster\": \"a\\nb\\\"\"}", "?a\nb\""},
    {"json:/cluster", "k", "{\"cluster\": \"east-node\"}", "?east-node"},
    {"json:/cluster", "k", "{}", "-"},
    {"json:/cluster", "k", "{\"cluster\": null}", "-"},
    {"json:/cluster", "k", "{\"cluster\": \"\"}", "-"},
    {"json:/cluster", "k", "{\"cluster\": 5}", "!"},
    {"json:/cluster", "k", "{\"cluster\": {\"a\": 1}}", "!"},
    {"json:/cluster", "k", "{\"cluster\": \"east\", \"cluster\": \"west\"}", "!"},
    {"json:/cluster", "k", "{\"cluster\": \"east\"", "!"},
    {"json:/cluster", "k", "{\"cluster\": \"east\"}}", "!"},
    {"json:/cluster", "k", "", "-"},
    {"json:/cluster", "k", "hello", "-"},
    {"json:/cluster", "k", "\xef\xbb\xbf{\"cluster\": \"east\"}", "!"},
    /* the oslo envelope */
    {"oslo:/args/cluster", "k", "{\"oslo.message\": \"{\\\"args\\\": {\\\"cluster\\\": \\\"west\\\"}}\"}",
     "west"},
    {"oslo:/args/cluster", "k", "{\"args\": {\"cluster\": \"west\"}}", "-"},
    {"oslo:/args/cluster", "k", "{\"oslo.message\": \"{\\\"args\\\": \"}", "!"},
    {"oslo:/args/cluster", "k", "{\"oslo.message\": \"hello\"}", "-"},
    {"oslo:/args/cluster", "k", "{\"oslo.message\": {}}", "!"},
    {"oslo:/args/cluster", "k", "{\"oslo.message\": \"{}\", \"oslo.message\": \"{}\"}", "!"},
    {"oslo:/args/cluster", "k", "{\"args\": ", "!"},
    {"oslo:/a", "k",
     "{\"oslo.message\": \"{\\\"a\\\": \\\"east\\\", \\\"_msg_id\\\": 1, \\\"_msg_id\\\": 2}\"}", "east"},
    {"json:/cluster oslo:/a", "k", "{\"cluster\": \"east\", \"oslo.message\": \"{\"}", "east"},
    {"oslo:/a json:/cluster", "k", "{\"cluster\": \"east\", \"oslo.message\": \"{\"}", "east"},
    /* several: the first known one wins; else bad beats unknown beats none */
    {"json:/a json:/b", "k", "{\"a\": \"nova\", \"b\": \"west\"}", "west"},
    {"json:/a json:/b", "k", "{\"a\": \"west\", \"b\": \"east\"}", "west"},
    {"json:/a json:/b", "k", "{\"a\": 5, \"b\": \"west\"}", "west"},
    {"json:/a json:/b", "k", "{\"a\": \"x\", \"b\": 5}", "!"},
    {"json:/a json:/b", "k", "{\"a\": 5, \"b\": \"x\"}", "!"},
    {"json:/a json:/b", "k", "{\"a\": \"x\", \"b\": \"y\"}", "?x"},
    {"json:/a json:/b", "k", "{\"a\": null, \"b\": \"y\"}", "?y"},
    {"key:{cluster} json:/a", "east", "{\"a\": ", "east"},
    {"key:{cluster} json:/a", "north", "{\"a\": ", "!"},
    /* hosts */
    {"host:json:/h", "k", "{\"h\": \"east-node\"}", "east"},
    {"host:json:/h", "k", "{\"h\": \"east-node@rig#rig\"}", "east"},
    {"host:json:/h", "k", "{\"h\": \"west.example.org@rig\"}", "west"},
    {"host:json:/h", "k", "{\"h\": \"north-node@rig\"}", "?north-node@rig"},
    {"host:json:/h", "k", "{\"h\": \"@\"}", "?@"},
    {"host:json:/h", "k", "{\"h\": \"east\"}", "?east"},
    /* routing keys */
    {"key:{cluster}", "west", NULL, "west"},
    {"key:{cluster}", NULL, NULL, "-"},
    {"key:task.{cluster}", "task.east", NULL, "east"},
    {"key:task.{cluster}", "task.", NULL, "-"},
    {"key:task.{cluster}", "mask.east", NULL, "-"},
    {"key:{cluster}.task", "east.task", NULL, "east"},
    {"key:{cluster}.task", "east.tasks", NULL, "-"},
    {"key:*.{cluster}.*", "a.east.b.c", NULL, "east"},
    {"key:*.{cluster}.*", "a.b.east.c", NULL, "?b"},
    {"key:*{cluster}", "east", NULL, "east"},
    {"key:cinder-volume.{host}@*", "cinder-volume.east-node@rig.east-node", NULL, "east"},
    {"key:cinder-volume.{host}@*", "cinder-volume.west.example.org@rig.west.example.org", NULL, "west"},
    {"key:cinder-volume.{host}@*", "cinder-volume.north@rig", NULL, "?north"},
    {"key:cinder-volume.{host}@*", "cinder-volume", NULL, "-"},
    {"key:cinder-volume.{host}", "cinder-volume.10.0.0.11", NULL, "east"},
    {"key:a{host}a", "aa", NULL, "-"},
    {"key:no-placeholder", "no-placeholder", NULL, "!"},
    {"json:no-slash", "k", "{}", "!"},
};

static void
test_row(gconstpointer data)
{
        const Row *row = data;
        Fixture fixture;
        fixture_init(&fixture, row->sources, CONF_POLICY_PARK, false);
        fixture_read(&fixture, NULL, row->key, NULL, row->body);
        fixture_expect(&fixture, row->expect);
        fixture_clear(&fixture);
}

static void
test_long_value(void)
{
        Fixture fixture;
        g_autofree char *value = g_strnfill(10000, 'x');
        g_autofree char *plain = g_strdup_printf("{\"cluster\": \"%s\"}", value);
        g_autofree char *escaped = g_strdup_printf("{\"cluster\": \"\\u0078%s\"}", value);
        fixture_init(&fixture, "json:/cluster", CONF_POLICY_PARK, false);
        fixture_read(&fixture, NULL, "k", NULL, plain);
        g_assert_cmpint(fixture.envelope.kind, ==, ENVELOPE_UNKNOWN);
        g_assert_cmpuint(fixture.envelope.value_length, ==, ENVELOPE_VALUE_MAX);
        fixture_read(&fixture, NULL, "k", NULL, escaped);
        g_assert_cmpint(fixture.envelope.kind, ==, ENVELOPE_UNKNOWN);
        g_assert_cmpmem(fixture.envelope.value, fixture.envelope.value_length, value, ENVELOPE_VALUE_MAX);
        fixture_clear(&fixture);
}

/* ---- headers ---- */

static amqp_table_entry_t
entry(const char *name, int kind, const char *text)
{
        amqp_table_entry_t made = {.key = amqp_cstring_bytes(name), .value.kind = (uint8_t)kind};
        if (text)
                made.value.value.bytes = amqp_cstring_bytes(text);
        return made;
}

static void
expect_headers(amqp_table_entry_t *entries, int n, const char *expect)
{
        Fixture fixture;
        amqp_table_t headers = {.num_entries = n, .entries = entries};
        fixture_init(&fixture, "header:cluster", CONF_POLICY_PARK, false);
        fixture_read(&fixture, &headers, "k", NULL, "{");
        fixture_expect(&fixture, expect);
        fixture_clear(&fixture);
}

static void
test_headers(void)
{
        amqp_table_entry_t other = entry("clusters", AMQP_FIELD_KIND_I32, NULL);
        amqp_table_entry_t alike = entry("Cluster", AMQP_FIELD_KIND_UTF8, "west");
        amqp_table_entry_t text[] = {other, alike, entry("cluster", AMQP_FIELD_KIND_UTF8, "east")};
        amqp_table_entry_t bytes[] = {entry("cluster", AMQP_FIELD_KIND_BYTES, "west"), other};
        amqp_table_entry_t unknown = entry("cluster", AMQP_FIELD_KIND_UTF8, "north");
        amqp_table_entry_t empty = entry("cluster", AMQP_FIELD_KIND_UTF8, "");
        amqp_table_entry_t nothing = entry("cluster", AMQP_FIELD_KIND_VOID, NULL);
        amqp_table_entry_t number = entry("cluster", AMQP_FIELD_KIND_I32, NULL);
        amqp_table_entry_t table = entry("cluster", AMQP_FIELD_KIND_TABLE, NULL);
        amqp_table_entry_t twice[] = {text[2], text[2]};
        expect_headers(text, 3, "east");
        expect_headers(&alike, 1, "-");
        expect_headers(bytes, 2, "west");
        expect_headers(&unknown, 1, "?north");
        expect_headers(&other, 1, "-");
        expect_headers(&empty, 1, "-");
        expect_headers(&nothing, 1, "-");
        expect_headers(NULL, 0, "-");
        expect_headers(&number, 1, "!");
        expect_headers(&table, 1, "!");
        expect_headers(twice, 2, "!");
}

/* ---- calls ---- */

#define OSLO(rest) "{\"oslo.version\": \"2.0\", \"oslo.message\": \"{\\\"a\\\": 1" rest "}\"}"
#define OSLO_CALL                                                                                            \
        OSLO(", \\\"_msg_id\\\": \\\"m1\\\", \\\"_reply_q\\\": \\\"reply_1\\\", \\\"_unique_id\\\": "        \
             "\\\"u1\\\"")

static bool
is_call(ConfPolicyKind call, const char *reply_to, const char *body)
{
        Fixture fixture;
        fixture_init(&fixture, "key:{cluster}", call, false);
        fixture_read(&fixture, NULL, "east", reply_to, body);
        fixture_expect(&fixture, "east");
        bool answer = fixture.envelope.is_call;
        fixture_clear(&fixture);
        return answer;
}

static void
test_calls(void)
{
        g_assert_true(is_call(CONF_POLICY_PARK, "amq.gen-1", NULL));
        g_assert_true(is_call(CONF_POLICY_FAIL, NULL, OSLO_CALL));
        g_assert_false(is_call(CONF_POLICY_PARK, NULL, OSLO_CALL)); /* nobody asks: not scanned */
        g_assert_false(is_call(CONF_POLICY_FAIL, NULL, OSLO("")));
        g_assert_false(is_call(CONF_POLICY_FAIL, NULL, OSLO(", \\\"_msg_id\\\": \\\"m1\\\"")));
        g_assert_false(
            is_call(CONF_POLICY_FAIL, NULL, OSLO(", \\\"_msg_id\\\": 1, \\\"_reply_q\\\": \\\"r\\\"")));
        g_assert_false(is_call(CONF_POLICY_FAIL, NULL,
                               OSLO(", \\\"_msg_id\\\": \\\"m\\\", \\\"_reply_q\\\": \\\"\\\"")));
        g_assert_false(is_call(CONF_POLICY_FAIL, NULL, "{\"_msg_id\": \"m1\", \"_reply_q\": \"r\"}"));
        g_assert_false(is_call(CONF_POLICY_FAIL, NULL, "{broken"));
        g_assert_false(is_call(CONF_POLICY_FAIL, NULL, NULL));
}

/* Whatever tells the two policies apart has the body read. */
static void
expect_told(const ConfPolicy *cast, const ConfPolicy *call, bool tell, bool expected)
{
        Fixture fixture;
        fixture_init(&fixture, "key:{cluster}", CONF_POLICY_PARK, false);
        envelope_reader_free(fixture.reader);
        fixture.route.on_down_cast = *cast;
        fixture.route.on_down_call = *call;
        fixture.reader = envelope_reader_new(&fixture.route, tell);
        fixture_read(&fixture, NULL, "east", NULL, OSLO_CALL);
        g_assert_cmpint(fixture.envelope.is_call, ==, expected);
        fixture_clear(&fixture);
}

static void
test_when_calls_are_told(void)
{
        ConfPolicy park = {.kind = CONF_POLICY_PARK}, fail = {.kind = CONF_POLICY_FAIL};
        ConfPolicy east = {.kind = CONF_POLICY_CLUSTER, .name = (char *)"east"};
        ConfPolicy west = {.kind = CONF_POLICY_CLUSTER, .name = (char *)"west"};
        expect_told(&park, &park, false, false);
        expect_told(&west, &west, false, false);
        expect_told(&park, &park, true, true);
        expect_told(&fail, &park, false, true);
        expect_told(&park, &fail, false, true);
        expect_told(&park, &west, false, true);
        expect_told(&east, &west, false, true);
        envelope_reader_free(NULL);
}

static void
test_reply_fields(void)
{
        Fixture fixture;
        fixture_init(&fixture, "oslo:/cluster", CONF_POLICY_PARK, false);
        fixture_read(&fixture, NULL, "k", NULL, OSLO_CALL);
        const Envelope *envelope = &fixture.envelope;
        g_assert_true(envelope->is_oslo);
        g_assert_cmpmem(envelope->reply_q.text, envelope->reply_q.length, "reply_1", 7);
        g_assert_cmpmem(envelope->msg_id.text, envelope->msg_id.length, "m1", 2);
        g_assert_cmpmem(envelope->unique_id.text, envelope->unique_id.length, "u1", 2);
        fixture_read(&fixture, NULL, "k", NULL, "hello");
        g_assert_false(envelope->is_oslo);
        g_assert_cmpint(envelope->reply_q.kind, ==, JSON_VALUE_ABSENT);
        fixture_clear(&fixture);
}

/* ---- the whole ---- */

static void
test_explains(void)
{
        Fixture fixture;
        fixture_init(&fixture, "header:c key:{cluster} json:/a json:/b json:/c", CONF_POLICY_PARK, false);
        fixture_read(&fixture, NULL, "north", NULL, "{\"a\": 5, \"b\": \"west\", \"c\": \"east\"}");
        fixture_expect(&fixture, "west");
        g_assert_cmpint(fixture.envelope.source, ==, 3);
        g_assert_cmpstr(fixture.envelope.value, ==, "west");
        static const SourceAnswer expected[] = {SOURCE_SAYS_NOTHING, SOURCE_SAYS_UNKNOWN, SOURCE_SAYS_BAD,
                                                SOURCE_SAYS_KNOWN};
        g_assert_cmpmem(fixture.answers, sizeof(expected), expected, sizeof(expected));
        fixture_clear(&fixture);
}

/* The key that @affinity finds in a body, or 0. */
static uint64_t
affinity_of(const char *affinity, const char *body)
{
        Fixture fixture;
        fixture_init(&fixture, "json:/c", CONF_POLICY_PARK, false);
        envelope_reader_free(fixture.reader);
        fixture.route.affinity = source_new(affinity);
        fixture.reader = envelope_reader_new(&fixture.route, false);
        fixture_read(&fixture, NULL, "volume.17", NULL, body);
        uint64_t key = fixture.envelope.has_affinity ? fixture.envelope.affinity : 0;
        source_free(fixture.route.affinity);
        fixture_clear(&fixture);
        return key;
}

static void
test_affinity(void)
{
        static const struct {
                const char *affinity;
                const char *body;
                char key; /* rows of one letter have the same key; '-': none */
        } texts[] = {
            {"json:/id", "{\"id\": \"17\"}", 'a'},
            {"json:/id", "{\"c\": \"east\", \"id\": \"\\u00317\"}", 'a'},
            {"key:volume.{host}", "no JSON", 'a'},
            {"oslo:/id", OSLO(", \\\"id\\\": \\\"17\\\""), 'a'},
            {"json:/id", "{\"id\": \"18\"}", 'b'},
            {"json:/id", "{\"c\": \"west\"}", '-'},
            {"json:/id", "{\"id\": \"\"}", '-'},
            {"json:/id", "{\"id\": 17}", '-'},
            {"json:/id", "{\"id\": \"17\", ", '-'},
            {"header:id", "{}", '-'},
        };
        uint64_t keys[128] = {0};
        for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
                uint64_t *expected = &keys[(unsigned char)texts[i].key];
                uint64_t key = affinity_of(texts[i].affinity, texts[i].body);
                g_test_message("%s in %s", texts[i].affinity, texts[i].body);
                if (texts[i].key != '-' && *expected == 0)
                        *expected = key;
                g_assert_cmpuint(key, ==, *expected);
        }
        g_assert_cmpuint(keys['a'], !=, 0);
        g_assert_cmpuint(keys['b'], !=, 0);
        g_assert_cmpuint(keys['a'], !=, keys['b']);
}

static void
test_single_mode(void)
{
        Fixture fixture;
        fixture_init(&fixture, "key:{cluster} json:/a", CONF_POLICY_FAIL, true);
        fixture_read(&fixture, NULL, "north", NULL, "{\"a\": 5");
        fixture_expect(&fixture, "-");
        fixture_read(&fixture, NULL, "north", NULL, OSLO_CALL);
        g_assert_true(fixture.envelope.is_call);
        fixture_clear(&fixture);
}

/* The route of the documentation's Cinder example, on the captured messages. */
static void
test_captures(void)
{
        static const char *const expected[][2] = {
            {"01", "east"}, {"02", "west"}, {"04", "east"}, {"07", "east"}, {"10", "east"},
            {"12", "east"}, {"14", "east"}, {"15", "east"}, {"17", "-"},    {"19", "east"},
        };
        Fixture fixture;
        fixture_init(&fixture,
                     "oslo:/args/filter_properties/scheduler_hints/cluster "
                     "oslo:/args/volume/versioned_object.data/availability_zone key:cinder-volume.{host}@*",
                     CONF_POLICY_FAIL, false);
        for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
                const Capture *capture = captures_find(captures, expected[i][0]);
                const char *what = json_string_value(json_object_get(capture->message, "what"));
                fixture_read(&fixture, NULL, capture->key, NULL, capture->body);
                fixture_expect(&fixture, expected[i][1]);
                g_assert_true(fixture.envelope.is_oslo);
                g_assert_cmpint(fixture.envelope.is_call, ==, g_str_has_prefix(what, "call"));
        }
        fixture_clear(&fixture);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        captures = captures_load();
        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
                g_autofree char *name = g_strdup_printf("/envelope/row_%02zu", i);
                g_test_add_data_func(name, &rows[i], test_row);
        }
        g_test_add_func("/envelope/a_long_value_is_cut_and_unknown", test_long_value);
        g_test_add_func("/envelope/a_header_is_a_string_or_bad", test_headers);
        g_test_add_func("/envelope/tells_calls_from_casts_where_it_matters", test_calls);
        g_test_add_func("/envelope/reads_the_body_if_calls_and_casts_differ", test_when_calls_are_told);
        g_test_add_func("/envelope/hands_on_the_names_of_a_reply", test_reply_fields);
        g_test_add_func("/envelope/explains_what_each_source_said", test_explains);
        g_test_add_func("/envelope/affinity_is_a_text_wherever_it_stands", test_affinity);
        g_test_add_func("/envelope/single_mode_asks_no_source", test_single_mode);
        g_test_add_func("/envelope/finds_the_cluster_of_captured_messages", test_captures);
        int status = g_test_run();
        g_ptr_array_unref(captures);
        return status;
}
