/* SPDX-License-Identifier: MIT */
#include "tests/support/stage.h"

#include "tests/support/live.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/*
 * A stage's name is the test's, the process id and a number, since tests run again on the same servers. All
 * waiting ends with the state that is waited for; the deadline is only for a test that fails.
 */

enum { DEADLINE_MS = 30000 };

static char *
unique_name(const char *name)
{
        return g_strdup_printf("%s-%d-%x", name, getpid(), g_random_int());
}

static Stage *
new_stage(const char *name, const char *url)
{
        g_autoptr(GError) error = NULL;
        Stage *stage = g_new0(Stage, 1);

        stage->name = unique_name(name);
        stage->url = g_strdup(url);
        stage->directory = g_dir_make_tmp("cluster-router-test-XXXXXX", &error);
        g_assert_no_error(error);
        stage->conf_path = g_build_filename(stage->directory, "router.conf", NULL);
        stage->http_port = live_free_port();
        return stage;
}

Stage *
stage_new_at(const char *name, const char *variable)
{
        const char *url = live_env(variable);

        return url != NULL ? new_stage(name, url) : NULL;
}

Stage *
stage_new(const char *name)
{
        Stage *stage = stage_new_at(name, "AMQP_URL");

        if (stage != NULL)
                stage->client = client_new(stage->url);
        return stage;
}

static void
remove_tree(const char *path)
{
        g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
        const char *name = NULL;

        while (directory != NULL && (name = g_dir_read_name(directory)) != NULL) {
                g_autofree char *inside = g_build_filename(path, name, NULL);

                remove_tree(inside);
        }
        g_remove(path);
}

void
stage_free(Stage *stage)
{
        if (stage == NULL)
                return;
        program_free(stage->router);
        client_free(stage->client);
        remove_tree(stage->directory);
        g_free(stage->directory);
        g_free(stage->conf_path);
        g_free(stage->url);
        g_free(stage->name);
        g_free(stage);
}

char *
stage_text(const Stage *stage, const char *text)
{
        g_auto(GStrv) parts = g_strsplit(text, "$N", -1);

        return g_strjoinv(stage->name, parts);
}

/* ---- the router ---- */

void
stage_configure(Stage *stage, const char *text)
{
        g_autofree char *own = stage_text(stage, text);
        g_autofree char *whole =
            g_strdup_printf("[DEFAULT]\nstate_dir = %s/state\n[http]\nlisten = 127.0.0.1:%u\n"
                            "[broker]\nurl = %s\n%s",
                            stage->directory, stage->http_port, stage->url, own);
        g_autoptr(GError) error = NULL;

        g_file_set_contents(stage->conf_path, whole, -1, &error);
        g_assert_no_error(error);
        g_assert_cmpint(g_chmod(stage->conf_path, 0600), ==, 0); /* it may hold a password */
}

void
stage_start_with(Stage *stage, const char *option_or_null)
{
        const char *const argv[] = {"cluster-routerd", "-c", stage->conf_path, option_or_null, NULL};

        program_free(stage->router);
        stage->router = program_start(argv);
}

static bool
is_ready(void *data)
{
        Stage *stage = data;

        if (!program_is_running(stage->router)) {
                g_autofree char *log = program_log(stage->router);

                g_error("the router ended before it was ready:\n%s", log);
        }
        return stage_get(stage, "/readyz", NULL) == 200;
}

void
stage_wait_ready(Stage *stage)
{
        if (!live_wait(DEADLINE_MS, is_ready, stage)) {
                g_autofree char *body = NULL;
                g_autofree char *log = program_log(stage->router);

                stage_get(stage, "/readyz", &body);
                g_error("the router is not ready: %s\nIts log:\n%s", body, log);
        }
}

void
stage_start(Stage *stage)
{
        stage_start_with(stage, NULL);
        stage_wait_ready(stage);
}

void
stage_run(Stage *stage, const char *text)
{
        stage_configure(stage, text);
        stage_start(stage);
}

void
stage_reload(Stage *stage, const char *text)
{
        stage_configure(stage, text);
        program_signal(stage->router, SIGHUP);
        program_wait_line(stage->router, "reloaded ", DEADLINE_MS);
}

void
stage_stop(Stage *stage)
{
        program_signal(stage->router, SIGTERM);
        g_assert_cmpint(program_wait_exit(stage->router, DEADLINE_MS), ==, 0);
        program_free(g_steal_pointer(&stage->router));
}

void
stage_kill(Stage *stage)
{
        program_signal(stage->router, SIGKILL);
        g_assert_cmpint(program_wait_exit(stage->router, DEADLINE_MS), ==, 128 + SIGKILL);
        program_free(g_steal_pointer(&stage->router));
}

/* ---- queues ---- */

void
stage_declare(Stage *stage, const char *queue)
{
        g_autofree char *name = stage_text(stage, queue);

        client_declare_queue(stage->client, name, NULL);
}

void
stage_declare_limited(Stage *stage, const char *queue, int64_t max_length)
{
        g_autofree char *name = stage_text(stage, queue);
        amqp_table_entry_t entries[] = {client_entry_int("x-max-length", max_length),
                                        client_entry_text("x-overflow", "reject-publish")};
        amqp_table_t arguments = {G_N_ELEMENTS(entries), entries};

        client_declare_queue(stage->client, name, &arguments);
}

void
stage_delete(Stage *stage, const char *queue)
{
        g_autofree char *name = stage_text(stage, queue);

        client_delete_queue(stage->client, name);
}

void
stage_send(Stage *stage, const char *queue, const char *cluster_or_null, const char *body)
{
        g_autofree char *name = stage_text(stage, queue);

        client_publish_text(stage->client, name, cluster_or_null, body);
        client_confirm(stage->client);
}

uint32_t
stage_count(Stage *stage, const char *queue)
{
        g_autofree char *name = stage_text(stage, queue);
        uint32_t messages = 0;

        client_count(stage->client, name, &messages, NULL);
        return messages;
}

typedef struct {
        Stage *stage;
        const char *name; /* queue or route */
        const char *key;
        int64_t wanted;
        int64_t found;
} Wait;

static bool
has_count(void *data)
{
        Wait *wait = data;

        wait->found = stage_count(wait->stage, wait->name);
        return wait->found == wait->wanted;
}

G_NORETURN static void
fail_waiting(const Wait *wait, const char *what)
{
        g_autofree char *log =
            wait->stage->router != NULL ? program_log(wait->stage->router) : g_strdup("(none)");
        g_autofree char *stats = NULL;

        stage_get(wait->stage, "/api/v1/stats", &stats);
        g_error("%s %s: %" G_GINT64_FORMAT " instead of %" G_GINT64_FORMAT "\nStatistics: %s\nLog:\n%s",
                wait->name, what, wait->found, wait->wanted, stats, log);
}

void
stage_wait_count(Stage *stage, const char *queue, uint32_t messages)
{
        Wait wait = {.stage = stage, .name = queue, .wanted = messages};

        if (!live_wait(DEADLINE_MS, has_count, &wait))
                fail_waiting(&wait, "messages");
}

typedef struct {
        Stage *stage;
        char *queue;
        ClientMessage *message;
} Take;

/* Not by counting first: the router may take it back for a while in between. */
static bool
has_taken(void *data)
{
        Take *take = data;

        if (client_count(take->stage->client, take->queue, NULL, NULL))
                take->message = client_get(take->stage->client, take->queue);
        return take->message != NULL;
}

ClientMessage *
stage_take(Stage *stage, const char *queue)
{
        g_autofree char *name = stage_text(stage, queue);
        Take take = {stage, name, NULL};
        Wait wait = {.stage = stage, .name = queue, .wanted = 1};

        if (!live_wait(DEADLINE_MS, has_taken, &take))
                fail_waiting(&wait, "messages");
        return take.message;
}

void
stage_expect(Stage *stage, const char *queue, const char *body)
{
        g_autoptr(ClientMessage) message = stage_take(stage, queue);
        g_autofree char *got = client_message_body(message);

        g_assert_cmpstr(got, ==, body);
}

/* ---- what the router says of itself ---- */

long
stage_get(Stage *stage, const char *path, char **out_body_or_null)
{
        g_autofree char *url = g_strdup_printf("http://127.0.0.1:%u%s", stage->http_port, path);

        return live_http_get(url, out_body_or_null);
}

static json_t *
find_row(const json_t *rows, const char *key, const char *name)
{
        size_t index = 0;
        json_t *row = NULL;

        json_array_foreach(rows, index, row)
        {
                if (g_strcmp0(json_string_value(json_object_get(row, key)), name) == 0)
                        return row;
        }
        return NULL;
}

json_t *
stage_route(Stage *stage, const char *route)
{
        g_autofree char *url = g_strdup_printf("http://127.0.0.1:%u/api/v1/stats", stage->http_port);
        g_autofree char *name = stage_text(stage, route);
        json_t *document = live_http_json(url);
        json_t *row = find_row(json_object_get(document, "routes"), "route", name);

        json_incref(row);
        json_decref(document);
        return row;
}

static const json_t *
find_value(const json_t *row, const char *key)
{
        g_auto(GStrv) parts = g_strsplit(key, "/", 3);

        if (g_str_equal(parts[0], "clusters"))
                return json_object_get(find_row(json_object_get(row, "clusters"), "cluster", parts[1]),
                                       parts[2]);
        if (g_str_equal(parts[0], "reasons"))
                return json_object_get(json_object_get(row, "reasons"), parts[1]);
        return json_object_get(row, key);
}

int64_t
stage_number(Stage *stage, const char *route, const char *key)
{
        json_t *row = stage_route(stage, route);
        const json_t *value = find_value(row, key);
        int64_t number = json_is_integer(value) ? json_integer_value(value) : -1;

        json_decref(row);
        return number;
}

static bool
has_number(void *data)
{
        Wait *wait = data;

        wait->found = stage_number(wait->stage, wait->name, wait->key);
        return wait->found == wait->wanted;
}

void
stage_wait_number(Stage *stage, const char *route, const char *key, int64_t value)
{
        Wait wait = {.stage = stage, .name = route, .key = key, .wanted = value};

        if (!live_wait(DEADLINE_MS, has_number, &wait))
                fail_waiting(&wait, key);
}

static bool
has_flow(void *data)
{
        Wait *wait = data;
        g_autofree char *key = g_strdup_printf("clusters/%s/flow", wait->name);
        json_t *row = stage_route(wait->stage, "$N");
        bool flows = g_strcmp0(json_string_value(find_value(row, key)), wait->key) == 0;

        json_decref(row);
        return flows;
}

void
stage_wait_flow(Stage *stage, const char *cluster, const char *flow)
{
        Wait wait = {.stage = stage, .name = cluster, .key = flow};

        if (!live_wait(DEADLINE_MS, has_flow, &wait))
                fail_waiting(&wait, flow);
}

bool
stage_balances(Stage *stage, const char *route)
{
        json_t *row = stage_route(stage, route);
        int64_t out = 0;
        int64_t in = json_integer_value(json_object_get(row, "in")) +
                     json_integer_value(json_object_get(row, "unparked_found")) +
                     json_integer_value(json_object_get(row, "taken_back"));

        for (const char *const *key =
                 (const char *const[]){"delivered", "dead", "expired", "parked_now", "in_flight", NULL};
             *key != NULL; key++)
                out += json_integer_value(json_object_get(row, *key));
        if (row == NULL || in != out) {
                g_autofree char *text = row != NULL ? json_dumps(row, 0) : g_strdup("no answer");

                g_test_message("the books are out of balance: %s", text);
        }
        json_decref(row);
        return row != NULL && in == out;
}
