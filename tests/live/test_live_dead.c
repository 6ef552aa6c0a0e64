/* SPDX-License-Identifier: MIT */
#include "tests/support/live.h"
#include "tests/support/stage.h"

#include <signal.h>
#include <string.h>

/* Dead and parked messages: seen, shown without secrets, put back, deleted; never lost. */

static const char CONF[] =
    "[east]\ncluster_member_ips = e\n[south]\ncluster_member_ips = s\nstate = drain\n"
    "[route:$N]\nqueue = $N\ncluster_from = header:cluster\n"
    "destination = queue:{queue}.{cluster}\non_no_cluster = dead\non_unknown_cluster = dead\n";

static const char SECRET[] =
    "{\"oslo.version\": \"2.0\", \"oslo.message\": \"{\\\"method\\\": \\\"create_volume\\\", \\\"args\\\": "
    "{\\\"admin_password\\\": \\\"hidden1\\\"}, \\\"_context_auth_token\\\": \\\"hidden2\\\", "
    "\\\"_context_service_catalog\\\": [{\\\"url\\\": \\\"hidden3\\\"}], \\\"_context_user\\\": "
    "\\\"admin\\\"}\"}";

enum { EXIT_INTERRUPTED = 130 };

static GPtrArray *
make_argv(Stage *stage, const char *line)
{
        g_autofree char *whole = g_strdup_printf("clusterctl -c %s -o json %s", stage->conf_path, line);
        g_auto(GStrv) words = g_strsplit(whole, " ", -1);
        GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);

        for (char **word = words; *word; word++)
                g_ptr_array_add(argv, g_strdup(*word));
        g_ptr_array_add(argv, NULL);
        return argv;
}

/* Runs clusterctl with the words of @line; what it printed is the caller's. */
static char *
run(Stage *stage, const char *line, int expect_status)
{
        g_autoptr(GPtrArray) argv = make_argv(stage, line);
        g_autofree char *errors = NULL;
        char *out = NULL;
        int status = program_run((const char *const *)argv->pdata, &out, &errors);

        if (status != expect_status)
                g_error("clusterctl %s: status %d instead of %d: %s", line, status, expect_status, errors);
        return out;
}

static json_t *
run_json(Stage *stage, const char *line, int expect_status)
{
        g_autofree char *out = run(stage, line, expect_status);
        json_t *document = json_loads(out, 0, NULL);

        g_assert_nonnull(document);
        return document;
}

static int64_t
number_of(const json_t *document, const char *key)
{
        g_assert_true(json_is_integer(json_object_get(document, key)));
        return json_integer_value(json_object_get(document, key));
}

/* Compares some numbers of the answer, written "replayed=2 left=1". */
static void
check(Stage *stage, const char *line, int expect_status, const char *numbers)
{
        json_t *document = run_json(stage, line, expect_status);
        g_auto(GStrv) items = g_strsplit(numbers, " ", -1);

        for (char **item = items; *item; item++) {
                g_auto(GStrv) pair = g_strsplit(*item, "=", 2);

                g_test_message("%s: %s", line, *item);
                g_assert_cmpint(number_of(document, pair[0]), ==, g_ascii_strtoll(pair[1], NULL, 10));
        }
        json_decref(document);
}

/* A stage with a router, and @dead messages in its dead queue: of no cluster, or of the one named. */
static Stage *
prepare(const char *name, unsigned dead, const char *cluster_or_null)
{
        Stage *stage = stage_new(name);

        if (stage == NULL)
                return NULL;
        stage_run(stage, CONF);
        for (unsigned i = 0; i < dead; i++) {
                g_autofree char *body = g_strdup_printf("%u", i);

                stage_send(stage, "$N", cluster_or_null, body);
        }
        stage_wait_count(stage, "cluster-router.$N.dead", dead);
        return stage;
}

static void
test_list_groups_and_leaves_all_in_place(void)
{
        g_autoptr(Stage) stage = prepare("dead-list", 3, NULL);

        if (stage == NULL)
                return;
        stage_send(stage, "$N", "nowhere", SECRET);
        stage_wait_count(stage, "cluster-router.$N.dead", 4);

        json_t *first = run_json(stage, "dead list --each", 0);
        json_t *again = run_json(stage, "dead list --each", 0);
        const json_t *groups = json_object_get(first, "groups");
        const json_t *last = json_array_get(groups, 1);

        g_assert_cmpuint(json_array_size(groups), ==, 2);
        g_assert_cmpint(number_of(json_array_get(groups, 0), "messages"), ==, 3);
        g_assert_cmpstr(json_string_value(json_object_get(last, "reason")), ==, "unknown_cluster");
        g_assert_cmpstr(json_string_value(json_object_get(last, "cluster")), ==, "nowhere");
        g_assert_cmpstr(json_string_value(json_object_get(last, "method")), ==, "create_volume");
        for (size_t i = 0; i < 4; i++)
                g_assert_true(
                    json_equal(json_object_get(json_array_get(json_object_get(first, "messages"), i), "id"),
                               json_object_get(json_array_get(json_object_get(again, "messages"), i), "id")));
        json_decref(first);
        json_decref(again);
        stage_wait_count(stage, "cluster-router.$N.dead", 4);
        stage_expect(stage, "cluster-router.$N.dead", "0");
}

static void
test_show_hides_secrets_unless_raw(void)
{
        g_autoptr(Stage) stage = prepare("dead-show", 0, NULL);

        if (stage == NULL)
                return;
        stage_send(stage, "$N", "nowhere", SECRET);
        stage_wait_count(stage, "cluster-router.$N.dead", 1);

        json_t *list = run_json(stage, "dead list", 0);
        const json_t *group = json_array_get(json_object_get(list, "groups"), 0);
        g_autofree char *line =
            g_strdup_printf("dead show %s", json_string_value(json_object_get(group, "id")));
        g_autofree char *raw_line = g_strconcat(line, " --raw", NULL);
        g_autofree char *shown = run(stage, line, 0);
        g_autofree char *raw = run(stage, raw_line, 0);

        g_assert_null(strstr(shown, "hidden"));
        g_assert_nonnull(strstr(shown, "\"_context_user\": \"admin\""));
        g_assert_nonnull(strstr(raw, "hidden1"));
        g_assert_nonnull(strstr(raw, "hidden2"));
        g_assert_nonnull(strstr(raw, "hidden3"));
        json_decref(list);
        g_free(run(stage, "dead show 0000", 65));
        stage_wait_count(stage, "cluster-router.$N.dead", 1);
}

static void
test_replay_goes_home_without_our_headers(void)
{
        g_autoptr(Stage) stage = prepare("dead-home", 0, NULL);
        g_autoptr(ClientMessage) message = NULL;
        static const char *const ours[] = {"x-router-reason", "x-router-time",     "x-router-route",
                                           "x-router-key",    "x-router-exchange", "x-router-attempt"};

        if (stage == NULL)
                return;
        client_declare_exchange(stage->client, stage->name, "topic");
        client_bind(stage->client, stage->name, stage->name, "a.#");
        client_publish(stage->client, stage->name, "a.b", NULL, amqp_cstring_bytes("home"));
        stage_wait_count(stage, "cluster-router.$N.dead", 1);
        stage_stop(stage);
        check(stage, "dead replay --dry-run", 0, "replayed=1 left=1");
        stage_wait_count(stage, "cluster-router.$N.dead", 1);
        check(stage, "dead replay", 0, "replayed=1 left=0");
        message = stage_take(stage, "$N");
        g_assert_cmpstr(message->exchange, ==, stage->name);
        g_assert_cmpstr(message->key, ==, "a.b");
        for (size_t i = 0; i < G_N_ELEMENTS(ours); i++)
                g_assert_null(client_message_header(message, ours[i]));
        g_assert_cmpuint(stage_count(stage, "cluster-router.$N.dead"), ==, 0);
}

static void
test_replay_to_router_does_not_cycle(void)
{
        g_autoptr(Stage) stage = prepare("dead-cycle", 20, NULL);

        if (stage == NULL)
                return;
        check(stage, "dead replay --to router", 0, "messages=20 replayed=20 left=0");
        stage_wait_number(stage, "$N", "reasons/no_cluster", 40);
        stage_wait_count(stage, "cluster-router.$N.dead", 20);
}

static void
test_filters_skip_and_keep_order(void)
{
        g_autoptr(Stage) stage = prepare("dead-filter", 3, NULL);

        if (stage == NULL)
                return;
        stage_send(stage, "$N", "nowhere", "x");
        stage_wait_count(stage, "cluster-router.$N.dead", 4);
        stage_stop(stage);
        check(stage, "dead replay --reason bad_message", 0, "replayed=0 not_selected=4");
        check(stage, "dead replay --older 1h", 0, "replayed=0 not_selected=4");
        check(stage, "dead replay --cluster nowhere --to router", 0, "replayed=1 not_selected=3 left=3");
        stage_expect(stage, "$N", "x");
        stage_wait_count(stage, "cluster-router.$N.dead", 3);
        for (unsigned i = 0; i < 3; i++) {
                g_autofree char *body = g_strdup_printf("%u", i);

                stage_expect(stage, "cluster-router.$N.dead", body);
        }
}

static void
test_expired_and_unroutable_stay(void)
{
        g_autoptr(Stage) stage = prepare("dead-stay", 0, NULL);
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_EXPIRATION_FLAG,
                                              .expiration = amqp_cstring_bytes("50")};

        if (stage == NULL)
                return;
        client_publish(stage->client, "", stage->name, &properties, amqp_cstring_bytes("late"));
        stage_send(stage, "$N", NULL, "nowhere to go");
        stage_wait_count(stage, "cluster-router.$N.dead", 2);
        stage_stop(stage);
        stage_delete(stage, "$N");
        g_usleep(60 * 1000); /* the expiration itself */
        check(stage, "dead replay", 1, "replayed=0 expired=1 unroutable=1 left=2");
        stage_wait_count(stage, "cluster-router.$N.dead", 2);
}

/* What a job that is broken off has published is gone from the dead queue, and the rest is there. */
static void
test_interrupted_replay_loses_nothing(void)
{
        enum { MESSAGES = 400 };
        g_autoptr(Stage) stage = prepare("dead-break", MESSAGES, NULL);
        g_autoptr(GPtrArray) argv = NULL;
        g_autoptr(Program) program = NULL;
        g_autofree char *log = NULL;

        if (stage == NULL)
                return;
        stage_stop(stage);
        g_assert_cmpuint(stage_count(stage, "$N"), ==, 0);
        argv = make_argv(stage, "dead replay --to router --rate 100/s");
        program = program_start((const char *const *)argv->pdata);
        while (stage_count(stage, "$N") < 20)
                g_usleep(5000);
        program_signal(program, SIGINT);
        g_assert_cmpint(program_wait_exit(program, 20000), ==, EXIT_INTERRUPTED);
        log = program_log(program);
        g_assert_nonnull(strstr(log, "\"interrupted\": true")); /* the signal itself did not end it */

        uint32_t replayed = stage_count(stage, "$N");

        g_assert_cmpuint(replayed, <, MESSAGES);
        stage_wait_count(stage, "cluster-router.$N.dead", MESSAGES - replayed);
        program_free(g_steal_pointer(&program));

        /* kill -9: at worst a copy, never a loss. */
        program = program_start((const char *const *)argv->pdata);
        while (stage_count(stage, "$N") < replayed + 20)
                g_usleep(5000);
        program_signal(program, SIGKILL);
        program_wait_exit(program, 20000);
        check(stage, "dead replay --to router", 0, "left=0");
        g_assert_cmpuint(stage_count(stage, "$N"), >=, MESSAGES);
        g_assert_cmpuint(stage_count(stage, "$N"), <=, MESSAGES + 256);
}

static void
test_purge_asks_and_deletes_what_is_meant(void)
{
        g_autoptr(Stage) stage = prepare("dead-purge", 2, NULL);

        if (stage == NULL)
                return;
        stage_send(stage, "$N", "nowhere", "x");
        stage_wait_count(stage, "cluster-router.$N.dead", 3);
        check(stage, "dead purge --dry-run", 0, "deleted=3 left=3");
        check(stage, "dead purge --yes --reason no_cluster", 0, "deleted=2 left=1");
        stage_wait_count(stage, "cluster-router.$N.dead", 1);
        check(stage, "dead purge --yes", 0, "deleted=1 left=0");
}

static void
test_parked_are_counted_with_reason_and_age(void)
{
        g_autoptr(Stage) stage = prepare("parked", 0, NULL);

        if (stage == NULL)
                return;
        for (unsigned i = 0; i < 3; i++)
                stage_send(stage, "$N", "south", "wait");
        stage_wait_count(stage, "cluster-router.$N.parked.south", 3);

        json_t *document = run_json(stage, "parked list", 0);
        const json_t *rows = json_object_get(document, "parked");
        const json_t *row = json_array_get(rows, 0);

        g_assert_cmpuint(json_array_size(rows), ==, 1);
        g_assert_cmpstr(json_string_value(json_object_get(row, "cluster")), ==, "south");
        g_assert_cmpstr(json_string_value(json_object_get(row, "reason")), ==, "cluster_drained");
        g_assert_cmpint(number_of(row, "messages"), ==, 3);
        g_assert_cmpint(number_of(row, "oldest_s"), <, 60);
        json_decref(document);
        stage_wait_count(stage, "cluster-router.$N.parked.south", 3);
}

static void
test_broker_that_is_away_is_named(void)
{
        static const char *const lines[] = {"dead list", "dead show 12345678", "dead replay",
                                            "dead purge --yes", "parked list"};
        g_autoptr(Stage) stage = stage_new("dead-away");

        if (stage == NULL)
                return;
        g_free(stage->url);
        stage->url = g_strdup_printf("amqp://user:hidden@127.0.0.1:%u/", live_free_port());
        stage_configure(stage, CONF);
        for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
                g_autoptr(GPtrArray) argv = make_argv(stage, lines[i]);
                g_autofree char *out = NULL;
                g_autofree char *errors = NULL;

                g_assert_cmpint(program_run((const char *const *)argv->pdata, &out, &errors), ==, 69);
                g_assert_cmpstr(out, ==, "");
                g_assert_nonnull(strstr(errors, "amqp://user:***@127.0.0.1:"));
                g_assert_null(strstr(errors, "hidden"));
        }
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/dead/list-groups-and-leaves-all-in-place",
                        test_list_groups_and_leaves_all_in_place);
        g_test_add_func("/dead/show-hides-secrets-unless-raw", test_show_hides_secrets_unless_raw);
        g_test_add_func("/dead/replay-goes-home-without-our-headers",
                        test_replay_goes_home_without_our_headers);
        g_test_add_func("/dead/replay-to-router-does-not-cycle", test_replay_to_router_does_not_cycle);
        g_test_add_func("/dead/filters-skip-and-keep-order", test_filters_skip_and_keep_order);
        g_test_add_func("/dead/expired-and-unroutable-stay", test_expired_and_unroutable_stay);
        g_test_add_func("/dead/interrupted-replay-loses-nothing", test_interrupted_replay_loses_nothing);
        g_test_add_func("/dead/purge-asks-and-deletes-what-is-meant",
                        test_purge_asks_and_deletes_what_is_meant);
        g_test_add_func("/parked/counted-with-reason-and-age", test_parked_are_counted_with_reason_and_age);
        g_test_add_func("/dead/broker-that-is-away-is-named", test_broker_that_is_away_is_named);
        return g_test_run();
}
