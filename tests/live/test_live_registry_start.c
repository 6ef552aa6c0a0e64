/* SPDX-License-Identifier: MIT */
#include "cluster/catalogue.h"
#include "cluster/mysql_link.h"
#include "tests/live/registry_world.h"

#include <gio/gio.h>
#include <signal.h>

/* Where the registry has its clusters from: the saved view, the file, the catalogue. The database is its own.
 */

static void
test_a_start_without_redis_uses_the_saved_view(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        beat(&world, "east", "e1");
        beat(&world, "east", "e9");
        start(&world, EAST WEST);
        g_autofree char *saved = g_build_filename(world.directory, "last-view", NULL);
        while (!g_file_test(saved, G_FILE_TEST_EXISTS))
                g_usleep(1000);
        GStatBuf info;
        g_assert_cmpint(g_stat(saved, &info), ==, 0);
        g_assert_cmpuint(info.st_mode & 0777, ==, 0600);
        g_clear_pointer(&world.registry, registry_free);
        stop_redis(&world);
        start(&world, EAST WEST "[south]\ncluster_member_ips = s1\n");
        expect_now(&world, "east(2/3) west(0/1) south(1/1)");
}

static void
test_a_start_without_redis_and_saved_view_assumes_the_file(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        stop_redis(&world);
        int64_t began_us = g_get_monotonic_time();
        start(&world, EAST WEST);
        expect_now(&world, "east(2/2) west(1/1)");
        g_assert_cmpint(g_get_monotonic_time() - began_us, <, 2 * TIMEOUT_MS * 1000);
        start_redis(&world);
        expect(&world, "east(0/2) west(0/1)");
}

static void
test_a_damaged_saved_view_is_ignored(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        g_autofree char *saved = g_build_filename(world.directory, "last-view", NULL);
        g_assert_true(g_file_set_contents(saved, "[view\0]\nformat", 14, NULL));
        start(&world, EAST);
        expect_now(&world, "east(0/2)");
}

static void
run_sql(const char *url, const char *sql)
{
        g_autoptr(GError) error = NULL;
        g_autoptr(MysqlLink) link = mysql_link_new(url, 5000, NULL, &error);
        g_auto(MysqlResult) result = {0};
        if (mysql_link_run(link, sql, NULL, &result, &error) != 0)
                g_error("%s", error->message);
}

static bool
add_mysql(World *world)
{
        const char *url = live_env("MYSQL_URL");
        g_autoptr(GError) error = NULL;
        unsigned applied;
        if (url == NULL)
                return false;
        const char *server = strstr(url, "://") + 3;
        g_autofree char *any = g_strdup_printf("mysql://%.*s/mysql", (int)strcspn(server, "/"), server);
        run_sql(any, "DROP DATABASE IF EXISTS live_registry");
        run_sql(any, "CREATE DATABASE live_registry");
        world->mysql_url = g_strdup_printf("mysql://%.*s/live_registry", (int)strcspn(server, "/"), server);
        g_autoptr(Catalogue) catalogue = catalogue_new(world->mysql_url, 5000, NULL, &error);
        g_assert_true(catalogue_migrate(catalogue, &applied, &error));
        return true;
}

static void
test_file_and_catalogue_are_joined(void)
{
        g_auto(World) world;
        if (!world_init(&world) || !add_mysql(&world))
                return;
        run_sql(world.mysql_url,
                "INSERT INTO clusters (name, state) VALUES"
                " ('south', 'ready'), ('east', 'drain'), ('no good', 'ready'), ('redis', 'ready')");
        beat(&world, "east", "e1");
        beat(&world, "south", "s1");
        start(&world, EAST WEST);
        expect_now(&world, "east(1/2,drained) west(0/1) south(1/1)");
        run_sql(world.mysql_url, "INSERT INTO clusters (name) VALUES ('north')");
        registry_poke(world.registry);
        expect(&world, "east(1/2,drained) west(0/1) south(1/1) north(0/0)");
        run_sql(world.mysql_url, "UPDATE clusters SET deleted = 1 WHERE name IN ('south', 'east')");
        registry_poke(world.registry);
        expect(&world, "east(0/2) west(0/1) north(0/0)");
}

static void
test_an_emptied_catalogue_forgets_no_cluster(void)
{
        g_auto(World) world;
        if (!world_init(&world) || !add_mysql(&world))
                return;
        run_sql(world.mysql_url, "INSERT INTO clusters (name) VALUES ('south')");
        start(&world, WEST);
        expect_now(&world, "west(0/1) south(0/0)");
        run_sql(world.mysql_url, "DELETE FROM clusters");
        RegistryStatus status;
        do {
                registry_poke(world.registry);
                registry_get_status(world.registry, &status);
        } while (status.mysql != SOURCE_LOST);
        expect_now(&world, "west(0/1) south(0/0)");
        g_assert_nonnull(strstr(status.mysql_error, "empty"));
}

static void
test_a_name_that_nobody_knows_stops_the_start(void)
{
        static const char route[] = "[route:r]\nqueue = q\ndestination = queue:{queue}.{cluster}\n"
                                    "cluster_from = header:cluster\non_no_cluster = cluster:south\n";
        g_auto(World) world;
        g_autoptr(GError) error = NULL;
        if (!world_init(&world) || !add_mysql(&world))
                return;
        run_sql(world.mysql_url, "INSERT INTO clusters (name) VALUES ('north')");
        g_autofree char *text = g_strconcat(WEST, route, NULL);
        g_autoptr(Conf) conf = make_conf(&world, text);
        g_assert_null(registry_new(conf, NULL, NULL, &error));
        g_assert_nonnull(strstr(error->message, "south"));
        run_sql(world.mysql_url, "INSERT INTO clusters (name) VALUES ('south')");
        start(&world, text);
        expect_now(&world, "west(0/1) north(0/0) south(0/0)");
}

static void
test_black_holes_delay_the_start_by_their_timeouts_only(void)
{
        World world = {.directory = g_dir_make_tmp("registry-XXXXXX", NULL)};
        g_autoptr(GSocketListener) listener = g_socket_listener_new();
        guint16 port = g_socket_listener_add_any_inet_port(listener, NULL, NULL);
        world.redis_url = g_strdup_printf("redis://127.0.0.1:%u/0", port);
        world.mysql_url = g_strdup_printf("mysql://root@127.0.0.1:%u/x", port);
        int64_t began_us = g_get_monotonic_time();
        start(&world, EAST);
        g_assert_cmpint(g_get_monotonic_time() - began_us, <, 2 * (TIMEOUT_MS + 1000) * 1000);
        expect_now(&world, "east(2/2)");
        world_clear(&world);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        signal(SIGPIPE, SIG_IGN);
        g_log_set_always_fatal(G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL); /* warnings are part of the job */
#define TEST(name, function) g_test_add_func("/registry-start/" name, test_##function)
        TEST("a-start-without-redis-uses-the-saved-view", a_start_without_redis_uses_the_saved_view);
        TEST("a-start-without-redis-and-saved-view-assumes-the-file",
             a_start_without_redis_and_saved_view_assumes_the_file);
        TEST("a-damaged-saved-view-is-ignored", a_damaged_saved_view_is_ignored);
        TEST("file-and-catalogue-are-joined", file_and_catalogue_are_joined);
        TEST("an-emptied-catalogue-forgets-no-cluster", an_emptied_catalogue_forgets_no_cluster);
        TEST("a-name-that-nobody-knows-stops-the-start", a_name_that_nobody_knows_stops_the_start);
        TEST("black-holes-delay-the-start-by-their-timeouts-only",
             black_holes_delay_the_start_by_their_timeouts_only);
        return g_test_run();
}
