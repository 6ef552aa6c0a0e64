/* SPDX-License-Identifier: MIT */
#include "tests/live/operator.h"

#include <gio/gio.h>
#include <glib/gstdio.h>

/* clusterctl doctor, with a problem of each kind planted. */

static const char PLAIN[] = "[east]\ncluster_member_ips = e\n"
                            "[route:$N]\nqueue = $N\ncluster_from = header:cluster\n"
                            "destination = queue:{queue}.{cluster}\n";

/* Runs the doctor with these words behind, up to a NULL. */
static json_t *
ask_doctor(const Stage *stage, int expect_status, const char *const *more)
{
        g_autoptr(GPtrArray) words = g_ptr_array_new();

        g_ptr_array_add(words, (gpointer) "-ojson");
        g_ptr_array_add(words, (gpointer) "doctor");
        while (*more)
                g_ptr_array_add(words, (gpointer)*more++);
        g_ptr_array_add(words, NULL);
        return parse_said(run_ctl(stage, expect_status, (const char *const *)words->pdata));
}

#define DOCTOR(stage, status, ...) ask_doctor(stage, status, (const char *const[]){__VA_ARGS__, NULL})

/* One finding of this kind holds @text, and everything that is not well has a meaning and a remedy. */
static void
expect(const json_t *document, const char *severity, const char *check, const char *text)
{
        const json_t *finding;
        bool found = false;
        size_t i;

        json_array_foreach(json_object_get(document, "findings"), i, finding)
        {
                const char *how = json_string_value(json_object_get(finding, "severity"));
                g_autofree char *line =
                    g_strdup_printf("%s: %s", json_string_value(json_object_get(finding, "subject")),
                                    json_string_value(json_object_get(finding, "found")));

                found |= strcmp(how, severity) == 0 && strstr(line, text) &&
                         strcmp(json_string_value(json_object_get(finding, "check")), check) == 0;
                g_assert_true(strcmp(how, "ok") == 0 ||
                              (json_is_string(json_object_get(finding, "meaning")) &&
                               json_is_string(json_object_get(finding, "remedy"))));
        }
        if (!found) {
                g_autofree char *all = json_dumps(document, JSON_INDENT(1));

                g_error("no %s of %s with \"%s\" in %s", severity, check, text, all);
        }
}

static void
rabbitmqctl(const char *const *words)
{
        g_autoptr(GPtrArray) argv = g_ptr_array_new();
        g_autofree char *out = NULL;
        g_autofree char *errors = NULL;

        g_ptr_array_add(argv, (gpointer)g_getenv("RABBITMQCTL"));
        while (*words)
                g_ptr_array_add(argv, (gpointer)*words++);
        g_ptr_array_add(argv, NULL);
        if (program_run((const char *const *)argv->pdata, &out, &errors) != 0)
                g_error("rabbitmqctl: %s", errors);
}

#define RABBITMQCTL(...) rabbitmqctl((const char *const[]){__VA_ARGS__, NULL})

static void
configure(Stage *stage, const char *before)
{
        g_autofree char *conf = g_strconcat(before, PLAIN, NULL);

        stage_configure(stage, conf);
}

static void
test_all_is_well(void)
{
        g_autoptr(Stage) stage = stage_new("doctor-well");
        g_autofree char *database = stage ? fresh_database("live_doctor_well") : NULL;
        g_autofree char *none = live_write_file("none.json", "[]");

        if (database) {
                g_autofree char *servers = g_strdup_printf("[redis]\nurl = %s\n[mysql]\nurl = %s\n",
                                                           live_env("REDIS_URL"), database);

                configure(stage, servers);
                g_free(RUN_CTL(stage, 0, "db", "sync"));
                stage_start(stage);

                json_t *said = DOCTOR(stage, 0, "--policies", none, "--consumer-timeout", "30m");

                g_assert_cmpstr(json_string_value(json_object_get(said, "worst")), ==, "ok");
                expect(said, "ok", "router", "runs with this file");
                expect(said, "ok", "publish", "confirmed");
                expect(said, "ok", "clock", "its clock is 0.");
                expect(said, "ok", "schema", "schema version");
                json_decref(said);
                stage_send(stage, "$N", "east", "after the doctor"); /* no host of it lives */
                stage_wait_number(stage, stage->name, "parked", 1);
        }
        live_remove_file(g_steal_pointer(&none));
}

static void
test_servers_that_are_away(void)
{
        g_autoptr(Stage) stage = stage_new("doctor-away");

        if (stage == NULL)
                return;
        g_autofree char *servers =
            g_strdup_printf("[redis]\nurl = redis://:hidden@127.0.0.1:%u/0\n[mysql]\nurl = "
                            "mysql://root:hidden@127.0.0.1:%u/x\n",
                            live_free_port(), live_free_port());

        g_free(stage->url);
        stage->url = g_strdup_printf("amqp://user:hidden@127.0.0.1:%u/", live_free_port());
        configure(stage, servers);

        json_t *said = DOCTOR(stage, 2, NULL);
        g_autofree char *text = json_dumps(said, 0);

        expect(said, "error", "broker", "amqp://user:***@127.0.0.1");
        expect(said, "error", "redis", "redis://:***@127.0.0.1");
        expect(said, "error", "mysql", "mysql://root:***@127.0.0.1");
        expect(said, "warning", "router", "no router answers");
        expect(said, "note", "queues", "policies: not looked at");
        expect(said, "note", "timeouts", "not looked at");
        g_assert_null(strstr(text, "hidden"));
        json_decref(said);
}

/* ---- the broker ---- */

static void
try_permissions(Stage *stage, const char *configure_re, const char *write_re, const char *read_re,
                const char *wanted)
{
        RABBITMQCTL("set_permissions", "-p", "/", stage->name, configure_re, write_re, read_re);

        json_t *said = DOCTOR(stage, 2, NULL);

        expect(said, "error", "permissions", wanted);
        json_decref(said);
}

static void
test_permissions_that_are_missing(void)
{
        g_autoptr(Stage) stage = stage_new("doctor-rights");

        if (stage == NULL)
                return;
        const char *server = strchr(stage->url, '@');
        char *url = g_strdup_printf("amqp://%s:x%s", stage->name, server);
        g_autofree char *shared = g_strdup_printf("queue %s", stage->name);

        RABBITMQCTL("add_user", stage->name, "x");
        stage_declare(stage, "$N");
        g_free(stage->url);
        stage->url = url;
        configure(stage, "");
        try_permissions(stage, ".*", ".*", "^cluster-router", shared);
        try_permissions(stage, "^$", ".*", ".*", "amqp://");
        try_permissions(stage, ".*", "^cluster-router", ".*", "amqp://");
        RABBITMQCTL("delete_user", stage->name);
}

static amqp_table_entry_t
number_entry(const char *key, int32_t value)
{
        return (amqp_table_entry_t){.key = amqp_cstring_bytes(key),
                                    .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = value}};
}

static void
test_arguments_that_lose_messages(void)
{
        g_autoptr(Stage) stage = stage_new("doctor-arguments");

        if (stage == NULL)
                return;
        amqp_table_entry_t entries[] = {
            number_entry("x-message-ttl", 60000),
            number_entry("x-max-length", 7),
            {.key = amqp_cstring_bytes("x-queue-type"),
             .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("quorum")}}};
        amqp_table_t both = {2, entries}, type = {1, entries + 2};
        g_autofree char *dead = stage_text(stage, "cluster-router.$N.dead");
        g_autofree char *east = stage_text(stage, "$N.east");

        configure(stage, "");
        client_declare_queue(stage->client, dead, &both);
        client_declare_queue(stage->client, east, &type);

        json_t *said = DOCTOR(stage, 2, NULL);

        expect(said, "error", "queues", "message-ttl = 60000 by its arguments");
        expect(said, "error", "queues", "max-length = 7 by its arguments");
        expect(said, "note", "queues", "queue-type = quorum");
        json_decref(said);
        client_delete_queue(stage->client, dead);
        client_delete_queue(stage->client, east);
}

static void
test_policies_and_timeouts_that_are_told(void)
{
        g_autoptr(Stage) stage = stage_new("doctor-policies");
        g_autofree char *policies = NULL;

        if (stage == NULL)
                return;
        const char *list[] = {g_getenv("RABBITMQCTL"), "-q", "list_policies", "--formatter", "json", NULL};
        g_autofree char *stores = stage_text(stage, "^cluster-router\\.$N\\.parked");

        configure(stage, "");
        RABBITMQCTL("set_policy", stage->name, stores, "{\"message-ttl\":1000}", "--apply-to", "queues");
        g_assert_cmpint(program_run(list, &policies, NULL), ==, 0);
        RABBITMQCTL("clear_policy", stage->name);

        /* what newer brokers know, in the form of the management API */
        json_t *known = json_loads(policies, 0, NULL);
        json_array_append_new(known, json_pack("{s:s, s:s, s:s, s:s, s:i, s:{s:i}}", "vhost", "/", "name",
                                               "newer", "pattern", stage->name, "apply-to", "queues",
                                               "priority", -1, "definition", "consumer-timeout", 5000));
        g_autofree char *all = json_dumps(known, 0);
        char *path = live_write_file("policies.json", all);
        json_decref(known);
        json_t *said = DOCTOR(stage, 2, "--policies", path, "--consumer-timeout", "61s");

        expect(said, "error", "queues", "message-ttl = 1000 by policy");
        expect(said, "error", "timeouts", "consumer_timeout 5 s by policy");
        expect(said, "warning", "timeouts", "brokers: consumer_timeout 61 s");
        json_decref(said);
        live_remove_file(path);

        g_autofree char *refused = RUN_CTL(stage, 65, "doctor", "--policies", "/dev/null");
        g_assert_nonnull(strstr(refused, "rabbitmqctl list_policies"));
}

static void
test_broker_that_takes_nothing(void)
{
        g_autoptr(Stage) stage = stage_new("doctor-alarm");

        if (stage == NULL)
                return;
        configure(stage, "");
        RABBITMQCTL("set_vm_memory_high_watermark", "0");

        json_t *said = DOCTOR(stage, 2, NULL);

        RABBITMQCTL("set_vm_memory_high_watermark", "0.4");
        expect(said, "error", "publish", "");
        json_decref(said);
}

/* ---- redis ---- */

/* Answers as a redis whose clock is an hour behind, that takes no writes and drops what it likes. */
static gboolean
serve_badly(GThreadedSocketService *service, GSocketConnection *connection, GObject *source, gpointer data)
{
        GInputStream *in = g_io_stream_get_input_stream(G_IO_STREAM(connection));
        GOutputStream *out = g_io_stream_get_output_stream(G_IO_STREAM(connection));
        static const char memory[] =
            "$59\r\n# Memory\r\nmaxmemory:1000000\r\nmaxmemory_policy:allkeys-lru\r\n\r\n";
        char bytes[512];
        gssize count;

        while ((count = g_input_stream_read(in, bytes, sizeof(bytes) - 1, NULL, NULL)) > 0) {
                bytes[count] = '\0';
                g_autofree char *seconds =
                    g_strdup_printf("%" G_GINT64_FORMAT, g_get_real_time() / G_USEC_PER_SEC - 3600);
                g_autofree char *time =
                    g_strdup_printf("*2\r\n$%zu\r\n%s\r\n$1\r\n0\r\n", strlen(seconds), seconds);
                const char *answer = strstr(bytes, "TIME")                    ? time
                                     : strstr(bytes, "INFO")                  ? memory
                                     : strstr(bytes, "cluster-router:doctor") ? "-READONLY a replica\r\n"
                                                                              : "+OK\r\n";

                if (!g_output_stream_write_all(out, answer, strlen(answer), NULL, NULL, NULL))
                        break;
        }
        return FALSE;
}

static gpointer
run_loop(gpointer loop)
{
        g_main_loop_run(loop);
        return NULL;
}

static void
test_redis_that_is_set_up_badly(void)
{
        g_autoptr(Stage) stage = stage_new("doctor-clock");

        if (stage == NULL)
                return;
        g_autoptr(GSocketService) service = g_threaded_socket_service_new(4);
        uint16_t port = g_socket_listener_add_any_inet_port(G_SOCKET_LISTENER(service), NULL, NULL);
        g_autofree char *redis =
            g_strdup_printf("[redis]\nurl = redis://127.0.0.1:%u/0\ntimeout = 5s\n", port);
        g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
        GThread *thread;

        g_signal_connect(service, "run", G_CALLBACK(serve_badly), NULL);
        g_socket_service_start(service);
        thread = g_thread_new("loop", run_loop, loop);
        configure(stage, redis);

        json_t *said = DOCTOR(stage, 2, NULL);

        expect(said, "error", "clock", "clock is 360");
        expect(said, "error", "redis", "READONLY");
        expect(said, "warning", "redis", "maxmemory-policy allkeys-lru");
        json_decref(said);
        g_main_loop_quit(loop);
        g_thread_join(thread);
        g_socket_service_stop(service);
        g_socket_listener_close(G_SOCKET_LISTENER(service));
}

/* ---- MySQL, certificates, the router ---- */

static void
test_schema_that_is_old(void)
{
        g_autoptr(Stage) stage = stage_new("doctor-schema");
        g_autofree char *database = stage ? fresh_database("live_doctor_schema") : NULL;

        if (database == NULL)
                return;
        g_autofree char *mysql = g_strdup_printf("[mysql]\nurl = %s\n", database);

        configure(stage, mysql);

        json_t *said = DOCTOR(stage, 2, NULL);

        expect(said, "error", "schema", "schema version 0");
        json_decref(said);
}

static void
make_certificate(const char *directory, const char *days)
{
        g_autofree char *certificate = g_build_filename(directory, "cert.pem", NULL);
        g_autofree char *key = g_build_filename(directory, "key.pem", NULL);
        const char *argv[] = {"openssl",
                              "req",
                              "-x509",
                              "-newkey",
                              "ec",
                              "-pkeyopt",
                              "ec_paramgen_curve:P-256",
                              "-nodes",
                              "-subj",
                              "/CN=localhost",
                              "-days",
                              days,
                              "-keyout",
                              key,
                              "-out",
                              certificate,
                              NULL};

        g_autofree char *said = NULL;

        g_assert_cmpint(program_run(argv, NULL, &said), ==, 0);
}

static void
test_certificates_that_end(void)
{
        g_autoptr(Stage) stage = stage_new("doctor-tls");

        if (stage == NULL)
                return;
        g_autofree char *port = g_strdup_printf("%u", live_free_port());
        g_autofree char *certificate = g_build_filename(stage->directory, "cert.pem", NULL);
        g_autofree char *key = g_build_filename(stage->directory, "key.pem", NULL);
        g_autofree char *own = g_strdup_printf(
            "[west]\ncluster_member_ips = w\namqp_url = amqps://a:b@localhost:%s/x\ntls_ca = %s\n", port,
            certificate);
        const char *argv[] = {"openssl",   "s_server", "-accept", port,   "-cert",
                              certificate, "-key",     key,       "-www", NULL};

        make_certificate(stage->directory, "20");
        g_autoptr(Program) server = program_start(argv);
        program_wait_line(server, "ACCEPT", 10000);
        make_certificate(stage->directory, "5"); /* the file's; the server has the one before */
        configure(stage, own);

        json_t *said = DOCTOR(stage, 2, NULL);

        expect(said, "error", "certificates", "cert.pem: certificate expires");
        expect(said, "warning", "certificates", "amqps://a:***@localhost");
        json_decref(said);
        g_remove(certificate);
        g_remove(key);
}

static void
test_router_with_another_file(void)
{
        g_autoptr(Stage) stage = stage_new("doctor-router");

        if (stage == NULL)
                return;
        stage_run(stage, PLAIN);
        configure(stage, "[west]\ncluster_member_ips = w\n");

        json_t *said = DOCTOR(stage, 1, NULL);

        expect(said, "warning", "router", "another configuration");
        json_decref(said);

        g_autofree char *text = RUN_CTL(stage, 1, "doctor");
        g_assert_nonnull(strstr(text, "means: "));
        g_assert_nonnull(strstr(text, "do:    "));
        g_assert_nonnull(strstr(text, "errors: 0, warnings: 1, notes: 2"));
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/doctor/all-is-well", test_all_is_well);
        g_test_add_func("/doctor/servers-that-are-away", test_servers_that_are_away);
        g_test_add_func("/doctor/permissions-that-are-missing", test_permissions_that_are_missing);
        g_test_add_func("/doctor/arguments-that-lose-messages", test_arguments_that_lose_messages);
        g_test_add_func("/doctor/policies-and-timeouts-that-are-told",
                        test_policies_and_timeouts_that_are_told);
        g_test_add_func("/doctor/broker-that-takes-nothing", test_broker_that_takes_nothing);
        g_test_add_func("/doctor/redis-that-is-set-up-badly", test_redis_that_is_set_up_badly);
        g_test_add_func("/doctor/schema-that-is-old", test_schema_that_is_old);
        g_test_add_func("/doctor/certificates-that-end", test_certificates_that_end);
        g_test_add_func("/doctor/router-with-another-file", test_router_with_another_file);
        return g_test_run();
}
