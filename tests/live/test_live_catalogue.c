/* SPDX-License-Identifier: MIT */
#include "cluster/catalogue.h"
#include "cluster/migration.h"
#include "cluster/mysql_link.h"
#include "tests/support/live.h"

#include <gio/gio.h>
#include <string.h>

/* The catalogue on a real MariaDB, in a database of its own that every test makes anew. */

enum { TIMEOUT_MS = 5000, AT_ONCE = 4 };

static char *
own_url(const char *url, const char *database)
{
        const char *server = strstr(url, "://") + 3;
        return g_strdup_printf("mysql://%.*s/%s", (int)strcspn(server, "/"), server, database);
}

static void
run_sql(const char *url, const char *sql)
{
        g_autoptr(GError) error = NULL;
        g_autoptr(MysqlLink) link = mysql_link_new(url, TIMEOUT_MS, NULL, &error);
        g_auto(MysqlResult) result = {0};
        g_assert_no_error(error);
        unsigned code = mysql_link_run(link, sql, NULL, &result, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(code, ==, 0);
}

/* URL of an empty database; NULL, and the test skipped, without a server. */
static char *
fresh_database(void)
{
        const char *url = live_env("MYSQL_URL");
        if (url == NULL)
                return NULL;
        g_autofree char *server = own_url(url, "mysql");
        run_sql(server, "DROP DATABASE IF EXISTS live_catalogue");
        run_sql(server, "CREATE DATABASE live_catalogue");
        return own_url(url, "live_catalogue");
}

static Catalogue *
open_catalogue(const char *url)
{
        g_autoptr(GError) error = NULL;
        Catalogue *catalogue = catalogue_new(url, TIMEOUT_MS, NULL, &error);
        g_assert_no_error(error);
        return catalogue;
}

static unsigned
migrate(Catalogue *catalogue)
{
        g_autoptr(GError) error = NULL;
        unsigned applied = 99;
        bool fine = catalogue_migrate(catalogue, &applied, &error);
        g_assert_no_error(error);
        g_assert_true(fine);
        return applied;
}

static int64_t
create(Catalogue *catalogue, const char *name)
{
        g_autoptr(GError) error = NULL;
        int64_t id = 0;
        CatalogueOutcome outcome = catalogue_create(catalogue, name, &id, &error);
        g_assert_no_error(error);
        g_assert_cmpint(outcome, ==, CATALOGUE_DONE);
        return id;
}

static GPtrArray *
list(Catalogue *catalogue, bool with_deleted)
{
        g_autoptr(GError) error = NULL;
        GPtrArray *clusters = catalogue_list(catalogue, with_deleted, &error);
        g_assert_no_error(error);
        return clusters;
}

static void
test_migrations_apply_once(void)
{
        g_autofree char *url = fresh_database();
        g_autoptr(GError) error = NULL;
        unsigned version = 99;
        if (url == NULL)
                return;
        g_autoptr(Catalogue) catalogue = open_catalogue(url);
        g_assert_true(catalogue_version(catalogue, &version, &error));
        g_assert_cmpuint(version, ==, 0);
        g_assert_cmpuint(migrate(catalogue), ==, n_migrations);
        g_assert_cmpuint(migrate(catalogue), ==, 0);
        g_assert_true(catalogue_version(catalogue, &version, &error));
        g_assert_cmpuint(version, ==, n_migrations);
}

static void
test_a_migration_cut_off_half_way_is_repeated(void)
{
        g_autofree char *url = fresh_database();
        if (url == NULL)
                return;
        g_autoptr(Catalogue) catalogue = open_catalogue(url);
        migrate(catalogue);
        create(catalogue, "east");
        run_sql(url, "DELETE FROM schema_version");
        g_assert_cmpuint(migrate(catalogue), ==, n_migrations);
        g_autoptr(GPtrArray) clusters = list(catalogue, false);
        g_assert_cmpuint(clusters->len, ==, 1);
}

static gpointer
migrate_in_thread(gpointer url)
{
        g_autoptr(Catalogue) catalogue = open_catalogue(url);
        unsigned applied = migrate(catalogue);
        catalogue_thread_end();
        return GUINT_TO_POINTER(applied);
}

static void
test_migrations_at_once_apply_once(void)
{
        g_autofree char *url = fresh_database();
        GThread *threads[AT_ONCE];
        unsigned applied = 0;
        if (url == NULL)
                return;
        for (unsigned i = 0; i < AT_ONCE; i++)
                threads[i] = g_thread_new("migrate", migrate_in_thread, url);
        for (unsigned i = 0; i < AT_ONCE; i++)
                applied += GPOINTER_TO_UINT(g_thread_join(threads[i]));
        g_assert_cmpuint(applied, ==, n_migrations);
}

static void
test_a_newer_database_is_left_alone(void)
{
        g_autofree char *url = fresh_database();
        g_autoptr(GError) error = NULL;
        unsigned applied = 99;
        if (url == NULL)
                return;
        g_autoptr(Catalogue) catalogue = open_catalogue(url);
        migrate(catalogue);
        run_sql(url, "INSERT INTO schema_version (version, name) VALUES (1000, 'future')");
        g_assert_false(catalogue_migrate(catalogue, &applied, &error));
        g_assert_nonnull(strstr(error->message, "newer program"));
        g_assert_cmpuint(applied, ==, 99);
}

static void
test_create_list_delete_and_create_again(void)
{
        g_autofree char *url = fresh_database();
        g_autoptr(GError) error = NULL;
        int64_t id = 77;
        if (url == NULL)
                return;
        g_autoptr(Catalogue) catalogue = open_catalogue(url);
        migrate(catalogue);
        int64_t first = create(catalogue, "east");
        g_assert_cmpint(catalogue_create(catalogue, "east", &id, &error), ==, CATALOGUE_EXISTS);
        g_assert_cmpint(id, ==, 77);
        create(catalogue, "East"); /* names are bytes: another cluster */
        g_assert_cmpint(catalogue_delete(catalogue, "east", &error), ==, CATALOGUE_DONE);
        g_assert_cmpint(catalogue_delete(catalogue, "east", &error), ==, CATALOGUE_MISSING);
        int64_t second = create(catalogue, "east");
        g_assert_cmpint(second, >, first);
        g_assert_cmpint(catalogue_delete(catalogue, "east", &error), ==, CATALOGUE_DONE);
        g_assert_cmpint(catalogue_delete(catalogue, "never", &error), ==, CATALOGUE_MISSING);
        g_assert_no_error(error);

        g_autoptr(GPtrArray) live = list(catalogue, false);
        g_autoptr(GPtrArray) all = list(catalogue, true);
        g_assert_cmpuint(live->len, ==, 1);
        g_assert_cmpuint(all->len, ==, 3);
        const CatalogueCluster *deleted = all->pdata[0];
        g_assert_cmpint(deleted->id, ==, first);
        g_assert_true(deleted->deleted);
        g_assert_cmpuint(strlen(deleted->deleted_at), ==, strlen("2026-01-31T12:00:00Z"));
        g_assert_false(deleted->drained);
        g_assert_null(((const CatalogueCluster *)live->pdata[0])->deleted_at);
}

static void
test_values_are_never_sql(void)
{
        static const char name[] = "a'); DROP TABLE clusters; --";
        g_autofree char *url = fresh_database();
        if (url == NULL)
                return;
        g_autoptr(Catalogue) catalogue = open_catalogue(url);
        migrate(catalogue);
        create(catalogue, name);
        g_autoptr(GPtrArray) clusters = list(catalogue, false);
        g_assert_cmpuint(clusters->len, ==, 1);
        g_assert_cmpstr(((const CatalogueCluster *)clusters->pdata[0])->name, ==, name);
}

static void
test_state_and_reason_are_read(void)
{
        g_autofree char *url = fresh_database();
        if (url == NULL)
                return;
        g_autoptr(Catalogue) catalogue = open_catalogue(url);
        migrate(catalogue);
        create(catalogue, "east");
        run_sql(url, "UPDATE clusters SET state = 'drain', state_reason = 'new disks', state_since = NOW()");
        g_autoptr(GPtrArray) clusters = list(catalogue, false);
        const CatalogueCluster *east = clusters->pdata[0];
        g_assert_true(east->drained);
        g_assert_cmpstr(east->state.reason, ==, "new disks");
        g_assert_nonnull(east->state.since);
}

static void
test_errors_say_the_remedy(void)
{
        const char *server = live_env("MYSQL_URL");
        g_autoptr(GError) error = NULL;
        if (server == NULL)
                return;
        g_autofree char *url = fresh_database();
        g_autofree char *missing = own_url(server, "live_catalogue_missing");
        g_autoptr(Catalogue) empty = open_catalogue(url);
        g_autoptr(Catalogue) none = open_catalogue(missing);
        g_assert_null(catalogue_list(empty, false, &error));
        g_assert_nonnull(strstr(error->message, "clusterctl db sync"));
        g_clear_error(&error);
        g_assert_null(catalogue_list(none, false, &error));
        g_assert_nonnull(strstr(error->message, "CREATE DATABASE"));
}

static void
test_a_killed_connection_is_made_anew(void)
{
        g_autofree char *url = fresh_database();
        g_autoptr(GError) error = NULL;
        g_auto(MysqlResult) result = {0};
        if (url == NULL)
                return;
        g_autoptr(MysqlLink) link = mysql_link_new(url, TIMEOUT_MS, NULL, &error);
        g_assert_cmpuint(mysql_link_run(link, "SELECT CONNECTION_ID()", NULL, &result, &error), ==, 0);
        g_autofree char *kill = g_strdup_printf("KILL CONNECTION %s", ((GStrv)result.rows->pdata[0])[0]);
        mysql_result_clear(&result);
        run_sql(url, kill);
        g_assert_cmpuint(mysql_link_run(link, "SELECT 1", NULL, &result, &error), !=, 0);
        g_clear_error(&error);
        g_assert_cmpuint(mysql_link_run(link, "SELECT 1", NULL, &result, &error), ==, 0);
        g_assert_no_error(error);
}

static void
test_a_black_hole_costs_no_more_than_the_timeout(void)
{
        g_autoptr(GError) error = NULL;
        g_autoptr(GSocketListener) listener = g_socket_listener_new();
        guint16 port = g_socket_listener_add_any_inet_port(listener, NULL, &error);
        g_autofree char *url = g_strdup_printf("mysql://root:secret-word@127.0.0.1:%u/x", port);
        g_autoptr(Catalogue) catalogue = catalogue_new(url, 1000, NULL, &error);
        int64_t began_us = g_get_monotonic_time();
        g_assert_null(catalogue_list(catalogue, false, &error));
        g_assert_nonnull(error);
        g_assert_null(strstr(error->message, "secret-word"));
        g_assert_cmpint(g_get_monotonic_time() - began_us, <, 2 * G_USEC_PER_SEC);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
#define TEST(name, function) g_test_add_func("/catalogue/" name, test_##function)
        TEST("migrations-apply-once", migrations_apply_once);
        TEST("a-migration-cut-off-half-way-is-repeated", a_migration_cut_off_half_way_is_repeated);
        TEST("migrations-at-once-apply-once", migrations_at_once_apply_once);
        TEST("a-newer-database-is-left-alone", a_newer_database_is_left_alone);
        TEST("create-list-delete-and-create-again", create_list_delete_and_create_again);
        TEST("values-are-never-sql", values_are_never_sql);
        TEST("state-and-reason-are-read", state_and_reason_are_read);
        TEST("errors-say-the-remedy", errors_say_the_remedy);
        TEST("a-killed-connection-is-made-anew", a_killed_connection_is_made_anew);
        TEST("a-black-hole-costs-no-more-than-the-timeout", a_black_hole_costs_no_more_than_the_timeout);
        return g_test_run();
}
