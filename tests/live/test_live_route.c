/* SPDX-License-Identifier: MIT */
#include "tests/support/capture.h"
#include "tests/support/checker.h"
#include "tests/support/live.h"
#include "tests/support/stage.h"

#include <string.h>

/* Where messages go: sources, policies, destinations, order. Every row of a table is a route of its own. */

static const char CLUSTERS[] = "[east]\ncluster_member_ips = east-node, east-two\naliases = zone-east\n"
                               "[west]\ncluster_member_ips = west-node\n";
static const char *const BOTH[] = {"east", "west", NULL};

/* Adds what a table's row says as route $N-I. */
G_GNUC_PRINTF(3, 4) static void add_route(GString *conf, unsigned number, const char *keys, ...)
{
        va_list arguments;

        g_string_append_printf(conf, "[route:$N-%u]\nqueue = $N-%u\n", number, number);
        va_start(arguments, keys);
        g_string_append_vprintf(conf, keys, arguments);
        va_end(arguments);
}

/* ---- sources ---- */

static const struct {
        const char *source;
        const char *header; /* `cluster`, or NULL */
        const char *body;
        const char *key; /* of the exchange $N; NULL: straight to the queue */
        const char *cluster;
} source_rows[] = {
    {"header:cluster", "east", "x", NULL, "east"},
    {"header:cluster", "zone-east", "x", NULL, "east"},
    {"json:/cluster", NULL, "{\"a\": [1, {}], \"cluster\": \"west\"}", NULL, "west"},
    {"json:/a/1/b~1c", NULL, "{\"a\": [0, {\"b/c\": \"east\"}]}", NULL, "east"},
    {"json:/cluster", NULL, "{\"clus\\u0074er\": \"w\\u0065st\"}", NULL, "west"},
    {"oslo:/args/cluster", NULL,
     "{\"oslo.version\": \"2.0\", \"oslo.message\": \"{\\\"args\\\": {\\\"cluster\\\": \\\"east\\\"}}\"}",
     NULL, "east"},
    {"key:work.{cluster}.*", NULL, "x", "work.west.do.it", "west"},
    {"host:key:cinder-volume.{host}@*", NULL, "x", "cinder-volume.east-two@rig.east-two", "east"},
    {"host:header:cluster", "west-node", "x", NULL, "west"},
    {"host:json:/host", NULL, "{\"host\": \"east-two\"}", NULL, "east"},
    {"header:cluster, json:/cluster", "nova", "{\"cluster\": \"west\"}", NULL, "west"},
    {"header:cluster, json:/cluster", "east", "{\"cluster\": \"west\"}", NULL, "east"},
    {"header:cluster, json:/a, json:/b", NULL, "{\"a\": null, \"b\": \"west\"}", NULL, "west"},
};

static void
test_source_leads_to_its_cluster(void)
{
        g_autoptr(Stage) stage = stage_new("source");
        g_autoptr(GString) conf = g_string_new(CLUSTERS);

        if (stage == NULL)
                return;
        client_declare_exchange(stage->client, stage->name, "topic");
        for (unsigned i = 0; i < G_N_ELEMENTS(source_rows); i++) {
                add_route(conf, i, "cluster_from = %s\ndestination = queue:{queue}.{cluster}\n",
                          source_rows[i].source);
                if (source_rows[i].key != NULL)
                        g_string_append_printf(conf, "bind = $N/%s\n", source_rows[i].key);
        }
        stage_run(stage, conf->str);
        for (unsigned i = 0; i < G_N_ELEMENTS(source_rows); i++) {
                g_autofree char *queue = g_strdup_printf("$N-%u", i);
                g_autofree char *destination = g_strdup_printf("$N-%u.%s", i, source_rows[i].cluster);

                g_test_message("row %u: %s", i, source_rows[i].source);
                if (source_rows[i].key != NULL)
                        client_publish(stage->client, stage->name, source_rows[i].key, NULL,
                                       amqp_cstring_bytes(source_rows[i].body));
                else
                        stage_send(stage, queue, source_rows[i].header, source_rows[i].body);
                stage_expect(stage, destination, source_rows[i].body);
        }
}

/* ---- captured messages ---- */

#define D "versioned_object.data"

static const char CINDER[] =
    "[fields:$N]\n"
    "request = oslo:/args/request_spec/" D "/volume_properties/" D "/availability_zone\n"
    "volume = oslo:/args/volume/" D "/availability_zone\n"
    "snapshot = oslo:/args/snapshot/" D "/volume/" D "/availability_zone\n"
    "attachment = oslo:/args/vref/" D "/availability_zone\n"
    "backend = host:key:cinder-volume.{host}@*\n"
    "server = host:key:cinder-scheduler.{host}\n"
    "cleanup = host:oslo:/args/cleanup_request/" D "/host\n"
    "[route:$N]\nqueue = $N\nbind = $N.in/#\ncluster_from = fields:$N\n"
    "on_no_cluster = dead\ndestination = exchange:$N.{cluster}/{key}\n";

static const struct {
        const char *name;
        const char *cluster; /* NULL: dead */
} capture_rows[] = {
    {"01", "east"}, {"02", "west"}, {"03", "east"}, {"04", "east"}, {"05", "east"},
    {"06", "east"}, {"07", "east"}, {"08", "west"}, {"09", "west"}, {"10", "east"},
    {"11", NULL},   {"12", "east"}, {"14", "east"}, {"15", "east"}, {"17", NULL},
    {"19", "east"}, {"21", "west"}, {"22", "east"}, {"29", NULL},   {"30", "east"},
};

static void
send_capture(Stage *stage, const Capture *capture)
{
        g_autofree char *exchange = stage_text(stage, "$N.in");
        const json_t *given = json_object_get(capture->message, "properties");
        amqp_basic_properties_t properties = {
            ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CONTENT_ENCODING_FLAG |
                      AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_PRIORITY_FLAG,
            .content_type = amqp_cstring_bytes(json_string_value(json_object_get(given, "content_type"))),
            .content_encoding =
                amqp_cstring_bytes(json_string_value(json_object_get(given, "content_encoding"))),
            .delivery_mode = (uint8_t)json_integer_value(json_object_get(given, "delivery_mode")),
            .priority = (uint8_t)json_integer_value(json_object_get(given, "priority"))};

        client_publish(stage->client, exchange, capture->key, &properties,
                       (amqp_bytes_t){capture->length, (void *)capture->body});
        client_confirm(stage->client);
}

/* An exchange $N.CLUSTER, and a queue of that name to which everything is bound. */
static void
open_destination(Stage *stage, const char *cluster)
{
        g_autofree char *name = g_strdup_printf("%s.%s", stage->name, cluster);

        client_declare_exchange(stage->client, name, "topic");
        client_declare_queue(stage->client, name, NULL);
        client_bind(stage->client, name, name, "#");
}

static void
test_captured_message_reaches_its_cluster_unchanged(void)
{
        g_autoptr(Stage) stage = stage_new("capture");
        g_autoptr(GPtrArray) captures = captures_load();
        g_autofree char *conf = g_strconcat(CLUSTERS, CINDER, NULL);
        g_autofree char *exchange = NULL;

        if (stage == NULL)
                return;
        exchange = stage_text(stage, "$N.in");
        client_declare_exchange(stage->client, exchange, "topic");
        open_destination(stage, "east");
        open_destination(stage, "west");
        stage_run(stage, conf);
        for (unsigned i = 0; i < G_N_ELEMENTS(capture_rows); i++) {
                const Capture *capture = captures_find(captures, capture_rows[i].name);
                g_autofree char *queue = capture_rows[i].cluster != NULL
                                             ? g_strdup_printf("$N.%s", capture_rows[i].cluster)
                                             : g_strdup("cluster-router.$N.dead");
                g_autoptr(ClientMessage) message = NULL;

                g_test_message("%s", capture->name);
                send_capture(stage, capture);
                message = stage_take(stage, queue);
                g_assert_cmpmem(message->message.body.bytes, message->message.body.len, capture->body,
                                capture->length);
                if (capture_rows[i].cluster != NULL)
                        g_assert_cmpstr(message->key, ==, capture->key);
                g_assert_cmpint(message->message.properties.priority, ==, 0);
                g_assert_true(message->message.properties._flags & AMQP_BASIC_PRIORITY_FLAG);
                g_assert_true(message->message.properties._flags & AMQP_BASIC_CONTENT_ENCODING_FLAG);
        }
        g_assert_cmpuint(stage_count(stage, "$N.east") + stage_count(stage, "$N.west"), ==, 0);
}

static void
test_exchange_and_key_of_arrival_make_the_destination(void)
{
        g_autoptr(Stage) stage = stage_new("template");
        amqp_table_entry_t entry = client_entry_text("cluster", "east");
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_HEADERS_FLAG};
        g_autofree char *destination = NULL;
        g_autoptr(ClientMessage) message = NULL;

        if (stage == NULL)
                return;
        destination = g_strdup_printf("%s.east", stage->name);
        client_declare_exchange(stage->client, stage->name, "topic");
        open_destination(stage, "east");
        stage_run(stage, "[east]\ncluster_member_ips = e\n[route:$N]\nqueue = $N-in\ncluster_from = "
                         "header:cluster\nbind = $N/a.#\n"
                         "destination = exchange:{exchange}.{cluster}/to.{cluster}.{key}.{host}\n");
        properties.headers = (amqp_table_t){1, &entry};
        client_publish(stage->client, stage->name, "a.b.c", &properties, amqp_cstring_bytes("hello"));
        message = stage_take(stage, "$N.east");
        g_assert_cmpstr(message->exchange, ==, destination);
        g_assert_cmpstr(message->key, ==, "to.east.a.b.c.e");
}

/* ---- policies ---- */

static const struct {
        const char *policy;
        const char *queue; /* where a message goes; $N-I stands in front if it begins with a dot */
        const char *reason;
} policy_rows[] = {
    {"cluster:west", ".west", NULL}, {"cluster:east", ".east", NULL}, {"queue:$N-other", "$N-other", NULL},
    {"park", "parked", "cluster"},   {"dead", "dead", "cluster"},
};

static void
expect_by_policy(Stage *stage, unsigned route, unsigned row, const char *cluster, const char *reason)
{
        g_autofree char *in = g_strdup_printf("$N-%u", route);
        g_autofree char *queue = NULL;
        g_autoptr(ClientMessage) message = NULL;
        g_autofree char *found = NULL;

        if (policy_rows[row].queue[0] == '.')
                queue = g_strconcat(in, policy_rows[row].queue, NULL);
        else if (policy_rows[row].queue[0] == '$')
                queue = g_strdup(policy_rows[row].queue);
        else
                queue = g_strdup_printf("cluster-router.%s.%s", in, policy_rows[row].queue);
        stage_send(stage, in, cluster, "policy");
        message = stage_take(stage, queue);
        found = client_message_header_text(message, "x-router-reason");
        g_assert_cmpstr(found, ==, policy_rows[row].reason != NULL ? reason : NULL);
}

static void
test_policy_for_no_and_unknown_cluster(void)
{
        g_autoptr(Stage) stage = stage_new("policy");
        g_autoptr(GString) conf = g_string_new(CLUSTERS);
        unsigned rows = G_N_ELEMENTS(policy_rows);

        if (stage == NULL)
                return;
        for (unsigned i = 0; i < 2 * rows; i++)
                add_route(conf, i,
                          "destination = queue:{queue}.{cluster}\ncluster_from = header:cluster\n%s = %s\n",
                          i < rows ? "on_no_cluster" : "on_unknown_cluster", policy_rows[i % rows].policy);
        stage_declare(stage, "$N-other");
        stage_run(stage, conf->str);
        for (unsigned i = 0; i < rows; i++) {
                g_test_message("%s", policy_rows[i].policy);
                expect_by_policy(stage, i, i, NULL, "no_cluster");
                expect_by_policy(stage, i + rows, i, "nowhere", "unknown_cluster");
        }
}

static void
test_any_shares_by_number_of_hosts(void)
{
        g_autoptr(Stage) stage = stage_new("any");
        g_autoptr(Checker) checker = NULL;
        static const char *const none[] = {"", NULL};
        g_autofree char *conf =
            g_strconcat(CLUSTERS,
                        "[route:$N]\nqueue = $N\ncluster_from = header:cluster\ndestination = "
                        "queue:{queue}.{cluster}\non_no_cluster = any\n",
                        NULL);
        uint32_t east = 0;

        if (stage == NULL)
                return;
        stage_run(stage, conf);
        checker = checker_new(stage->url, stage->name);
        checker_send(checker, none, 300);
        stage_wait_number(stage, "$N", "delivered", 300);
        east = stage_count(stage, "$N.east");
        g_assert_cmpuint(east + stage_count(stage, "$N.west"), ==, 300);
        g_assert_cmpuint(east, >=, 190);
        g_assert_cmpuint(east, <=, 210);
        g_assert_cmpint(stage_number(stage, "$N", "reasons/no_cluster"), ==, 300);
}

static void
test_unknown_any_goes_to_a_usable_cluster(void)
{
        g_autoptr(Stage) stage = stage_new("unknown-any");

        if (stage == NULL)
                return;
        stage_run(stage, "[east]\ncluster_member_ips = a\nstate = drain\n[west]\ncluster_member_ips = b\n"
                         "[route:$N]\nqueue = $N\ncluster_from = header:cluster\ndestination = "
                         "queue:{queue}.{cluster}\non_unknown_cluster = any\n");
        for (unsigned i = 0; i < 5; i++)
                stage_send(stage, "$N", "nowhere", "any");
        stage_wait_count(stage, "$N.west", 5);
        g_assert_cmpuint(stage_count(stage, "$N.east"), ==, 0);
}

/* ---- modes, lanes ---- */

static void
test_tag_mode_names_cluster_and_hosts(void)
{
        g_autoptr(Stage) stage = stage_new("tag");
        g_autofree char *conf = g_strconcat(
            CLUSTERS,
            "[route:$N]\nqueue = $N\nmode = tag\ndestination = queue:$N.all\ncluster_from = header:cluster\n",
            NULL);
        g_autoptr(ClientMessage) message = NULL;
        g_autofree char *cluster = NULL;
        g_autofree char *hosts = NULL;

        if (stage == NULL)
                return;
        stage_run(stage, conf);
        stage_send(stage, "$N", "zone-east", "tagged");
        message = stage_take(stage, "$N.all");
        cluster = client_message_header_text(message, "cluster");
        hosts = client_message_header_text(message, "cluster-hosts");
        g_assert_cmpstr(cluster, ==, "east");
        g_assert_cmpstr(hosts, ==, "east-node,east-two");
        stage_wait_number(stage, "$N", "clusters/east/tagged", 1);
}

static void
route_load(Stage *stage, unsigned lanes, Checker **out_checker)
{
        static const char *const mixed[] = {"east", "west", "zone-east", "west", NULL};
        g_autofree char *conf =
            g_strdup_printf("%s[route:$N]\nqueue = $N\ndestination = queue:{queue}.{cluster}\nlanes = %u\n"
                            "cluster_from = header:cluster\n",
                            CLUSTERS, lanes);
        Checker *checker = checker_new(stage->url, stage->name);

        stage_run(stage, conf);
        checker_send(checker, lanes == 1 ? BOTH : mixed, 3000);
        stage_wait_number(stage, "$N", "delivered", 3000);
        stage_wait_number(stage, "$N", "in_flight", 0);
        g_assert_true(stage_balances(stage, "$N"));
        *out_checker = checker;
}

static void
collect_both(Stage *stage, Checker *checker, const char *east_or_null)
{
        g_autofree char *east = stage_text(stage, "$N.east");
        g_autofree char *west = stage_text(stage, "$N.west");

        checker_collect(checker, east, east_or_null);
        checker_collect(checker, west, "west");
}

static void
test_one_lane_keeps_order_per_cluster(void)
{
        g_autoptr(Stage) stage = stage_new("order");
        g_autoptr(Checker) checker = NULL;

        if (stage == NULL)
                return;
        route_load(stage, 1, &checker);
        collect_both(stage, checker, "east");
        checker_assert_perfect(checker);
        g_assert_cmpuint(checker_verdict(checker).delivered, ==, 3000);
        g_assert_cmpuint(checker_verdict(checker).marked, ==, 0);
}

static void
test_four_lanes_lose_nothing(void)
{
        g_autoptr(Stage) stage = stage_new("lanes");
        g_autoptr(Checker) checker = NULL;

        if (stage == NULL)
                return;
        route_load(stage, 4, &checker);
        collect_both(stage, checker, NULL);
        checker_assert_safe(checker);
        g_assert_cmpuint(checker_verdict(checker).delivered, ==, 3000);
        g_assert_cmpuint(checker_verdict(checker).marked, ==, 0);
}

static void
test_single_cluster_forwards_everything(void)
{
        g_autoptr(Stage) stage = stage_new("single");

        if (stage == NULL)
                return;
        stage_run(stage,
                  "[route:$N]\nqueue = $N\ndestination = queue:$N.all\ncluster_from = header:cluster\n");
        stage_send(stage, "$N", "anything", "one");
        stage_send(stage, "$N", NULL, "");
        stage_expect(stage, "$N.all", "one");
        stage_expect(stage, "$N.all", "");
        stage_wait_number(stage, "$N", "clusters//delivered", 2);
        g_assert_true(stage_balances(stage, "$N"));
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/route/source-leads-to-its-cluster", test_source_leads_to_its_cluster);
        g_test_add_func("/route/captured-message-reaches-its-cluster-unchanged",
                        test_captured_message_reaches_its_cluster_unchanged);
        g_test_add_func("/route/exchange-and-key-of-arrival-make-the-destination",
                        test_exchange_and_key_of_arrival_make_the_destination);
        g_test_add_func("/route/policy-for-no-and-unknown-cluster", test_policy_for_no_and_unknown_cluster);
        g_test_add_func("/route/any-shares-by-number-of-hosts", test_any_shares_by_number_of_hosts);
        g_test_add_func("/route/unknown-any-goes-to-a-usable-cluster",
                        test_unknown_any_goes_to_a_usable_cluster);
        g_test_add_func("/route/tag-mode-names-cluster-and-hosts", test_tag_mode_names_cluster_and_hosts);
        g_test_add_func("/route/one-lane-keeps-order-per-cluster", test_one_lane_keeps_order_per_cluster);
        g_test_add_func("/route/four-lanes-lose-nothing", test_four_lanes_lose_nothing);
        g_test_add_func("/route/single-cluster-forwards-everything", test_single_cluster_forwards_everything);
        return g_test_run();
}
