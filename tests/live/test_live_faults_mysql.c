/* SPDX-License-Identifier: MIT */
#include "cluster/catalogue.h"
#include "cluster/mysql_link.h"
#include "tests/support/fault_run.h"
#include "tests/support/live.h"

#include <signal.h>
#include <string.h>

/*
 * The database in trouble under load, F22 of the matrix: gone, standing still, locked, with another schema,
 * with an empty table. The last good catalogue stays in force; whoever deletes all its rows gets a warning.
 */

enum { DEADLINE_MS = 30000, WELL_MS = 2 * DEADLINE_MS, TIMEOUT_MS = 5000 };

static const FaultBrokers ONE = {.shared = "AMQP_URL"};
static const char DATABASE[] = "faults_catalogue";

typedef struct {
        FaultRun run;
        char *url;
        FaultProxy *proxy;
        MysqlLink *link; /* passes no proxy */
} World;

static void
tell(World *world, const char *sql)
{
        g_autoptr(GError) error = NULL;
        g_auto(MysqlResult) result = {0};

        if (mysql_link_run(world->link, sql, NULL, &result, &error) != 0)
                g_error("%s: %s", sql, error->message);
}

static MysqlLink *
open_link(const char *url)
{
        g_autoptr(GError) error = NULL;
        MysqlLink *link = mysql_link_new(url, TIMEOUT_MS, NULL, &error);

        g_assert_no_error(error);
        return link;
}

/* With database @name instead of that in @url. */
static char *
with_database(const char *url, const char *name)
{
        return g_strdup_printf("%.*s/%s", (int)(strrchr(url, '/') - url), url, name);
}

static void
make_catalogue(World *world, const char *server)
{
        static const char *const clusters[] = {"east", "west"};
        g_autoptr(Catalogue) catalogue = NULL;
        g_autoptr(GError) error = NULL;
        unsigned applied = 0;
        int64_t id = 0;

        world->link = open_link(server);
        tell(world, "DROP DATABASE IF EXISTS faults_catalogue");
        tell(world, "CREATE DATABASE faults_catalogue");
        mysql_link_free(world->link);
        world->url = with_database(server, DATABASE);
        world->link = open_link(world->url);
        catalogue = catalogue_new(world->url, TIMEOUT_MS, NULL, &error);
        g_assert_no_error(error);
        g_assert_true(catalogue_migrate(catalogue, &applied, &error));
        for (unsigned i = 0; i < G_N_ELEMENTS(clusters); i++)
                g_assert_cmpint(catalogue_create(catalogue, clusters[i], &id, &error), ==, CATALOGUE_DONE);
}

static bool
world_init(World *world, const char *fault)
{
        const char *server = live_env("MYSQL_URL");
        g_autofree char *keys = NULL;

        if (server == NULL)
                return false;
        make_catalogue(world, server);
        world->proxy = fault_proxy_new(world->url);
        keys = g_strdup_printf("[mysql]\nurl = %s\nrefresh = 1s\ntimeout = 500ms\n",
                               fault_proxy_url(world->proxy));
        if (!fault_run_init(&world->run, fault, &ONE, keys))
                return false;
        fault_run_start(&world->run);
        return true;
}

static void
world_clear(World *world)
{
        fault_run_clear(&world->run);
        mysql_link_free(world->link);
        fault_proxy_free(world->proxy);
        g_free(world->url);
        catalogue_thread_end();
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

/* Some refreshes pass by, and messages go where they always go, once, in order. */
static void
expect_nothing_changed(World *world)
{
        checker_wait_confirmed(world->run.checker, 3 * FAULT_LOAD_PER_S);
        fault_run_count(&world->run, 0);
        fault_run_recover(&world->run);
        g_assert_cmpint(stage_number(world->run.stage, "$N", "clusters/east/parked"), ==, 0);
        g_assert_cmpint(stage_number(world->run.stage, "$N", "clusters/west/parked"), ==, 0);
}

static void
break_the_network(World *world)
{
        fault_proxy_refuse(world->proxy);
        fault_proxy_end(world->proxy, FAULT_CUT);
        expect_nothing_changed(world);
        fault_proxy_heal(world->proxy);
        fault_proxy_silence(world->proxy, FAULT_BOTH);
        expect_nothing_changed(world);
        fault_proxy_heal(world->proxy);
}

static void
stop_the_server(World *world)
{
        int pid = (int)g_ascii_strtoll(live_env("MYSQL_PID"), NULL, 10);

        g_assert_no_errno(kill(pid, SIGSTOP));
        expect_nothing_changed(world);
        g_assert_no_errno(kill(pid, SIGCONT));
}

static void
spoil_the_table(World *world)
{
        tell(world, "LOCK TABLES clusters WRITE");
        expect_nothing_changed(world);
        tell(world, "UNLOCK TABLES");
        tell(world, "RENAME TABLE clusters TO elsewhere");
        expect_nothing_changed(world);
        tell(world, "CREATE TABLE clusters (id INT, colour TEXT)");
        expect_nothing_changed(world);
        tell(world, "DROP TABLE clusters");
        tell(world, "RENAME TABLE elsewhere TO clusters");
}

static void
empty_the_table(World *world)
{
        tell(world, "CREATE TABLE copies AS SELECT * FROM clusters");
        tell(world, "DELETE FROM clusters");
        expect_nothing_changed(world);
        program_wait_line(world->run.stage->router, "the catalogue is empty", DEADLINE_MS);
        tell(world, "INSERT INTO clusters (id, name, deleted) SELECT id, name, deleted FROM copies");
        tell(world, "DROP TABLE copies");
}

static bool
is_well(void *data)
{
        g_autofree char *stats = NULL;
        json_t *document =
            stage_get(data, "/api/v1/stats", &stats) == 200 ? json_loads(stats, 0, NULL) : NULL;
        bool well = g_strcmp0(json_string_value(json_object_get(document, "mysql")), "ok") == 0;

        json_decref(document);
        return well;
}

/* The router asks ever more seldom while it is refused: the next fault must not meet it in such a pause. */
static void
wait_until_well(World *world)
{
        if (!live_wait(WELL_MS, is_well, world->run.stage))
                g_error("the router does not find MySQL again");
}

static void
test_database_in_trouble(void)
{
        static void (*const faults[])(World * world) = {break_the_network, stop_the_server, spoil_the_table,
                                                        empty_the_table};
        unsigned times = fault_run_times(G_N_ELEMENTS(faults), 10 * G_N_ELEMENTS(faults));
        g_auto(World) world = {0};

        if (!world_init(&world, "F22 MySQL gone, stopped, locked, spoilt, empty"))
                return;
        for (unsigned i = 0; i < times; i++) {
                faults[i % G_N_ELEMENTS(faults)](&world);
                wait_until_well(&world);
        }
        fault_run_finish(&world.run);
        checker_assert_perfect(world.run.checker);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/faults-mysql/database-in-trouble", test_database_in_trouble);
        return g_test_run();
}
