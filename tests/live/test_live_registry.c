/* SPDX-License-Identifier: MIT */
#include "cluster/catalogue.h"
#include "cluster/liveness.h"
#include "cluster/mysql_link.h"
#include "cluster/redis_link.h"
#include "cluster/registry.h"
#include "tests/support/live.h"
#include "tests/support/program.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>

/*
 * The registry on real servers. Each test has a redis of its own, which it may kill, stop and start again,
 * and its own state directory; the MariaDB is shared, the database is not.
 */
enum { DEADLINE_MS = 10000, TTL_MS = 3000, TIMEOUT_MS = 500 };

typedef struct {
        char *directory;
        uint16_t port;
        Program *redis;
        char *redis_url;
        char *mysql_url;
        Liveness *agents; /* beats for all */
        Registry *registry;
        gint notified; /* atomic */
} World;

static void
start_redis(World *world)
{
        g_autofree char *port = g_strdup_printf("%u", world->port);
        const char *argv[] = {"redis-server", "--port", port,    "--bind",         "127.0.0.1",
                              "--save",       "",       "--dir", world->directory, NULL};
        world->redis = program_start(argv);
        program_wait_line(world->redis, "Ready to accept connections", DEADLINE_MS);
}

static void
stop_redis(World *world)
{
        g_clear_pointer(&world->redis, program_free);
}

static bool
world_init(World *world)
{
        *world = (World){0};
        if (live_env("REDIS_URL") == NULL)
                return false;
        world->directory = g_dir_make_tmp("registry-XXXXXX", NULL);
        world->port = live_free_port();
        world->redis_url = g_strdup_printf("redis://127.0.0.1:%u/0", world->port);
        world->agents = liveness_new(world->redis_url, TIMEOUT_MS, NULL);
        start_redis(world);
        return true;
}

static void
world_clear(World *world)
{
        registry_free(world->registry);
        liveness_free(world->agents);
        program_free(world->redis);
        if (world->directory != NULL) {
                g_autofree char *saved = g_build_filename(world->directory, "last-view", NULL);
                g_unlink(saved);
                g_rmdir(world->directory);
        }
        g_free(world->directory);
        g_free(world->redis_url);
        g_free(world->mysql_url);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

/* A configuration of these cluster groups. */
static Conf *
make_conf(const World *world, const char *clusters)
{
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GString) text = g_string_new("[DEFAULT]\n");
        g_string_append_printf(text, "state_dir = %s\n%s\n", world->directory, clusters);
        g_string_append(text, "[broker]\nurl = amqp://guest:guest@127.0.0.1:5672/%2f\n");
        if (world->redis_url != NULL)
                g_string_append_printf(
                    text, "[redis]\nurl = %s\nheartbeat_ttl = %dms\npoll = 100ms\ntimeout = %dms\n",
                    world->redis_url, TTL_MS, TIMEOUT_MS);
        if (world->mysql_url != NULL)
                g_string_append_printf(text, "[mysql]\nurl = %s\nrefresh = 1s\ntimeout = 1s\n",
                                       world->mysql_url);
        Conf *conf = conf_parse("test.conf", text->str, text->len, errors);
        if (conf == NULL)
                g_error("%s in:\n%s", (const char *)errors->pdata[0], text->str);
        return conf;
}

static void
notified(void *user_data)
{
        g_atomic_int_inc(&((World *)user_data)->notified);
}

static void
start(World *world, const char *clusters)
{
        g_autoptr(GError) error = NULL;
        g_autoptr(Conf) conf = make_conf(world, clusters);
        world->registry = registry_new(conf, notified, world, &error);
        g_assert_no_error(error);
        g_assert_nonnull(world->registry);
}

static void
beat(const World *world, const char *cluster, const char *host)
{
        g_autoptr(GError) error = NULL;
        if (!liveness_send_heartbeat(world->agents, cluster, host, TTL_MS, &error))
                g_error("no heartbeat: %s", error->message);
}

/* "east(2/3) west(0/1,drained)": usable and known hosts. */
static char *
describe(Registry *registry)
{
        g_autoptr(View) view = registry_get_view(registry);
        GString *text = g_string_new(view->single ? "single" : "");
        for (guint i = 0; i < view->clusters->len; i++) {
                const ViewCluster *cluster = view->clusters->pdata[i];
                g_string_append_printf(text, "%s%s(%u/%u%s)", i > 0 ? " " : "", cluster->name,
                                       cluster->usable->len, cluster->hosts->len,
                                       cluster->drained ? ",drained" : "");
        }
        return g_string_free(text, FALSE);
}

typedef struct {
        Registry *registry;
        const char *text;
} Expectation;

static bool
is_as_expected(void *data)
{
        const Expectation *expectation = data;
        g_autofree char *text = describe(expectation->registry);
        return strcmp(text, expectation->text) == 0;
}

static void
expect(const World *world, const char *text)
{
        Expectation expectation = {world->registry, text};
        if (live_wait(DEADLINE_MS, is_as_expected, &expectation))
                return;
        g_autofree char *got = describe(world->registry);
        g_error("expected %s, got %s", text, got);
}

static void
expect_now(const World *world, const char *text)
{
        g_autofree char *got = describe(world->registry);
        g_assert_cmpstr(got, ==, text);
}

static bool
redis_is_lost(void *data)
{
        RegistryStatus status;
        registry_get_status(data, &status);
        return status.redis == SOURCE_LOST;
}

static bool
redis_is_fine(void *data)
{
        RegistryStatus status;
        registry_get_status(data, &status);
        return status.redis == SOURCE_OK;
}

#define EAST "[east]\ncluster_member_ips = e1, e2\n"
#define WEST "[west]\ncluster_member_ips = w1\n"

static void
test_first_view_is_what_redis_says_and_quick(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        beat(&world, "east", "e1");
        beat(&world, "east", "e9");
        int64_t began_us = g_get_monotonic_time();
        start(&world, EAST WEST);
        g_test_message("first view after %" G_GINT64_FORMAT " us", g_get_monotonic_time() - began_us);
        expect_now(&world, "east(2/3) west(0/1)");
        g_assert_cmpint(g_get_monotonic_time() - began_us, <, 500 * 1000);
        g_assert_cmpuint(registry_generation(world.registry), >, 0);
}

static void
test_hosts_come_go_and_expire(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        start(&world, EAST WEST);
        uint64_t before = registry_generation(world.registry);
        beat(&world, "west", "w1");
        expect(&world, "east(0/2) west(1/1)");
        g_assert_cmpuint(registry_generation(world.registry), >, before);
        beat(&world, "west", "w2");
        expect(&world, "east(0/2) west(2/2)");
        g_assert_true(liveness_goodbye(world.agents, "west", "w2", NULL));
        expect(&world, "east(0/2) west(1/1)");
        expect(&world, "east(0/2) west(0/1)"); /* its heartbeat expires */
        g_assert_cmpint(g_atomic_int_get(&world.notified), >=, 3);
}

static void
test_an_unchanged_picture_makes_no_new_view(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        start(&world, EAST);
        uint64_t before = registry_generation(world.registry);
        RegistryStatus first;
        RegistryStatus later;
        registry_get_status(world.registry, &first);
        do {
                registry_poke(world.registry);
                registry_get_status(world.registry, &later);
        } while (later.redis_ok_us < first.redis_ok_us + 300 * 1000);
        g_assert_cmpuint(registry_generation(world.registry), ==, before);
}

static void
test_a_lost_redis_changes_nothing(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        beat(&world, "east", "e1");
        start(&world, EAST WEST);
        expect_now(&world, "east(1/2) west(0/1)");
        stop_redis(&world);
        g_assert_true(live_wait(DEADLINE_MS, redis_is_lost, world.registry));
        g_usleep(TTL_MS * 1000);
        expect_now(&world, "east(1/2) west(0/1)");

        /* It comes back as another process, and empty: that is not believed for three TTLs. */
        start_redis(&world);
        g_assert_true(live_wait(DEADLINE_MS, redis_is_fine, world.registry));
        expect_now(&world, "east(1/2) west(0/1)");
        RegistryStatus status;
        registry_get_status(world.registry, &status);
        g_assert_true(status.frozen);
        expect(&world, "east(0/2) west(0/1)");
}

static void
test_a_hanging_redis_changes_nothing(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        beat(&world, "east", "e1");
        start(&world, EAST);
        program_signal(world.redis, SIGSTOP);
        g_assert_true(live_wait(DEADLINE_MS, redis_is_lost, world.registry));
        expect_now(&world, "east(1/2)");
        program_signal(world.redis, SIGCONT);
        g_assert_true(live_wait(DEADLINE_MS, redis_is_fine, world.registry));
}

static void
beat_all(const World *world)
{
        beat(world, "east", "e1");
        beat(world, "east", "e2");
        beat(world, "west", "w1");
}

static void
flush(const World *world)
{
        g_autoptr(RedisLink) link = redis_link_new(world->redis_url, TIMEOUT_MS, NULL);
        g_assert_true(redis_link_open(link, NULL));
        redis_link_send(link, "FLUSHALL");
        g_autoptr(redisReply) reply = redis_link_receive(link, NULL);
        g_assert_cmpint(reply->type, ==, REDIS_REPLY_STATUS);
}

/* The first poll writes them after its view is in force. */
static bool
has_counts(void *data)
{
        const World *world = data;
        g_autoptr(RedisLink) link = redis_link_new(world->redis_url, TIMEOUT_MS, NULL);
        g_assert_true(redis_link_open(link, NULL));
        redis_link_send(link, "EXISTS east_up_host_num west_up_host_num");
        g_autoptr(redisReply) reply = redis_link_receive(link, NULL);
        return reply != NULL && reply->integer == 2;
}

static bool
is_frozen(void *registry)
{
        RegistryStatus status;
        registry_get_status(registry, &status);
        return status.frozen;
}

static bool
is_free(void *registry)
{
        return !is_frozen(registry);
}

static void
test_a_flushed_redis_is_not_believed(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        beat_all(&world);
        start(&world, EAST WEST);
        expect_now(&world, "east(2/2) west(1/1)");
        uint64_t before = registry_generation(world.registry);
        g_assert_true(live_wait(DEADLINE_MS, has_counts, &world));
        flush(&world);
        g_assert_true(live_wait(DEADLINE_MS, is_frozen, world.registry));
        beat_all(&world);
        g_assert_true(live_wait(DEADLINE_MS, is_free, world.registry));
        expect_now(&world, "east(2/2) west(1/1)");
        g_assert_cmpuint(registry_generation(world.registry), ==, before);
}

static void
test_goodbyes_are_believed_however_many(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        beat_all(&world);
        start(&world, EAST WEST);
        int64_t began_us = g_get_monotonic_time();
        g_assert_true(liveness_goodbye(world.agents, "east", "e1", NULL));
        g_assert_true(liveness_goodbye(world.agents, "east", "e2", NULL));
        g_assert_true(liveness_goodbye(world.agents, "west", "w1", NULL));
        expect(&world, "east(0/2) west(0/1)");
        g_assert_cmpint(g_get_monotonic_time() - began_us, <, TTL_MS * 1000);
        g_assert_true(is_free(world.registry));
}

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
test_reload_shows_before_it_returns(void)
{
        g_auto(World) world;
        if (!world_init(&world))
                return;
        beat(&world, "east", "e1");
        start(&world, EAST WEST);
        g_autoptr(View) before = registry_get_view(world.registry);
        g_autoptr(Conf) drained = make_conf(&world, EAST "state = drain\n" WEST);
        g_autoptr(Conf) fewer = make_conf(&world, "[north]\ncluster_member_ips = n1\n" EAST);
        g_assert_true(registry_reload(world.registry, drained, NULL));
        expect_now(&world, "east(1/2,drained) west(0/1)");
        g_autoptr(View) middle = registry_get_view(world.registry);
        g_assert_cmpuint(middle->layout, ==, before->layout);
        g_assert_true(registry_reload(world.registry, fewer, NULL));
        expect_now(&world, "north(0/1) east(1/2)");
        beat(&world, "north", "n1");
        expect(&world, "north(1/1) east(1/2)");
}

static void
test_without_redis_all_members_are_alive(void)
{
        World world = {.directory = g_dir_make_tmp("registry-XXXXXX", NULL)};
        start(&world, EAST WEST);
        expect_now(&world, "east(2/2) west(1/1)");
        g_autoptr(Conf) other = make_conf(&world, "[east]\ncluster_member_ips = e1\n");
        g_assert_true(registry_reload(world.registry, other, NULL));
        expect_now(&world, "east(1/1)");
        world_clear(&world);
}

static void
test_single_cluster_mode_has_an_empty_view(void)
{
        World world = {.directory = g_dir_make_tmp("registry-XXXXXX", NULL)};
        start(&world, "");
        expect_now(&world, "single");
        world_clear(&world);
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
        run_sql(world.mysql_url, "INSERT INTO clusters (name, state) VALUES"
                                 " ('south', 'ready'), ('east', 'drain'), ('no good', 'ready')");
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
#define TEST(name, function) g_test_add_func("/registry/" name, test_##function)
        TEST("first-view-is-what-redis-says-and-quick", first_view_is_what_redis_says_and_quick);
        TEST("hosts-come-go-and-expire", hosts_come_go_and_expire);
        TEST("an-unchanged-picture-makes-no-new-view", an_unchanged_picture_makes_no_new_view);
        TEST("a-lost-redis-changes-nothing", a_lost_redis_changes_nothing);
        TEST("a-hanging-redis-changes-nothing", a_hanging_redis_changes_nothing);
        TEST("a-flushed-redis-is-not-believed", a_flushed_redis_is_not_believed);
        TEST("goodbyes-are-believed-however-many", goodbyes_are_believed_however_many);
        TEST("a-start-without-redis-uses-the-saved-view", a_start_without_redis_uses_the_saved_view);
        TEST("a-start-without-redis-and-saved-view-assumes-the-file",
             a_start_without_redis_and_saved_view_assumes_the_file);
        TEST("a-damaged-saved-view-is-ignored", a_damaged_saved_view_is_ignored);
        TEST("reload-shows-before-it-returns", reload_shows_before_it_returns);
        TEST("without-redis-all-members-are-alive", without_redis_all_members_are_alive);
        TEST("single-cluster-mode-has-an-empty-view", single_cluster_mode_has_an_empty_view);
        TEST("file-and-catalogue-are-joined", file_and_catalogue_are_joined);
        TEST("an-emptied-catalogue-forgets-no-cluster", an_emptied_catalogue_forgets_no_cluster);
        TEST("a-name-that-nobody-knows-stops-the-start", a_name_that_nobody_knows_stops_the_start);
        TEST("black-holes-delay-the-start-by-their-timeouts-only",
             black_holes_delay_the_start_by_their_timeouts_only);
        return g_test_run();
}
