/* SPDX-License-Identifier: MIT */
#include "tests/live/operator.h"

#include <signal.h>

/* What `config check --against-running` says a reload would do is what the reload does. */

enum { DEADLINE_MS = 20000 };

static const char BEFORE[] = "[east]\ncluster_member_ips = e1\n[west]\ncluster_member_ips = w1\n"
                             "[route:$N-a]\nqueue = $N-a\ncluster_from = header:cluster\n"
                             "destination = queue:{queue}.{cluster}\n"
                             "[route:$N-b]\nqueue = $N-b\ncluster_from = header:cluster\n"
                             "destination = queue:{queue}.{cluster}\n";
/* A route with another prefetch, one as it was, one new; clusters changed, gone and new; HTTP elsewhere. */
static const char AFTER[] =
    "[broker]\nurl = %s\n[http]\nlisten = 127.0.0.1:%u\n[DEFAULT]\nstate_dir = %s/other\n"
    "[east]\ncluster_member_ips = e1, e2\n[north]\ncluster_member_ips = n1\n"
    "[route:$N-a]\nqueue = $N-a\nprefetch = 7\ncluster_from = header:cluster\n"
    "destination = queue:{queue}.{cluster}\n"
    "[route:$N-b]\nqueue = $N-b\ncluster_from = header:cluster\n"
    "destination = queue:{queue}.{cluster}\n"
    "[route:$N-c]\nqueue = $N-c\ncluster_from = header:cluster\n"
    "destination = queue:{queue}.{cluster}\n";

static const char *
text_of(const json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));

        return text ? text : "";
}

/* Of the row whose @key is @name, what stands at @wanted. */
static const char *
say(const json_t *diff, const char *list, const char *key, const char *name, const char *wanted)
{
        const json_t *row;
        size_t i;

        json_array_foreach(json_object_get(diff, list), i, row)
        {
                if (strcmp(text_of(row, key), name) == 0)
                        return text_of(row, wanted);
        }
        return NULL;
}

static const char *
effect_on_route(const Stage *stage, const json_t *diff, const char *suffix)
{
        g_autofree char *name = g_strdup_printf("%s-%s", stage->name, suffix);

        return say(diff, "routes", "route", name, "effect");
}

static void
check_diff(const Stage *stage, const json_t *diff)
{
        g_assert_false(json_is_true(json_object_get(diff, "identical")));
        g_assert_cmpstr(effect_on_route(stage, diff, "a"), ==, "restarts");
        g_assert_cmpstr(effect_on_route(stage, diff, "b"), ==, "unchanged");
        g_assert_cmpstr(effect_on_route(stage, diff, "c"), ==, "new");
        g_assert_cmpstr(say(diff, "clusters", "cluster", "east", "effect"), ==, "changed");
        g_assert_cmpstr(say(diff, "clusters", "cluster", "west", "effect"), ==, "removed");
        g_assert_cmpstr(say(diff, "clusters", "cluster", "north", "effect"), ==, "new");
        g_assert_cmpstr(say(diff, "changes", "key", "prefetch", "before"), ==, "500");
        g_assert_cmpstr(say(diff, "changes", "key", "prefetch", "after"), ==, "7");
        g_assert_cmpstr(say(diff, "changes", "key", "listen", "takes"), ==, "reload");
        g_assert_cmpuint(json_array_size(json_object_get(diff, "restart")), ==, 1);
        g_assert_cmpstr(json_string_value(json_array_get(json_object_get(diff, "restart"), 0)), ==,
                        "state_dir");
}

static unsigned
count_in_log(const Stage *stage, const char *suffix)
{
        g_autofree char *line = g_strdup_printf("route %s-%s: consuming", stage->name, suffix);
        g_autofree char *log = program_log(stage->router);
        unsigned count = 0;

        for (const char *at = log; (at = strstr(at, line)); at++)
                count++;
        return count;
}

static json_t *
diff_of(const Stage *stage, const char *path)
{
        json_t *document =
            parse_said(RUN_CTL(stage, 0, "config", "check", path, "--against-running", "-ojson"));
        json_t *diff = json_incref(json_object_get(document, "against_running"));

        json_decref(document);
        return diff;
}

/* Puts the file at @path in force. */
static void
reload_with(Stage *stage, const char *path, uint16_t port)
{
        g_autofree char *text = NULL;

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        g_assert_true(g_file_set_contents(stage->conf_path, text, -1, NULL));
        program_signal(stage->router, SIGHUP);
        program_wait_line(stage->router, "reloaded", DEADLINE_MS);
        stage->http_port = port;
        stage_wait_ready(stage);
}

static void
test_reload_does_what_was_said(void)
{
        g_autoptr(Stage) stage = stage_new("against");

        if (stage == NULL)
                return;
        uint16_t port = live_free_port();
        g_autofree char *form = stage_text(stage, AFTER);
        g_autofree char *text = g_strdup_printf(form, stage->url, port, stage->directory);
        char *path = live_write_file("new.conf", text);

        stage_run(stage, BEFORE);

        json_t *diff = diff_of(stage, path);
        g_autofree char *said = RUN_CTL(stage, 0, "config", "check", path, "--against-running");

        check_diff(stage, diff);
        json_decref(diff);
        g_assert_nonnull(strstr(said, "-b goes on undisturbed"));
        g_assert_nonnull(strstr(said, "cluster east changes: cluster_member_ips"));
        g_assert_nonnull(strstr(said, "they need a restart: state_dir"));

        reload_with(stage, path, port);
        g_assert_cmpuint(count_in_log(stage, "a"), ==, 2);
        g_assert_cmpuint(count_in_log(stage, "b"), ==, 1);
        g_assert_cmpuint(count_in_log(stage, "c"), ==, 1);
        diff = diff_of(stage, path); /* it answers at its new address */
        g_assert_true(json_is_true(json_object_get(diff, "identical")));
        json_decref(diff);
        live_remove_file(path);
}

static void
configure_with_password(Stage *stage, const char *password)
{
        g_autofree char *text =
            g_strdup_printf("[east]\ncluster_member_ips = e\namqp_url = amqp://user:%s@127.0.0.1:1/x\n"
                            "[route:$N-a]\nqueue = $N-a\ncluster_from = header:cluster\ndestination = "
                            "queue:{queue}.{cluster}\n",
                            password);

        stage_configure(stage, text);
}

static void
test_password_shows_in_its_effect_alone(void)
{
        g_autoptr(Stage) stage = stage_new("against-secret");

        if (stage == NULL)
                return;
        configure_with_password(stage, "hidden");
        stage_start(stage);
        configure_with_password(stage, "other");

        json_t *diff = diff_of(stage, stage->conf_path);
        g_autofree char *body = NULL;

        g_assert_cmpuint(json_array_size(json_object_get(diff, "changes")), ==, 0);
        g_assert_cmpstr(effect_on_route(stage, diff, "a"), ==, "restarts");
        g_assert_cmpint(stage_get(stage, "/api/v1/config", &body), ==, 200);
        g_assert_null(strstr(body, "hidden"));
        json_decref(diff);
}

static void
test_without_a_router_it_tells_where_it_looked(void)
{
        g_autoptr(Stage) stage = stage_new("against-none");

        if (stage == NULL)
                return;
        stage_configure(stage, BEFORE);
        g_autofree char *said = RUN_CTL(stage, 69, "config", "check", "--against-running");
        g_assert_nonnull(strstr(said, "no router answers at http://127.0.0.1:"));
        g_assert_nonnull(strstr(said, ": ok\n"));
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/config/reload-does-what-was-said", test_reload_does_what_was_said);
        g_test_add_func("/config/password-shows-in-its-effect-alone",
                        test_password_shows_in_its_effect_alone);
        g_test_add_func("/config/without-a-router-it-tells-where-it-looked",
                        test_without_a_router_it_tells_where_it_looked);
        return g_test_run();
}
