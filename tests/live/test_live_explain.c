/* SPDX-License-Identifier: MIT */
#include "cluster/liveness.h"
#include "router/ctl/fields.h"
#include "router/ctl/message_file.h"
#include "tests/support/capture.h"
#include "tests/support/live.h"
#include "tests/support/stage.h"

#include <string.h>

/* What `clusterctl explain` says is what a router does. */

/* East is up, west drained, south down. Clusters have names of this stage, and aliases that messages use. */
static const char CLUSTERS[] = "[redis]\nurl = %s\n"
                               "[$N-east]\ncluster_member_ips = east-node\naliases = east\n"
                               "[$N-west]\ncluster_member_ips = west-node\naliases = west\nstate = drain\n"
                               "[$N-south]\ncluster_member_ips = south-node\n";

#define D "versioned_object.data"
#define SOURCES                                                                                              \
        "request = oslo:/args/request_spec/" D "/volume_properties/" D "/availability_zone\n"                \
        "volume = oslo:/args/volume/" D "/availability_zone\n"                                               \
        "backend = host:key:cinder-volume.{host}@*\n"                                                        \
        "server = host:key:cinder-scheduler.{host}\n"

/* With the second list a message that names no cluster names one that nobody knows. */
static const char FIELDS[] =
    "[fields:$N-none]\n" SOURCES "[fields:$N-unknown]\n" SOURCES "last = json:/oslo.version\n";
static const char *const lists[] = {"none", "unknown"};

static const struct {
        const char *none;
        const char *unknown;
        const char *down;
        const char *mode;
} rows[] = {
    {"any", "any", "any", "reroute"},
    {"dead", "dead", "dead", "reroute"},
    {"park", "park", "park", "reroute"},
    {"queue:$N-other", "queue:$N-other", "cluster:$N-east", "reroute"},
    {"cluster:$N-east", "cluster:$N-west", "cast:dead, call:park", "tag"},
    {"cluster:$N-west", "cluster:$N-south", "any", "reroute"},
    {"cluster:$N-south", "dead", "cluster:$N-west", "reroute"},
    {"cluster:$N-west", "cluster:$N-south", "cast:park, call:fail", "reroute"},
};

enum { ROUTES = G_N_ELEMENTS(rows) * G_N_ELEMENTS(lists), DEADLINE_MS = 30000 };

static char *
write_conf(const char *redis)
{
        GString *conf = g_string_new(NULL);

        g_string_printf(conf, CLUSTERS, redis);
        g_string_append(conf, FIELDS);
        for (unsigned i = 0; i < ROUTES; i++) {
                unsigned row = i % G_N_ELEMENTS(rows);
                bool tag = strcmp(rows[row].mode, "tag") == 0;

                g_string_append_printf(
                    conf,
                    "[route:$N-%u]\nqueue = $N-%u\nbind = $N.in.%u/#\ncluster_from = fields:$N-%s\n"
                    "on_no_cluster = %s\non_unknown_cluster = %s\non_cluster_down = %s\nmode = %s\n"
                    "destination = queue:{queue}.%s\n",
                    i, i, i, lists[i / G_N_ELEMENTS(rows)], rows[row].none, rows[row].unknown, rows[row].down,
                    rows[row].mode, tag ? "all" : "{cluster}");
        }
        return g_string_free(conf, FALSE);
}

/* Runs `clusterctl explain` with these arguments, up to a NULL; the document is the caller's. */
static json_t *
explain(Stage *stage, int expect_status, const char *const *arguments)
{
        g_autoptr(GPtrArray) argv = g_ptr_array_new();
        g_autofree char *out = NULL;
        g_autofree char *errors = NULL;

        g_ptr_array_add(argv, (gpointer) "clusterctl");
        g_ptr_array_add(argv, (gpointer) "-ojson");
        g_ptr_array_add(argv, (gpointer) "-c");
        g_ptr_array_add(argv, stage->conf_path);
        g_ptr_array_add(argv, (gpointer) "explain");
        for (; *arguments; arguments++)
                g_ptr_array_add(argv, (gpointer)*arguments);
        g_ptr_array_add(argv, NULL);

        int status = program_run((const char *const *)argv->pdata, &out, &errors);

        if (status != expect_status)
                g_error("explain exits with %d: %s", status, errors);
        return status == 0 ? json_loads(out, 0, NULL) : json_string(errors);
}

static const char *
text_of(const json_t *document, const char *key)
{
        return json_string_value(json_object_get(document, key));
}

/*
 * Time and number differ from publish to publish, and what is parked may be tried again, as when the router
 * learns something new of redis, before the test comes for it.
 */
static void
drop_changing(json_t *headers)
{
        static const char *const names[] = {"x-router-seq", "x-router-time", "x-router-since",
                                            "x-router-expiration", "x-router-attempt"};

        for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
                json_object_del(headers, names[i]);
}

typedef struct {
        Stage *stage;
        const char *route;
        const char *key;
        int64_t before;
} Count;

/* Each further attempt counts, too. */
static bool
has_grown(void *data)
{
        const Count *count = data;

        return stage_number(count->stage, count->route, count->key) > count->before;
}

static void
check_arrival(Stage *stage, const json_t *said, const char *route, int64_t before)
{
        g_autoptr(ClientMessage) message = stage_take(stage, text_of(said, "key"));
        g_autofree char *key = g_strdup_printf("reasons/%s", text_of(said, "reason"));
        g_autofree char *reason = client_message_header_text(message, "x-router-reason");
        json_t *headers = fields_to_json(&message->message.properties.headers);
        json_t *expected = json_object_get(said, "headers");
        bool stored =
            strcmp(text_of(said, "decision"), "park") == 0 || strcmp(text_of(said, "decision"), "dead") == 0;

        g_assert_true(live_wait(DEADLINE_MS, has_grown, &(Count){stage, route, key, before}));
        g_assert_cmpstr(text_of(said, "exchange"), ==, "");
        g_assert_cmpstr(reason, ==, stored ? text_of(said, "reason") : NULL);
        g_assert_cmpint(json_integer_value(json_object_get(headers, "x-router-attempt")), >=,
                        json_integer_value(json_object_get(expected, "x-router-attempt")));
        drop_changing(headers);
        drop_changing(expected);
        if (!json_equal(headers, expected)) {
                g_autofree char *got = json_dumps(headers, JSON_COMPACT);
                g_autofree char *wanted = json_dumps(expected, JSON_COMPACT);

                g_error("headers are %s, explained were %s", got, wanted);
        }
        json_decref(headers);
}

/* Explains the message, then sends it, and looks whether both agree. */
static void
check_capture(Stage *stage, const Capture *capture, unsigned number)
{
        g_autofree char *route = g_strdup_printf("%s-%u", stage->name, number);
        g_autofree char *exchange = g_strdup_printf("%s.in.%u", stage->name, number);
        g_autofree char *path = g_build_filename(stage->directory, "message.json", NULL);
        const char *const arguments[] = {"--route", route, path, NULL};

        g_test_message("%s on route %u", capture->name, number);
        json_object_set_new(capture->message, "exchange", json_string(exchange));
        g_assert_cmpint(json_dump_file(capture->message, path, 0), ==, 0);

        json_t *said = explain(stage, 0, arguments);
        g_autofree char *reason = g_strdup_printf("reasons/%s", text_of(said, "reason"));
        int64_t before = stage_number(stage, route, reason);

        g_assert_cmpint(before, >=, 0);
        g_autofree char *text = json_dumps(capture->message, 0);
        g_autoptr(Message) message = message_file_parse(text, strlen(text), route, NULL);

        g_assert_true(json_is_true(json_object_get(json_object_get(said, "view"), "from_router")));
        g_assert_nonnull(message);
        if (strcmp(text_of(said, "decision"), "fail") == 0)
                stage_declare(stage, text_of(said, "key"));
        client_publish(stage->client, exchange, capture->key, message->properties, message->body);
        client_confirm(stage->client);
        check_arrival(stage, said, route, before);
        json_decref(said);
}

static void
make_exchanges(Stage *stage)
{
        for (unsigned i = 0; i < ROUTES; i++) {
                g_autofree char *exchange = g_strdup_printf("%s.in.%u", stage->name, i);

                client_declare_exchange(stage->client, exchange, "topic");
        }
}

static void
test_explain_says_what_routing_does(void)
{
        const char *redis = live_env("REDIS_URL");
        g_autoptr(Stage) stage = redis ? stage_new("explain") : NULL;
        g_autoptr(GPtrArray) captures = captures_load();
        g_autoptr(GError) error = NULL;

        if (stage == NULL)
                return;
        g_autofree char *conf = write_conf(redis);
        g_autofree char *east = stage_text(stage, "$N-east");
        g_autoptr(Liveness) liveness = liveness_new(redis, 2000, &error);

        g_assert_no_error(error);
        g_assert_true(liveness_send_heartbeat(liveness, east, "east-node", 600 * 1000, &error));
        make_exchanges(stage);
        stage_declare(stage, "$N-other");
        stage_run(stage, conf);
        for (unsigned i = 0; i < captures->len; i++)
                for (unsigned number = 0; number < ROUTES; number++)
                        check_capture(stage, captures->pdata[i], number);
        g_assert_true(liveness_goodbye(liveness, east, "east-node", &error));
}

static const char PLAIN[] = "[east]\ncluster_member_ips = e\n[route:$N]\nqueue = $N\n"
                            "cluster_from = header:cluster, json:/cluster\ndestination = queue:$N.{cluster}\n"
                            "on_no_cluster = dead\n";

static void
test_looking_at_a_queue_leaves_it_as_it_was(void)
{
        g_autoptr(Stage) stage = stage_new("peek");
        static const char *const bodies[] = {"{\"cluster\": \"east\"}", "two", "three"};

        if (stage == NULL)
                return;
        const char *const arguments[] = {"--queue", stage->name, "--peek", "2", NULL};

        stage_configure(stage, PLAIN);
        stage_declare(stage, "$N");
        for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++)
                stage_send(stage, "$N", NULL, bodies[i]);

        json_t *said = explain(stage, 0, arguments);
        const json_t *messages = json_object_get(said, "messages");

        g_assert_cmpuint(json_array_size(messages), ==, 2);
        g_assert_cmpstr(text_of(json_array_get(messages, 0), "cluster"), ==, "east");
        g_assert_cmpstr(text_of(json_array_get(messages, 1), "decision"), ==, "dead");
        json_decref(said);
        stage_wait_count(stage, "$N", 3);
        for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++) {
                g_autoptr(ClientMessage) message = stage_take(stage, "$N");
                g_autofree char *body = client_message_body(message);

                g_assert_cmpstr(body, ==, bodies[i]);
                g_assert_cmpint(message->redelivered, ==, i < 2);
        }
}

static void
test_new_file_is_explained_with_its_own_clusters(void)
{
        g_autoptr(Stage) stage = stage_new("newfile");
        g_autofree char *path = NULL;

        if (stage == NULL)
                return;
        stage_run(stage, PLAIN);
        stage_configure(stage, "[north]\ncluster_member_ips = n\n[route:$N]\nqueue = $N\n"
                               "cluster_from = json:/cluster\ndestination = queue:$N.{cluster}\n");
        path = live_write_file("message.json", "{\"body\": \"{\\\"cluster\\\": \\\"north\\\"}\"}");

        const char *const arguments[] = {path, NULL};
        json_t *said = explain(stage, 0, arguments);

        g_assert_false(json_is_true(json_object_get(json_object_get(said, "view"), "from_router")));
        g_assert_cmpstr(text_of(said, "cluster"), ==, "north");
        g_assert_cmpstr(text_of(said, "reason"), ==, "live");
        json_decref(said);
        live_remove_file(g_steal_pointer(&path));
}

static void
test_what_cannot_be_asked_is_named(void)
{
        g_autoptr(Stage) stage = stage_new("unreachable");

        if (stage == NULL)
                return;
        g_autofree char *absent = g_strdup_printf("%s-absent", stage->name);
        const char *const nowhere[] = {"--queue", absent, NULL};

        stage_configure(stage, PLAIN);
        json_decref(explain(stage, 65, nowhere));
        g_free(stage->url);
        stage->url = g_strdup_printf("amqp://user:hidden@127.0.0.1:%u/", live_free_port());
        stage_configure(stage, PLAIN);

        json_t *said = explain(stage, 69, nowhere);

        g_assert_nonnull(strstr(json_string_value(said), "amqp://user:***@127.0.0.1:"));
        json_decref(said);
}

/* The answer may be another with what redis knows. */
static void
test_answer_without_redis_is_told_apart(void)
{
        g_autoptr(Stage) stage = stage_new("half");

        if (stage == NULL)
                return;
        g_autofree char *conf =
            g_strdup_printf("%s[redis]\nurl = redis://127.0.0.1:%u/0\n", PLAIN, live_free_port());
        g_autofree char *path = g_build_filename(stage->directory, "message.json", NULL);
        const char *const arguments[] = {path, NULL};

        stage_configure(stage, conf);
        g_assert_true(
            g_file_set_contents(path, "{\"properties\": {\"headers\": {\"cluster\": \"east\"}}}", -1, NULL));
        json_t *said = explain(stage, 69, arguments);

        g_assert_nonnull(strstr(json_string_value(said), "redis://127.0.0.1:"));
        json_decref(said);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/explain/says-what-routing-does", test_explain_says_what_routing_does);
        g_test_add_func("/explain/looking-at-a-queue-leaves-it-as-it-was",
                        test_looking_at_a_queue_leaves_it_as_it_was);
        g_test_add_func("/explain/new-file-is-explained-with-its-own-clusters",
                        test_new_file_is_explained_with_its_own_clusters);
        g_test_add_func("/explain/what-cannot-be-asked-is-named", test_what_cannot_be_asked_is_named);
        g_test_add_func("/explain/answer-without-redis-is-told-apart",
                        test_answer_without_redis_is_told_apart);
        return g_test_run();
}
