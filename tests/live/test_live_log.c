/* SPDX-License-Identifier: MIT */
#include "tests/support/live.h"
#include "tests/support/stage.h"

#include <jansson.h>
#include <string.h>

/*
 * What is logged of messages: enough to find them, and nothing of what stands in them. Every body here holds
 * a word that no line may hold, whatever becomes of the message and however much is logged.
 */

#define SECRET "geheim7c1e"
#define CONF                                                                                                 \
        "hold_time = 500ms\nretry_max = 200ms\n[east]\ncluster_member_ips = e\n[west]\ncluster_member_ips "  \
        "= w\n"                                                                                              \
        "state = drain\n[route:$N]\nqueue = $N\nprefetch = 20\ncluster_from = json:/cluster\n"               \
        "destination = queue:$N.{cluster}\n[route:$N-lost]\nqueue = $N-lost\ncluster_from = json:/cluster\n" \
        "destination = exchange:amq.direct/$N.nobody.{cluster}\n"

enum { DEADLINE_MS = 30000 };

static void
send_named(Stage *stage, const char *queue, const char *id, const char *body)
{
        g_autofree char *name = stage_text(stage, queue);
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_MESSAGE_ID_FLAG,
                                              .message_id = amqp_cstring_bytes(id)};

        client_publish(stage->client, "", name, &properties, amqp_cstring_bytes(body));
        client_confirm(stage->client);
}

static void
insert_default(const Stage *stage, const char *lines)
{
        g_autoptr(GError) error = NULL;
        g_autofree char *text = NULL;
        g_autofree char *whole = NULL;

        g_file_get_contents(stage->conf_path, &text, NULL, &error);
        g_assert_no_error(error);
        g_assert_true(g_str_has_prefix(text, "[DEFAULT]\n"));
        whole = g_strdup_printf("[DEFAULT]\n%s%s", lines, text + strlen("[DEFAULT]\n"));
        g_file_set_contents(stage->conf_path, whole, -1, &error);
        g_assert_no_error(error);
}

/* One message for each fate, and all that a router does besides; its whole log. */
static char *
run_all(Stage *stage, const char *default_lines)
{
        char *log;

        stage_configure(stage, CONF);
        insert_default(stage, default_lines);
        g_setenv("G_MESSAGES_DEBUG", "all", TRUE);
        stage_start(stage);
        g_unsetenv("G_MESSAGES_DEBUG");
        send_named(stage, "$N", "delivered", "{\"cluster\": \"east\", \"token\": \"" SECRET "\"}");
        send_named(stage, "$N", "broken", "{\"cluster\": \"" SECRET);
        send_named(stage, "$N", "un\"known\n2", "{\"cluster\": \"" SECRET "\"}");
        send_named(stage, "$N", "parked", "{\"cluster\": \"west\", \"token\": \"" SECRET "\"}");
        send_named(stage, "$N-lost", "lost", "{\"cluster\": \"east\", \"token\": \"" SECRET "\"}");
        stage_wait_number(stage, "$N", "dead", 2);
        stage_wait_number(stage, "$N", "parked_now", 1);
        stage_wait_number(stage, "$N-lost", "parked_now", 1);
        stage_wait_count(stage, "$N.east", 1);
        program_signal(stage->router, SIGTERM);
        g_assert_cmpint(program_wait_exit(stage->router, DEADLINE_MS), ==, 0);
        log = program_log(stage->router);
        g_assert_nonnull(strstr(log, "consuming"));
        return log;
}

static void
test_no_body_is_in_any_line(void)
{
        g_autoptr(Stage) stage = stage_new("log");
        g_autofree char *log = NULL;

        if (stage == NULL)
                return;
        log = run_all(stage, "");
        g_assert_null(strstr(log, SECRET));
        g_assert_nonnull(strstr(log, "a message went to the dead queue (bad_message) [message broken]"));
        g_assert_nonnull(strstr(log, "(unknown_cluster) [message un\\\"known\\n2]"));
        g_assert_nonnull(strstr(log, "a message is parked alone (unroutable) [message lost]"));
}

static bool
has(const json_t *line, const char *key, const char *value)
{
        return g_strcmp0(json_string_value(json_object_get(line, key)), value) == 0;
}

static void
test_json_lines_say_what_they_are_about(void)
{
        g_autoptr(Stage) stage = stage_new("log-json");
        g_autofree char *log = NULL;
        g_auto(GStrv) lines = NULL;
        unsigned broken = 0, lost = 0;

        if (stage == NULL)
                return;
        log = run_all(stage, "log_format = json\n");
        g_assert_null(strstr(log, SECRET));
        lines = g_strsplit(log, "\n", -1);
        for (char **text = lines; *text != NULL && **text != '\0'; text++) {
                json_t *line = json_loads(*text, 0, NULL);

                if (line == NULL)
                        g_error("no JSON: %s", *text);
                g_assert_nonnull(json_string_value(json_object_get(line, "time")));
                g_assert_nonnull(json_string_value(json_object_get(line, "level")));
                g_assert_nonnull(json_string_value(json_object_get(line, "message")));
                broken += has(line, "message_id", "broken") && has(line, "reason", "bad_message") &&
                          has(line, "route", stage->name) && json_object_get(line, "cluster") == NULL;
                lost += has(line, "message_id", "lost") && has(line, "reason", "unroutable") &&
                        has(line, "cluster", "east");
                json_decref(line);
        }
        g_assert_cmpuint(broken, ==, 1);
        g_assert_cmpuint(lost, >=, 1);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/log/no-body-is-in-any-line", test_no_body_is_in_any_line);
        g_test_add_func("/log/json-lines-say-what-they-are-about", test_json_lines_say_what_they_are_about);
        return g_test_run();
}
