/* SPDX-License-Identifier: MIT */
#include "cluster/liveness.h"
#include "cluster/mysql_link.h"
#include "tests/support/live.h"
#include "tests/support/program.h"

#include <glib/gstdio.h>
#include <string.h>

/* Redis and MySQL are reached in every form that the configuration check accepts. */

enum { TIMEOUT_MS = 2000, DEADLINE_MS = 10000 };

static void
check_beats(const char *url, bool expect)
{
        g_autoptr(GError) error = NULL;
        g_autoptr(Liveness) liveness = liveness_new(url, TIMEOUT_MS, &error);
        g_assert_no_error(error);
        bool fine = liveness_send_heartbeat(liveness, "east", "e1", TIMEOUT_MS, &error);
        if (fine != expect)
                g_error("%s: %s", url, error != NULL ? error->message : "a heartbeat went through");
        if (error != NULL)
                g_assert_null(strstr(error->message, "p@ss"));
}

static void
test_redis_by_socket_and_with_an_encoded_password(void)
{
        g_autofree char *directory = g_dir_make_tmp("live-addresses-XXXXXX", NULL);
        g_autofree char *socket = g_build_filename(directory, "redis.sock", NULL);
        g_autofree char *port = g_strdup_printf("%u", live_free_port());
        const char *argv[] = {"redis-server", "--port",      port, "--bind", "127.0.0.1", "--unixsocket",
                              socket,         "--save",      "",   "--dir",  directory,   "--requirepass",
                              "p@ss/w",       "--daemonize", "no", NULL};
        g_autofree char *found = g_find_program_in_path("redis-server");
        if (found == NULL || live_env("REDIS_URL") == NULL)
                return;
        g_autoptr(Program) redis = program_start(argv);
        program_wait_line(redis, "Ready to accept connections", DEADLINE_MS);

        const char *const forms[][2] = {{"unix://:p%40ss%2fw@", socket},
                                        {"redis+unix://:p%40ss%2Fw@", socket},
                                        {"redis://:p%40ss%2fw@127.0.0.1:", port},
                                        {"REDIS://default:p%40ss%2fw@127.0.0.1:", port}};
        for (size_t i = 0; i < G_N_ELEMENTS(forms); i++) {
                g_autofree char *url = g_strconcat(forms[i][0], forms[i][1], i < 2 ? "?db=3" : "/3", NULL);
                check_beats(url, true);
        }
        g_autofree char *wrong = g_strdup_printf("redis://:p%%40ss@127.0.0.1:%s", port);
        check_beats(wrong, false);
        g_clear_pointer(&redis, program_free);
        g_remove(socket);
        g_rmdir(directory);
}

static char *
ask(const char *url, const char *sql)
{
        g_autoptr(GError) error = NULL;
        g_autoptr(MysqlLink) link = mysql_link_new(url, TIMEOUT_MS, NULL, &error);
        g_auto(MysqlResult) result = {0};
        g_assert_no_error(error);
        if (mysql_link_run(link, sql, NULL, &result, &error) != 0)
                g_error("%s: %s", url, error->message);
        return g_strdup(((GStrv)result.rows->pdata[0])[0]);
}

static void
test_mysql_by_socket_and_with_an_encoded_name(void)
{
        const char *url = live_env("MYSQL_URL");
        if (url == NULL)
                return;
        g_autofree char *socket = ask(url, "SELECT @@socket");
        g_autofree char *by_socket = g_strdup_printf("mysql://root@localhost/%%6dysql?socket=%s", socket);
        g_autofree char *database = ask(by_socket, "SELECT DATABASE()");
        g_assert_cmpstr(database, ==, "mysql");
        g_autofree char *protocol = ask(by_socket, "SELECT USER()");
        g_assert_cmpstr(protocol, ==, "root@localhost");
}

static void
test_what_the_check_refuses_is_refused(void)
{
        static const char *const urls[] = {"rediss://h", "redis://a@b@c", "redis://h/x", "unix://host/path"};
        for (size_t i = 0; i < G_N_ELEMENTS(urls); i++) {
                g_autoptr(GError) error = NULL;
                g_assert_null(liveness_new(urls[i], TIMEOUT_MS, &error));
                g_assert_nonnull(error);
        }
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/addresses/redis-by-socket-and-with-an-encoded-password",
                        test_redis_by_socket_and_with_an_encoded_password);
        g_test_add_func("/addresses/mysql-by-socket-and-with-an-encoded-name",
                        test_mysql_by_socket_and_with_an_encoded_name);
        g_test_add_func("/addresses/what-the-check-refuses-is-refused",
                        test_what_the_check_refuses_is_refused);
        return g_test_run();
}
