/* SPDX-License-Identifier: MIT */
/*
 * The HTTP side on a loopback port, with a registry that knows the file alone: no server is needed.
 */
#include "conf/trouble.h"
#include "router/http.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <jansson.h>
#include <string.h>

typedef struct {
        Conf *conf;
        Stats *stats;
        Registry *registry;
        Recorder *recorder;
        Http *http;
        char *state_dir;
        uint16_t port;
} Fixture;

static uint16_t
free_port(void)
{
        g_autoptr(GSocketListener) listener = g_socket_listener_new();
        uint16_t port = g_socket_listener_add_any_inet_port(listener, NULL, NULL);

        g_socket_listener_close(listener);
        return port;
}

static void
set_up(Fixture *fixture, gconstpointer data)
{
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GError) error = NULL;

        fixture->port = free_port();
        fixture->state_dir = g_dir_make_tmp("test-http-XXXXXX", &error);
        g_assert_no_error(error);
        g_autofree char *text = g_strdup_printf("[DEFAULT]\n"
                                                "state_dir = %s\n"
                                                "[broker]\n"
                                                "url = amqp://guest:hidden-word@127.0.0.1:5672/%%2f\n"
                                                "[http]\n"
                                                "listen = 127.0.0.1:%u\n"
                                                "[east]\n"
                                                "cluster_member_ips = 10.0.0.1\n"
                                                "[route:volume]\n"
                                                "queue = work\n"
                                                "cluster_from = header:cluster\n"
                                                "destination = queue:{queue}.{cluster}\n",
                                                fixture->state_dir, fixture->port);
        fixture->conf = conf_parse("router.conf", text, strlen(text), errors);
        g_assert_cmpstr(errors->len ? errors->pdata[0] : NULL, ==, NULL);
        fixture->stats = stats_new();
        stats_set_conf(fixture->stats, fixture->conf);
        fixture->registry = registry_new(fixture->conf, NULL, NULL, &error);
        g_assert_no_error(error);
        fixture->recorder = recorder_new(g_get_monotonic_time());
        fixture->http = http_new(fixture->conf, fixture->stats, fixture->registry, fixture->recorder, &error);
        g_assert_no_error(error);
}

static void
remove_folder(const char *path)
{
        g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
        const char *name;

        while ((name = g_dir_read_name(dir))) {
                g_autofree char *file = g_build_filename(path, name, NULL);
                g_assert_cmpint(g_unlink(file), ==, 0);
        }
        g_assert_cmpint(g_rmdir(path), ==, 0);
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
        http_free(fixture->http);
        recorder_free(fixture->recorder);
        registry_free(fixture->registry);
        stats_free(fixture->stats);
        conf_unref(fixture->conf);
        remove_folder(fixture->state_dir);
        g_free(fixture->state_dir);
}

/* The whole answer to @request, until the connection ends. */
static char *
ask(const Fixture *fixture, const char *request)
{
        g_autoptr(GSocketClient) client = g_socket_client_new();
        g_autoptr(GError) error = NULL;
        GString *answer = g_string_new(NULL);
        char bytes[4096];
        gssize n;

        g_socket_client_set_timeout(client, 20);
        g_autoptr(GSocketConnection) connection =
            g_socket_client_connect_to_host(client, "127.0.0.1", fixture->port, NULL, &error);
        g_assert_no_error(error);
        g_output_stream_write_all(g_io_stream_get_output_stream(G_IO_STREAM(connection)), request,
                                  strlen(request), NULL, NULL, &error);
        g_assert_no_error(error);
        while ((n = g_input_stream_read(g_io_stream_get_input_stream(G_IO_STREAM(connection)), bytes,
                                        sizeof(bytes), NULL, NULL)) > 0)
                g_string_append_len(answer, bytes, n);
        return g_string_free(answer, FALSE);
}

static char *
get(const Fixture *fixture, const char *method, const char *path)
{
        g_autofree char *request = g_strdup_printf(
            "%s %s HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", method, path);

        return ask(fixture, request);
}

static void
assert_holds(const char *answer, const char *part)
{
        if (strstr(answer, part) == NULL)
                g_error("wanted \"%s\" in: %.2000s", part, answer);
}

static const char *
body_of(const char *answer)
{
        const char *end = strstr(answer, "\r\n\r\n");

        g_assert_nonnull(end);
        return end + strlen("\r\n\r\n");
}

static void
test_pages(Fixture *fixture, gconstpointer data)
{
        static const struct {
                const char *path;
                const char *type;
                const char *holds;
        } pages[] = {
            {"/healthz", "text/plain", "ok\n"},
            {"/metrics", "text/plain; version=0.0.4", "cluster_router_build_info{version="},
            {"/metrics?x=1", "text/plain; version=0.0.4",
             "cluster_router_cluster_usable{cluster=\"east\"} 1"},
            {"/api/v1/stats", "application/json", "\"route\":\"volume\""},
            {"/api/v1/status", "application/json", "\"state\":\"stopped\""},
            {"/api/v1/routes", "application/json", "\"queue\":\"work\""},
            {"/api/v1/clusters", "application/json", "\"cluster\":\"east\""},
            {"/api/v1/history", "application/json", "\"step_s\":10"},
            {"/", "text/html; charset=utf-8", "<title>cluster-router</title>"},
            {"/app.js", "text/javascript", "api/v1/history"},
            {"/charts.js", "text/javascript", "Dygraph"},
            {"/app.css", "text/css", "prefers-color-scheme"},
            {"/dygraph.js", "text/javascript", "Dygraph"},
            {"/dygraph.css", "text/css", "dygraph"},
            {"/icon.svg", "image/svg+xml", "<svg"},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(pages); i++) {
                g_autofree char *answer = get(fixture, "GET", pages[i].path);
                g_autofree char *type = g_strdup_printf("Content-Type: %s", pages[i].type);

                assert_holds(answer, "HTTP/1.1 200 ");
                assert_holds(answer, type);
                assert_holds(answer, "X-Content-Type-Options: nosniff\r\n");
                assert_holds(answer, "Referrer-Policy: no-referrer\r\n");
                assert_holds(answer, "Content-Security-Policy: default-src 'none';");
                g_assert_null(strstr(answer, "unsafe-inline"));
                assert_holds(body_of(answer), pages[i].holds);
                g_assert_null(strstr(answer, "hidden-word"));
                g_assert_null(strstr(answer, "evil.example"));
        }
}

static void
test_json_is_json(Fixture *fixture, gconstpointer data)
{
        static const char *const paths[] = {"/api/v1/stats",    "/api/v1/status",  "/api/v1/routes",
                                            "/api/v1/clusters", "/api/v1/history", "/readyz",
                                            "/nothing"};

        for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
                g_autofree char *answer = get(fixture, "GET", paths[i]);
                json_t *root = json_loads(body_of(answer), 0, NULL);

                g_assert_true(json_is_object(root));
                json_decref(root);
        }
}

static void
test_head(Fixture *fixture, gconstpointer data)
{
        g_autofree char *answer = get(fixture, "HEAD", "/api/v1/stats");

        assert_holds(answer, "HTTP/1.1 200 ");
        assert_holds(answer, "Content-Length: ");
        g_assert_cmpstr(body_of(answer), ==, "");
}

static void
test_refused(Fixture *fixture, gconstpointer data)
{
        static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"};
        g_autofree char *long_path = g_strnfill(2000, 'a');
        g_autofree char *long_request = g_strdup_printf("/%s", long_path);

        for (size_t i = 0; i < G_N_ELEMENTS(methods); i++) {
                g_autofree char *answer = get(fixture, methods[i], "/api/v1/stats");

                assert_holds(answer, "HTTP/1.1 405 ");
                assert_holds(answer, "Allow: GET, HEAD\r\n");
        }
        g_autofree char *missing = get(fixture, "GET", "/api/v1/../../etc/passwd");
        assert_holds(missing, "HTTP/1.1 404 ");
        assert_holds(missing, "{\"error\":");
        g_autofree char *too_long = get(fixture, "GET", long_request);
        assert_holds(too_long, "HTTP/1.1 414 ");
        g_assert_null(strstr(too_long, "aaaa"));
}

/* A body behind a GET is read past, and the connection goes on. */
static void
test_keeps_connection(Fixture *fixture, gconstpointer data)
{
        g_autofree char *answer =
            ask(fixture, "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
                         "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

        assert_holds(answer, "HTTP/1.1 200 ");
        assert_holds(answer, "HTTP/1.1 503 ");
}

static void
test_ready(Fixture *fixture, gconstpointer data)
{
        g_autofree char *before = get(fixture, "GET", "/readyz");
        assert_holds(before, "HTTP/1.1 503 ");
        assert_holds(before, "route volume: no lane consumes");

        atomic_store(&stats_route(fixture->stats, "volume")->lanes_consuming, 1);
        g_autofree char *after = get(fixture, "GET", "/readyz");
        assert_holds(after, "HTTP/1.1 200 ");
}

static void
test_port_taken(Fixture *fixture, gconstpointer data)
{
        g_autoptr(GError) error = NULL;
        g_autofree char *address = g_strdup_printf("127.0.0.1 port %u", fixture->port);
        g_autoptr(Http) second =
            http_new(fixture->conf, fixture->stats, fixture->registry, fixture->recorder, &error);

        g_assert_null(second);
        g_assert_error(error, TROUBLE, TROUBLE_OUTSIDE);
        assert_holds(error->message, address);
        assert_holds(error->message, "[http]");
}

static void
test_restart(Fixture *fixture, gconstpointer data)
{
        g_autoptr(GError) error = NULL;
        g_autofree char *answer = get(fixture, "GET", "/healthz");

        http_free(fixture->http);
        fixture->http = http_new(fixture->conf, fixture->stats, fixture->registry, fixture->recorder, &error);
        g_assert_no_error(error);
        g_autofree char *again = get(fixture, "GET", "/healthz");
        assert_holds(again, "HTTP/1.1 200 ");
}

int
main(int argc, char **argv)
{
        static const struct {
                const char *name;
                void (*test)(Fixture *fixture, gconstpointer data);
        } tests[] = {
            {"/http/every_page_has_its_type_and_no_secret", test_pages},
            {"/http/json_pages_are_json", test_json_is_json},
            {"/http/head_has_no_body", test_head},
            {"/http/other_methods_and_paths_are_refused", test_refused},
            {"/http/body_of_a_get_is_read_past", test_keeps_connection},
            {"/http/ready_only_while_every_route_consumes", test_ready},
            {"/http/port_taken_is_told_with_its_remedy", test_port_taken},
            {"/http/port_is_free_again_after_the_end", test_restart},
        };

        g_test_init(&argc, &argv, NULL);
        for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
                g_test_add(tests[i].name, Fixture, NULL, set_up, tests[i].test, tear_down);
        return g_test_run();
}
