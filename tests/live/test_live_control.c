/* SPDX-License-Identifier: MIT */
#include "cluster/liveness.h"
#include "router/control.h"
#include "tests/support/live.h"
#include "tests/support/program.h"
#include "tests/support/stage.h"

#include <amqp_framing.h>
#include <signal.h>
#include <string.h>

/* What the control queue answers, and heartbeats by message. Clusters have names of their stage, for redis is
 * shared. */

enum { DEADLINE_MS = 10000 };

static const char CLUSTERS[] = "[$N-east]\ncluster_member_ips = e1\naliases = $N-alias\n"
                               "[$N-west]\ncluster_member_ips = w1\n"
                               "[route:$N]\nqueue = $N\ncluster_from = header:cluster\n"
                               "destination = queue:{queue}.{cluster}\n";

static bool
is_served(void *client)
{
        uint32_t consumers = 0;
        return client_count(client, CONTROL_QUEUE, NULL, &consumers) && consumers > 0;
}

static Stage *
set_up(const char *name, bool with_redis)
{
        const char *redis = live_env("REDIS_URL");
        Stage *stage = redis != NULL ? stage_new(name) : NULL;
        g_autofree char *conf =
            g_strdup_printf(with_redis ? "[redis]\nurl = %s\npoll = 50ms\nheartbeat_ttl = 5s\n%s" : "%.0s%s",
                            redis, CLUSTERS);
        if (stage == NULL)
                return NULL;
        stage_declare(stage, "$N.replies");
        stage_run(stage, conf);
        g_assert_true(live_wait(DEADLINE_MS, is_served, stage->client));
        return stage;
}

static void
send(Stage *stage, const char *body)
{
        g_autofree char *text = stage_text(stage, body);
        g_autofree char *reply_to = stage_text(stage, "$N.replies");
        amqp_basic_properties_t properties = {._flags =
                                                  AMQP_BASIC_REPLY_TO_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG,
                                              .reply_to = amqp_cstring_bytes(reply_to),
                                              .correlation_id = amqp_cstring_bytes("id-7")};
        client_publish(stage->client, "", CONTROL_QUEUE, &properties, amqp_cstring_bytes(text));
        client_confirm(stage->client);
}

/* The answer's JSON text. */
static char *
ask(Stage *stage, const char *body)
{
        send(stage, body);
        g_autoptr(ClientMessage) message = stage_take(stage, "$N.replies");
        amqp_bytes_t id = message->message.properties.correlation_id;
        g_assert_cmpmem(id.bytes, id.len, "id-7", 4);
        return client_message_body(message);
}

static void
expect(Stage *stage, const char *body, const char *answer)
{
        g_autofree char *got = ask(stage, body);
        g_assert_cmpstr(got, ==, answer);
}

static void
expect_refusal(Stage *stage, const char *body, const char *reason)
{
        g_autofree char *got = ask(stage, body);
        if (strstr(got, "\"error\"") == NULL || strstr(got, reason) == NULL)
                g_error("%s: answered with %s", body, got);
}

/* Asks until the usable hosts of the east are these. */
typedef struct {
        Stage *stage;
        const char *answer;
} Wanted;

static bool
is_answered(void *data)
{
        const Wanted *wanted = data;
        g_autofree char *got =
            ask(wanted->stage, "{\"method\": \"get_usable_hosts\", \"args\": {\"cluster\": \"$N-east\"}}");
        return strcmp(got, wanted->answer) == 0;
}

static void
wait_hosts(Stage *stage, const char *answer)
{
        Wanted wanted = {stage, answer};
        if (!live_wait(DEADLINE_MS, is_answered, &wanted))
                g_error("the usable hosts did not become %s", answer);
}

static void
test_usable_hosts_are_told(void)
{
        g_autoptr(Stage) stage = set_up("told", false);
        if (stage == NULL)
                return;
        expect(stage, "{\"method\": \"get_usable_hosts\", \"args\": {\"cluster\": \"$N-east\"}}",
               "{\"result\": [\"e1\"]}");
        expect(stage, "{\"method\": \"get_usable_hosts\", \"args\": {\"cluster\": \"$N-alias\"}}",
               "{\"result\": [\"e1\"]}");
        expect(stage, "{\"method\": \"get_usable_hosts\", \"args\": {\"cluster\": null}}",
               "{\"result\": [\"e1\", \"w1\"]}");
        expect(stage, "{\"method\": \"get_usable_hosts\"}", "{\"result\": [\"e1\", \"w1\"]}");
}

static void
test_an_oslo_caller_gets_an_oslo_reply(void)
{
        static const char envelope[] =
            "{\"oslo.version\": \"2.0\", \"oslo.message\": \"{\\\"method\\\": \\\"get_usable_hosts\\\", "
            "\\\"args\\\": {\\\"cluster\\\": \\\"%s\\\"}, \\\"_msg_id\\\": \\\"m1\\\", "
            "\\\"_reply_q\\\": \\\"$N.replies\\\"}\"}";
        g_autoptr(Stage) stage = set_up("oslo", false);
        if (stage == NULL)
                return;
        g_autofree char *good = g_strdup_printf(envelope, "$N-east");
        g_autofree char *bad = g_strdup_printf(envelope, "nowhere");
        g_autofree char *reply = ask(stage, good);
        g_assert_nonnull(strstr(reply, "\\\"result\\\": [\\\"e1\\\"]"));
        g_assert_nonnull(strstr(reply, "\\\"failure\\\": null"));
        g_assert_nonnull(strstr(reply, "\\\"_msg_id\\\": \\\"m1\\\""));
        g_autofree char *refusal = ask(stage, bad);
        g_assert_nonnull(strstr(refusal, "ControlRefused"));
        g_assert_nonnull(strstr(refusal, "nowhere"));
}

static void
test_a_host_comes_and_goes_by_message(void)
{
        g_autoptr(Stage) stage = set_up("comes", true);
        g_autoptr(GError) error = NULL;
        if (stage == NULL)
                return;
        wait_hosts(stage, "{\"result\": []}");
        expect(stage,
               "{\"method\": \"register_host\", \"args\": {\"cluster\": \"$N-east\", \"host\": \"e9\"}}",
               "{\"result\": true}");
        wait_hosts(stage, "{\"result\": [\"e9\"]}");
        /* It is in redis, so that all routers see it. */
        g_autofree char *name = stage_text(stage, "$N-east");
        g_autoptr(Liveness) liveness = liveness_new(live_env("REDIS_URL"), DEADLINE_MS, &error);
        g_autoptr(GPtrArray) clusters = g_ptr_array_new_with_free_func((GDestroyNotify)liveness_cluster_free);
        g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
        g_ptr_array_add(clusters, liveness_cluster_new(name, NULL));
        g_assert_true(liveness_check_hosts(liveness, clusters, warnings, &error));
        const LivenessCluster *east = clusters->pdata[0];
        g_assert_cmpuint(east->hosts->len, ==, 1);
        g_assert_true(((const LivenessHost *)east->hosts->pdata[0])->alive);
        expect(stage, "{\"method\": \"remove_host\", \"args\": {\"cluster\": \"$N-east\", \"host\": \"e9\"}}",
               "{\"result\": true}");
        wait_hosts(stage, "{\"result\": []}");
}

static void
test_without_redis_the_router_keeps_it(void)
{
        g_autoptr(Stage) stage = set_up("keeps", false);
        if (stage == NULL)
                return;
        expect(stage,
               "{\"method\": \"send_heartbeat\", \"args\": {\"cluster\": \"$N-east\", \"host\": \"e9\"}}",
               "{\"result\": true}");
        wait_hosts(stage, "{\"result\": [\"e1\", \"e9\"]}");
        expect(stage, "{\"method\": \"remove_host\", \"args\": {\"cluster\": \"$N-east\", \"host\": \"e9\"}}",
               "{\"result\": true}");
        wait_hosts(stage, "{\"result\": [\"e1\"]}");
}

static int64_t
refused(Stage *stage)
{
        g_autofree char *body = NULL;
        g_assert_cmpint(stage_get(stage, "/api/v1/status", &body), ==, 200);
        json_t *document = json_loads(body, 0, NULL);
        int64_t count = json_integer_value(json_object_get(json_object_get(document, "control"), "refused"));
        json_decref(document);
        return count;
}

static void
test_what_is_wrong_is_refused_and_counted(void)
{
#define BEAT(cluster, host)                                                                                  \
        "{\"method\": \"send_heartbeat\", \"args\": {\"cluster\": " cluster ", \"host\": " host "}}"
        static const char *const cases[][2] = {
            {BEAT("\"nowhere\"", "\"h\""), "no cluster"},
            {BEAT("\"$N-east\"", "\"w1\""), "is a member of cluster"},
            {BEAT("\"$N-east\"", "\"no host\""), "no name for a host"},
            {BEAT("\"no/cluster\"", "\"h\""), "no name for a cluster"},
            {BEAT("\"$N-alias\"", "\"h\""), "no cluster"},
            {BEAT("7", "\"h\""), "must be names"},
            {BEAT("\"$N-east\"", "null"), "must be names"},
            {"{\"method\": \"get_usable_hosts\", \"args\": {\"cluster\": \"nowhere\"}}", "no cluster"},
            {"{\"method\": \"get_usable_hosts\", \"args\": {\"cluster\": 1}}", "name or null"},
            {"{\"method\": \"get_usable_hosts\", \"args\": []}", "must be an object"},
            {"{\"method\": \"reboot\"}", "no method"},
            {"{\"method\": 1}", "expected"},
            {"[]", "expected"},
            {"", "expected"},
            {"{\"method\": \"a\", \"method\": \"b\"}", "expected"},
            {"\xff\xfe", "expected"},
        };
        g_autoptr(Stage) stage = set_up("wrong", false);
        if (stage == NULL)
                return;
        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
                expect_refusal(stage, cases[i][0], cases[i][1]);
        g_assert_cmpint(refused(stage), ==, G_N_ELEMENTS(cases));
        client_publish_text(stage->client, CONTROL_QUEUE, NULL, "no reply address");
        expect(stage, "{\"method\": \"get_usable_hosts\"}", "{\"result\": [\"e1\", \"w1\"]}");
}

/* There the cluster speaks for itself, and for no other. */
static void
test_a_clusters_own_broker_serves_that_cluster(void)
{
        static const char conf[] = "[$N-east]\ncluster_member_ips = e1\namqp_url = %s\n"
                                   "[$N-west]\ncluster_member_ips = w1\n"
                                   "[route:$N]\nqueue = $N\ncluster_from = header:cluster\n"
                                   "destination = queue:{queue}.{cluster}\n";
        const char *own = live_env("AMQP_URL_2");
        g_autoptr(Stage) shared = own != NULL ? stage_new("own") : NULL;
        g_autoptr(Stage) stage = shared != NULL ? stage_new_at("own", "AMQP_URL_2") : NULL;
        if (stage == NULL)
                return;
        g_autofree char *raw = g_strdup_printf(conf, own);
        g_autofree char *text = stage_text(stage, raw); /* names of the second stage */
        stage->client = client_new(stage->url);
        stage_declare(stage, "$N.replies");
        stage_run(shared, text);
        g_assert_true(live_wait(DEADLINE_MS, is_served, stage->client));
        expect(stage, "{\"method\": \"get_usable_hosts\"}", "{\"result\": [\"e1\"]}");
        expect(stage, BEAT("\"$N-east\"", "\"e9\""), "{\"result\": true}");
        expect_refusal(stage, BEAT("\"$N-west\"", "\"w9\""), "registers at its own");
        wait_hosts(stage, "{\"result\": [\"e1\", \"e9\"]}");
}

static void
test_the_agent_beats_by_message(void)
{
        g_autoptr(Stage) stage = set_up("agent", true);
        if (stage == NULL)
                return;
        g_autofree char *conf = NULL;
        g_assert_true(g_file_get_contents(stage->conf_path, &conf, NULL, NULL));
        g_auto(GStrv) parts = g_strsplit(conf, "[broker]", 2);
        g_autofree char *defaults =
            stage_text(stage, "[DEFAULT]\ncluster = $N-east\nhost = e1\nheartbeat_via = amqp\n[broker]");
        g_autofree char *text = g_strconcat(defaults, parts[1], NULL);
        g_autofree char *path = live_write_file("agent.conf", text);
        const char *argv[] = {"cluster-agent", "-c", path, NULL};
        g_autoptr(Program) agent = program_start(argv);
        program_wait_line(agent, "heartbeats arrive in the router", DEADLINE_MS);
        wait_hosts(stage, "{\"result\": [\"e1\"]}");
        program_signal(agent, SIGTERM);
        g_assert_cmpint(program_wait_exit(agent, DEADLINE_MS), ==, 0);
        wait_hosts(stage, "{\"result\": []}");
        live_remove_file(g_steal_pointer(&path));
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
#define TEST(name, function) g_test_add_func("/control/" name, test_##function)
        TEST("usable-hosts-are-told", usable_hosts_are_told);
        TEST("an-oslo-caller-gets-an-oslo-reply", an_oslo_caller_gets_an_oslo_reply);
        TEST("a-host-comes-and-goes-by-message", a_host_comes_and_goes_by_message);
        TEST("without-redis-the-router-keeps-it", without_redis_the_router_keeps_it);
        TEST("what-is-wrong-is-refused-and-counted", what_is_wrong_is_refused_and_counted);
        TEST("a-clusters-own-broker-serves-that-cluster", a_clusters_own_broker_serves_that_cluster);
        TEST("the-agent-beats-by-message", the_agent_beats_by_message);
        return g_test_run();
}
