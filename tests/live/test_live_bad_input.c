/* SPDX-License-Identifier: MIT */
#include "tests/support/stage.h"

#include <string.h>

/*
 * What no producer should send. Whatever it is, the router lives on, and the message lies in the dead queue
 * as it came, with the reason, or goes where it should.
 */

static const char CONF[] = "[east]\ncluster_member_ips = e\n[west]\ncluster_member_ips = w\n"
                           "[route:$N]\nqueue = $N\ndestination = queue:{queue}.{cluster}\n"
                           "cluster_from = header:cluster, json:/cluster, oslo:/args/cluster\n"
                           "on_no_cluster = dead\non_unknown_cluster = dead\n";

#define TEXT(text) text, sizeof(text) - 1

/* The body is @body, then @count times @fill, then @tail. */
typedef struct {
        const char *name;
        const char *body;
        size_t length;
        char fill;
        unsigned count;
        const char *tail;
        const char *reason; /* NULL: delivered to east */
} BodyRow;

static const BodyRow body_rows[] = {
    {"empty", TEXT(""), .reason = "no_cluster"},
    {"no JSON", TEXT("hello"), .reason = "no_cluster"},
    {"only blanks", TEXT(" \n\t"), .reason = "no_cluster"},
    {"binary", TEXT("\x00\x01\xff\xfe\x80"), .reason = "no_cluster"},
    {"truncated in the value", TEXT("{\"cluster\": \"ea"), .reason = "bad_message"},
    {"truncated after it", TEXT("{\"cluster\": \"east\""), .reason = "bad_message"},
    {"text behind the end", TEXT("{\"cluster\": \"east\"} and more"), .reason = "bad_message"},
    {"200,000 [", TEXT(""), '[', 200000, "", "bad_message"},
    {"200,000 [ inside", TEXT("{\"cluster\": \"east\", \"a\": "), '[', 200000, "", "bad_message"},
    {"200,000 { inside", TEXT("{\"cluster\": \"east\", \"a\": "), '{', 200000, "", "bad_message"},
    {"invalid UTF-8 in the value", TEXT("{\"cluster\": \"\xff\xfe\"}"), .reason = "unknown_cluster"},
    {"NUL in the value", TEXT("{\"cluster\": \"ea\0st\"}"), .reason = "bad_message"},
    {"NUL between", TEXT("{\0\"cluster\": \"east\"}"), .reason = "bad_message"},
    {"escaped NUL", TEXT("{\"cluster\": \"east\\u0000\"}"), .reason = "unknown_cluster"},
    {"null", TEXT("{\"cluster\": null}"), .reason = "no_cluster"},
    {"number", TEXT("{\"cluster\": 5}"), .reason = "bad_message"},
    {"true", TEXT("{\"cluster\": true}"), .reason = "bad_message"},
    {"object", TEXT("{\"cluster\": {\"name\": \"east\"}}"), .reason = "bad_message"},
    {"array", TEXT("{\"cluster\": [\"east\"]}"), .reason = "bad_message"},
    {"empty name", TEXT("{\"cluster\": \"\"}"), .reason = "no_cluster"},
    {"10 kB", TEXT("{\"cluster\": \""), 'e', 10240, "\"}", "unknown_cluster"},
    {"*", TEXT("{\"cluster\": \"*\"}"), .reason = "unknown_cluster"},
    {"#", TEXT("{\"cluster\": \"#\"}"), .reason = "unknown_cluster"},
    {"a b", TEXT("{\"cluster\": \"a b\"}"), .reason = "unknown_cluster"},
    {"quotes", TEXT("{\"cluster\": \"a\\\"'b\"}"), .reason = "unknown_cluster"},
    {"newline, escaped", TEXT("{\"cluster\": \"a\\nb\"}"), .reason = "unknown_cluster"},
    {"newline, raw", TEXT("{\"cluster\": \"a\nb\"}"), .reason = "bad_message"},
    {"template", TEXT("{\"cluster\": \"{cluster}\"}"), .reason = "unknown_cluster"},
    {"other case", TEXT("{\"cluster\": \"EAST\"}"), .reason = "unknown_cluster"},
    {"blank behind", TEXT("{\"cluster\": \"east \"}"), .reason = "unknown_cluster"},
    {"two that differ", TEXT("{\"cluster\": \"east\", \"cluster\": \"west\"}"), .reason = "bad_message"},
    {"two, one escaped", TEXT("{\"cluster\": \"east\", \"clus\\u0074er\": \"west\"}"),
     .reason = "bad_message"},
    {"oslo, broken inside", TEXT("{\"oslo.version\": \"2.0\", \"oslo.message\": \"{\\\"args\\\": {\"}"),
     .reason = "bad_message"},
    {"key escaped", TEXT("{\"clus\\u0074er\": \"east\"}"), .reason = NULL},
    {"value escaped", TEXT("{\"cluster\": \"\\u0065ast\"}"), .reason = NULL},
    {"key deep inside is another", TEXT("{\"a\": {\"cluster\": 5}, \"cluster\": \"east\"}"), .reason = NULL},
};

/* The notes on a dead message, and that it will survive a restart of the broker. */
static void
expect_notes(const Stage *stage, const ClientMessage *message, const char *reason)
{
        g_autofree char *time = client_message_header_text(message, "x-router-time");
        g_autoptr(GDateTime) parsed = g_date_time_new_from_iso8601(time, NULL);
        g_autoptr(GDateTime) now = g_date_time_new_now_utc();
        const amqp_field_value_t *attempt = client_message_header(message, "x-router-attempt");

        client_message_expect_text(message, "x-router-reason", reason);
        client_message_expect_text(message, "x-router-route", stage->name);
        client_message_expect_text(message, "x-router-queue", stage->name);
        client_message_expect_text(message, "x-router-exchange", "");
        client_message_expect_text(message, "x-router-key", stage->name);
        g_assert_nonnull(parsed);
        g_assert_cmpint(ABS(g_date_time_difference(now, parsed)), <, G_TIME_SPAN_MINUTE);
        g_assert_nonnull(attempt);
        g_assert_cmpint(attempt->kind, ==, AMQP_FIELD_KIND_I64);
        g_assert_cmpint(attempt->value.i64, ==, 1);
        g_assert_cmpint(message->message.properties.delivery_mode, ==, 2);
}

static GString *
make_body(const BodyRow *row)
{
        GString *body = g_string_new_len(row->body, (gssize)row->length);

        for (unsigned i = 0; i < row->count; i++)
                g_string_append_c(body, row->fill);
        return g_string_append(body, row->tail != NULL ? row->tail : "");
}

static void
try_body(Stage *stage, const BodyRow *row)
{
        g_autoptr(GString) body = make_body(row);
        g_autoptr(ClientMessage) message = NULL;

        g_test_message("%s", row->name);
        client_publish(stage->client, "", stage->name, NULL, (amqp_bytes_t){body->len, body->str});
        client_confirm(stage->client);
        message = stage_take(stage, row->reason != NULL ? "cluster-router.$N.dead" : "$N.east");
        g_assert_cmpmem(message->message.body.bytes, message->message.body.len, body->str, body->len);
        if (row->reason != NULL)
                expect_notes(stage, message, row->reason);
}

/* The router that saw it all still routes, its books are straight, and it ends in order. */
static void
expect_alive(Stage *stage)
{
        stage_send(stage, "$N", "west", "still there");
        stage_expect(stage, "$N.west", "still there");
        stage_wait_number(stage, "$N", "in_flight", 0);
        g_assert_true(stage_balances(stage, "$N"));
        stage_stop(stage);
}

static void
test_bad_body_is_kept_with_its_reason(void)
{
        g_autoptr(Stage) stage = stage_new("bad-body");

        if (stage == NULL)
                return;
        stage_run(stage, CONF);
        for (unsigned i = 0; i < G_N_ELEMENTS(body_rows); i++)
                try_body(stage, &body_rows[i]);
        g_assert_cmpuint(stage_count(stage, "$N.east"), ==, 0);
        g_assert_cmpuint(stage_count(stage, "$N.west"), ==, 0);
        expect_alive(stage);
}

/* ---- headers ---- */

static amqp_field_value_t
text_value(const char *text)
{
        return (amqp_field_value_t){.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(text)};
}

/* Without a body, with that value in the header `cluster`. */
static void
send_header(Stage *stage, amqp_field_value_t value)
{
        amqp_table_entry_t entry = {.key = amqp_cstring_bytes("cluster"), .value = value};
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG, .headers = {1, &entry}};

        client_publish(stage->client, "", stage->name, &properties, amqp_empty_bytes);
        client_confirm(stage->client);
}

static void
test_header_of_wrong_type_is_bad(void)
{
        g_autoptr(Stage) stage = stage_new("bad-header");
        g_autofree char *long_name = g_strnfill(10240, 'e');
        amqp_table_entry_t inner = client_entry_text("name", "east");
        amqp_field_value_t element = text_value("east");
        struct {
                amqp_field_value_t value;
                const char *reason;
        } rows[] = {
            {{.kind = AMQP_FIELD_KIND_I32, .value.i32 = 5}, "bad_message"},
            {{.kind = AMQP_FIELD_KIND_I64, .value.i64 = 5}, "bad_message"},
            {{.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1}, "bad_message"},
            {{.kind = AMQP_FIELD_KIND_F64, .value.f64 = 0.5}, "bad_message"},
            {{.kind = AMQP_FIELD_KIND_TABLE, .value.table = {1, &inner}}, "bad_message"},
            {{.kind = AMQP_FIELD_KIND_ARRAY, .value.array = {1, &element}}, "bad_message"},
            {{.kind = AMQP_FIELD_KIND_VOID}, "no_cluster"},
            {text_value(""), "no_cluster"},
            {text_value("*"), "unknown_cluster"},
            {text_value("east\n"), "unknown_cluster"},
            {text_value("../west"), "unknown_cluster"},
            {text_value(long_name), "unknown_cluster"},
            {{.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = {5, (void *)"east\0"}}, "unknown_cluster"},
        };

        if (stage == NULL)
                return;
        stage_run(stage, CONF);
        for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
                g_autoptr(ClientMessage) message = NULL;
                const amqp_field_value_t *kept = NULL;

                g_test_message("row %u", i);
                send_header(stage, rows[i].value);
                message = stage_take(stage, "cluster-router.$N.dead");
                expect_notes(stage, message, rows[i].reason);
                kept = client_message_header(message, "cluster");
                g_assert_nonnull(kept);
                g_assert_cmpint(kept->kind, ==, rows[i].value.kind);
        }
        expect_alive(stage);
}

/* A header `deep` of so many tables, each in the other. */
static void
send_deep(Stage *stage, unsigned levels)
{
        g_autofree amqp_table_entry_t *nested = g_new0(amqp_table_entry_t, levels);
        amqp_table_entry_t entries[2] = {client_entry_text("cluster", "east"),
                                         {.key = amqp_cstring_bytes("deep")}};
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG, .headers = {2, entries}};

        for (unsigned i = 0; i < levels; i++) {
                nested[i].key = amqp_cstring_bytes("k");
                nested[i].value.kind = AMQP_FIELD_KIND_TABLE;
                if (i + 1 < levels)
                        nested[i].value.value.table = (amqp_table_t){1, &nested[i + 1]};
        }
        entries[1].value.kind = AMQP_FIELD_KIND_TABLE;
        entries[1].value.value.table = (amqp_table_t){1, nested};
        client_publish(stage->client, "", stage->name, &properties, amqp_cstring_bytes("deep"));
        client_confirm(stage->client);
}

static unsigned
depth_of(const amqp_field_value_t *value)
{
        unsigned depth = 0;

        while (value->kind == AMQP_FIELD_KIND_TABLE && value->value.table.num_entries == 1) {
                value = &value->value.table.entries[0].value;
                depth++;
        }
        return depth;
}

static void
test_deep_header_table_passes(void)
{
        static const unsigned levels[] = {1, 100, 5000, 16000, 18000};
        g_autoptr(Stage) stage = stage_new("deep");

        if (stage == NULL)
                return;
        stage_run(stage, CONF);
        for (unsigned i = 0; i < G_N_ELEMENTS(levels); i++) {
                g_autoptr(ClientMessage) message = NULL;

                g_test_message("%u levels", levels[i]);
                send_deep(stage, levels[i]);
                message = stage_take(stage, "$N.east");
                g_assert_cmpuint(depth_of(client_message_header(message, "deep")), ==, levels[i]);
        }
        expect_alive(stage);
}

/* ---- no room for our headers ---- */

static void
send_crowded(Stage *stage, const char *cluster, const char *filler)
{
        amqp_table_entry_t entries[2] = {client_entry_text("cluster", cluster),
                                         client_entry_text("filler", filler)};
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG,
                                              .message_id = amqp_cstring_bytes("crowded"),
                                              .headers = {2, entries}};

        client_publish(stage->client, "", stage->name, &properties, amqp_cstring_bytes("crowded"));
        client_confirm(stage->client);
}

static void
expect_crowded(Stage *stage, const char *queue, const char *filler)
{
        g_autoptr(ClientMessage) message = stage_take(stage, queue);
        g_autofree char *body = client_message_body(message);

        g_assert_cmpstr(body, ==, "crowded");
        client_message_expect_text(message, "filler", filler);
        g_assert_cmpint(message->message.properties.headers.num_entries, ==, 2);
        g_assert_true(message->message.properties._flags & AMQP_BASIC_MESSAGE_ID_FLAG);
}

static void
test_full_header_table_goes_alone_and_whole(void)
{
        g_autoptr(Stage) stage = stage_new("crowded");
        g_autofree char *filler = g_strnfill(130000, 'h');
        enum { ROUNDS = 20 };

        if (stage == NULL)
                return;
        stage_run(stage, CONF);
        for (unsigned i = 0; i < ROUNDS; i++) {
                stage_send(stage, "$N", "west", "between");
                send_crowded(stage, i % 2 == 0 ? "east" : "nowhere", filler);
        }
        for (unsigned i = 0; i < ROUNDS; i++) {
                expect_crowded(stage, i % 2 == 0 ? "$N.east" : "cluster-router.$N.dead", filler);
                stage_expect(stage, "$N.west", "between");
        }
        expect_alive(stage);
}

static void
test_full_header_table_is_parked_and_delivered(void)
{
        g_autoptr(Stage) stage = stage_new("crowded-parked");
        g_autofree char *filler = g_strnfill(130000, 'h');
        g_autofree char *drained =
            g_strconcat("[north]\ncluster_member_ips = n\nstate = drain\n", CONF, NULL);
        g_autofree char *ready = g_strconcat("[north]\ncluster_member_ips = n\n", CONF, NULL);

        if (stage == NULL)
                return;
        stage_run(stage, drained);
        send_crowded(stage, "north", filler);
        stage_send(stage, "$N", "north", "second");
        stage_wait_count(stage, "cluster-router.$N.parked.north", 2);
        stage_reload(stage, ready);
        expect_crowded(stage, "$N.north", filler);
        stage_expect(stage, "$N.north", "second");
        expect_alive(stage);
}

static void
test_full_header_table_that_is_returned_is_not_lost(void)
{
        g_autoptr(Stage) stage = stage_new("crowded-returned");
        g_autofree char *filler = g_strnfill(130000, 'h');

        if (stage == NULL)
                return;
        stage_run(stage, CONF);
        stage_send(stage, "$N", "east", "the router has made its queue");
        stage_expect(stage, "$N.east", "the router has made its queue");
        stage_delete(stage, "$N.east");
        send_crowded(stage, "east", filler);
        stage_send(stage, "$N", "west", "flows");
        stage_expect(stage, "$N.west", "flows");
        stage_wait_count(stage, "cluster-router.$N.parked.east", 1);
        stage_declare(stage, "$N.east");
        expect_crowded(stage, "$N.east", filler);
        expect_alive(stage);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/bad-input/bad-body-is-kept-with-its-reason", test_bad_body_is_kept_with_its_reason);
        g_test_add_func("/bad-input/header-of-wrong-type-is-bad", test_header_of_wrong_type_is_bad);
        g_test_add_func("/bad-input/deep-header-table-passes", test_deep_header_table_passes);
        g_test_add_func("/bad-input/full-header-table-goes-alone-and-whole",
                        test_full_header_table_goes_alone_and_whole);
        g_test_add_func("/bad-input/full-header-table-is-parked-and-delivered",
                        test_full_header_table_is_parked_and_delivered);
        g_test_add_func("/bad-input/full-header-table-that-is-returned-is-not-lost",
                        test_full_header_table_that_is_returned_is_not_lost);
        return g_test_run();
}
