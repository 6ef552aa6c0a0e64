/* SPDX-License-Identifier: MIT */
#include "tests/support/client.h"
#include "tests/support/live.h"
#include "tests/support/program.h"

#include <signal.h>
#include <string.h>

/* The helpers of the live tests, tried on what they are for: a helper that lies makes every test lie. */

enum { DEADLINE_MS = 10000, MANY = 3000 };

static const char QUEUE[] = "live-support";

/* A client and an empty queue, or NULL if there is no broker. */
static Client *
open_client(void)
{
        const char *url = live_env("AMQP_URL");
        Client *client = NULL;

        if (url == NULL)
                return NULL;
        client = client_new(url);
        client_delete_queue(client, QUEUE);
        client_declare_queue(client, QUEUE, NULL);
        return client;
}

static void
test_message_comes_back_whole(void)
{
        g_autoptr(Client) client = open_client();
        g_autoptr(ClientMessage) message = NULL;
        g_autofree char *cluster = NULL;
        g_autofree char *body = NULL;

        if (client == NULL)
                return;
        client_publish_text(client, QUEUE, "east", "{\"a\": 1}");
        client_confirm(client);
        message = client_get(client, QUEUE);
        g_assert_nonnull(message);
        cluster = client_message_header_text(message, "cluster");
        body = client_message_body(message);
        g_assert_cmpstr(cluster, ==, "east");
        g_assert_cmpstr(body, ==, "{\"a\": 1}");
        g_assert_cmpstr(message->key, ==, QUEUE);
        g_assert_cmpstr(message->exchange, ==, "");
        g_assert_false(message->redelivered);
        g_assert_null(client_message_header(message, "clusters"));
        g_assert_null(client_get(client, QUEUE));
}

static void
test_count_tells_missing_from_empty(void)
{
        g_autoptr(Client) client = open_client();
        uint32_t messages = 7, consumers = 7;

        if (client == NULL)
                return;
        g_assert_false(client_count(client, "live-support-missing", NULL, NULL));
        g_assert_true(client_count(client, QUEUE, &messages, &consumers));
        g_assert_cmpuint(messages, ==, 0);
        g_assert_cmpuint(consumers, ==, 0);
}

static void
test_confirms_cover_all_that_was_sent(void)
{
        g_autoptr(Client) client = open_client();
        uint32_t messages = 0;

        if (client == NULL)
                return;
        for (unsigned i = 0; i < MANY; i++)
                client_publish_text(client, i % 2 == 0 ? QUEUE : "live-support-missing", NULL, "x");
        client_confirm(client);
        g_assert_true(client_count(client, QUEUE, &messages, NULL));
        g_assert_cmpuint(messages, ==, MANY / 2);
        client_purge_queue(client, QUEUE);
        g_assert_null(client_get(client, QUEUE));
}

static void
test_consumer_sees_order_and_redelivery(void)
{
        g_autoptr(Client) sender = open_client();
        g_autoptr(ClientMessage) again = NULL;

        if (sender == NULL)
                return;
        client_publish_text(sender, QUEUE, NULL, "first");
        client_publish_text(sender, QUEUE, NULL, "second");
        client_confirm(sender);
        {
                g_autoptr(Client) consumer = client_new(g_getenv("AMQP_URL"));
                g_autoptr(ClientMessage) first = NULL;
                g_autoptr(ClientMessage) second = NULL;
                g_autofree char *body = NULL;

                client_consume(consumer, QUEUE, 10);
                first = client_next(consumer, DEADLINE_MS);
                second = client_next(consumer, DEADLINE_MS);
                g_assert_nonnull(first);
                g_assert_nonnull(second);
                body = client_message_body(first);
                g_assert_cmpstr(body, ==, "first");
                client_ack(consumer, first);
                g_assert_null(client_next(consumer, 50));
        }
        again = client_get(sender, QUEUE);
        g_assert_nonnull(again);
        g_assert_true(again->redelivered);
}

static void
test_program_log_signal_and_status(void)
{
        static const char *const script[] = {
            "sh", "-c", "trap 'echo got it >&2; exit 5' USR1; echo ready; while :; do sleep 0.05; done",
            NULL};
        g_autoptr(Program) program = program_start(script);

        program_wait_line(program, "ready", DEADLINE_MS);
        g_assert_true(program_is_running(program));
        program_signal(program, SIGUSR1);
        program_wait_line(program, "got it", DEADLINE_MS);
        g_assert_cmpint(program_wait_exit(program, DEADLINE_MS), ==, 5);
}

static void
test_program_ended_by_signal_says_so(void)
{
        static const char *const script[] = {"sleep", "100", NULL};
        g_autoptr(Program) program = program_start(script);

        program_signal(program, SIGKILL);
        g_assert_cmpint(program_wait_exit(program, DEADLINE_MS), ==, 128 + SIGKILL);
}

static void
test_run_keeps_outputs_apart(void)
{
        static const char *const script[] = {"sh", "-c", "echo out; echo err >&2; exit 3", NULL};
        g_autofree char *output = NULL;
        g_autofree char *errors = NULL;

        g_assert_cmpint(program_run(script, &output, &errors), ==, 3);
        g_assert_cmpstr(output, ==, "out\n");
        g_assert_cmpstr(errors, ==, "err\n");
}

static void
test_file_and_silence_at_a_free_port(void)
{
        g_autofree char *url = g_strdup_printf("http://127.0.0.1:%u/", live_free_port());
        g_autofree char *copy = NULL;
        char *path = live_write_file("a.conf", "[DEFAULT]\n");

        g_assert_true(g_file_get_contents(path, &copy, NULL, NULL));
        g_assert_cmpstr(copy, ==, "[DEFAULT]\n");
        live_remove_file(path);
        g_assert_cmpint(live_http_get(url, NULL), ==, 0);
        g_assert_null(live_http_json(url));
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/support/message-comes-back-whole", test_message_comes_back_whole);
        g_test_add_func("/support/count-tells-missing-from-empty", test_count_tells_missing_from_empty);
        g_test_add_func("/support/confirms-cover-all-that-was-sent", test_confirms_cover_all_that_was_sent);
        g_test_add_func("/support/consumer-sees-order-and-redelivery",
                        test_consumer_sees_order_and_redelivery);
        g_test_add_func("/support/program-log-signal-and-status", test_program_log_signal_and_status);
        g_test_add_func("/support/program-ended-by-signal-says-so", test_program_ended_by_signal_says_so);
        g_test_add_func("/support/run-keeps-outputs-apart", test_run_keeps_outputs_apart);
        g_test_add_func("/support/file-and-silence-at-a-free-port", test_file_and_silence_at_a_free_port);
        return g_test_run();
}
