/* SPDX-License-Identifier: MIT */
#include "cluster/catalogue.h"

#include "cluster/migration.h"
#include "cluster/mysql_link.h"

#include <gio/gio.h>
#include <mysqld_error.h>
#include <string.h>

/* Creating a table may take long on a slow disk, and so may waiting for another `db sync`. */
enum { MIGRATE_TIMEOUT_MS = 60000 };

/* The lock is named after the database, since its scope is the server; names are limited to 64 bytes. */
#define LOCK_NAME "CONCAT('cluster-router-', SHA1(DATABASE()))"

struct Catalogue {
        MysqlLink *link;
};

Catalogue *
catalogue_new(const char *url, int64_t timeout_ms, const ConfTls *tls, GError **error)
{
        MysqlLink *link = mysql_link_new(url, timeout_ms, tls, error);
        if (link == NULL)
                return NULL;
        Catalogue *catalogue = g_new0(Catalogue, 1);
        catalogue->link = link;
        return catalogue;
}

void
catalogue_free(Catalogue *catalogue)
{
        if (catalogue == NULL)
                return;
        mysql_link_free(catalogue->link);
        g_free(catalogue);
}

void
catalogue_thread_end(void)
{
        mysql_thread_end();
}

void
catalogue_cluster_free(CatalogueCluster *cluster)
{
        if (cluster == NULL)
                return;
        g_free(cluster->name);
        g_free(cluster->state_reason);
        g_free(cluster->state_since);
        g_free(cluster->created_at);
        g_free(cluster->deleted_at);
        g_free(cluster);
}

/* What the operator can do about it, where the number tells. */
static void
add_remedy(unsigned code, GError **error)
{
        if (error == NULL || *error == NULL)
                return;
        const char *remedy = NULL;
        if (code == ER_NO_SUCH_TABLE)
                remedy = "run \"clusterctl db sync\" to create the tables";
        else if (code == ER_BAD_DB_ERROR)
                remedy = "create the database first, with CREATE DATABASE";
        if (remedy == NULL)
                return;
        char *text = g_strdup_printf("%s; %s", (*error)->message, remedy);
        g_free((*error)->message);
        (*error)->message = text;
}

static unsigned
run(Catalogue *catalogue, const char *sql, const char *const *parameters, MysqlResult *out_result,
    GError **error)
{
        unsigned code = mysql_link_run(catalogue->link, sql, parameters, out_result, error);
        add_remedy(code, error);
        return code;
}

static char *
text_or_null(const char *text)
{
        return *text != '\0' ? g_strdup(text) : NULL;
}

static CatalogueCluster *
cluster_from_row(GStrv row)
{
        CatalogueCluster *cluster = g_new0(CatalogueCluster, 1);
        cluster->id = g_ascii_strtoll(row[0], NULL, 10);
        cluster->name = g_strdup(row[1]);
        cluster->deleted = strcmp(row[2], "0") != 0;
        cluster->drained = strcmp(row[3], "drain") == 0;
        cluster->state_reason = text_or_null(row[4]);
        cluster->state_since = text_or_null(row[5]);
        cluster->created_at = text_or_null(row[6]);
        cluster->deleted_at = text_or_null(row[7]);
        return cluster;
}

GPtrArray *
catalogue_list(Catalogue *catalogue, bool with_deleted, GError **error)
{
        static const char sql[] = "SELECT id, name, deleted, state, state_reason,"
                                  " DATE_FORMAT(state_since, '%Y-%m-%dT%TZ'),"
                                  " DATE_FORMAT(created_at, '%Y-%m-%dT%TZ'),"
                                  " DATE_FORMAT(deleted_at, '%Y-%m-%dT%TZ')"
                                  " FROM clusters WHERE deleted = 0 OR ? = '1' ORDER BY id";
        const char *parameters[] = {with_deleted ? "1" : "0", NULL};
        g_auto(MysqlResult) result = {0};
        if (run(catalogue, sql, parameters, &result, error) != 0)
                return NULL;
        GPtrArray *clusters = g_ptr_array_new_with_free_func((GDestroyNotify)catalogue_cluster_free);
        for (guint i = 0; i < result.rows->len; i++)
                g_ptr_array_add(clusters, cluster_from_row(result.rows->pdata[i]));
        return clusters;
}

CatalogueOutcome
catalogue_create(Catalogue *catalogue, const char *name, int64_t *out_id, GError **error)
{
        const char *parameters[] = {name, NULL};
        g_auto(MysqlResult) result = {0};
        g_autoptr(GError) failure = NULL;
        unsigned code =
            run(catalogue, "INSERT INTO clusters (name) VALUES (?)", parameters, &result, &failure);
        if (code == ER_DUP_ENTRY)
                return CATALOGUE_EXISTS;
        if (code != 0) {
                g_propagate_error(error, g_steal_pointer(&failure));
                return CATALOGUE_FAILED;
        }
        *out_id = (int64_t)result.insert_id;
        return CATALOGUE_DONE;
}

CatalogueOutcome
catalogue_delete(Catalogue *catalogue, const char *name, GError **error)
{
        static const char sql[] = "UPDATE clusters SET deleted = 1, deleted_at = CURRENT_TIMESTAMP"
                                  " WHERE name = ? AND deleted = 0";
        const char *parameters[] = {name, NULL};
        g_auto(MysqlResult) result = {0};
        if (run(catalogue, sql, parameters, &result, error) != 0)
                return CATALOGUE_FAILED;
        return result.affected > 0 ? CATALOGUE_DONE : CATALOGUE_MISSING;
}

/* For statements without parameters whose result is one value, if any. */
static unsigned
run_for_number(Catalogue *catalogue, const char *sql, unsigned *out_number, GError **error)
{
        g_auto(MysqlResult) result = {0};
        unsigned code = run(catalogue, sql, NULL, &result, error);
        if (code != 0)
                return code;
        GStrv row = result.rows->len > 0 ? result.rows->pdata[0] : NULL;
        *out_number = row != NULL ? (unsigned)g_ascii_strtoull(row[0], NULL, 10) : 0;
        return 0;
}

bool
catalogue_version(Catalogue *catalogue, unsigned *out_version, GError **error)
{
        static const char sql[] = "SELECT COALESCE(MAX(version), 0) FROM schema_version";
        g_autoptr(GError) failure = NULL;
        unsigned code = run_for_number(catalogue, sql, out_version, &failure);
        if (code == ER_NO_SUCH_TABLE) {
                *out_version = 0;
                return true;
        }
        if (code != 0)
                g_propagate_error(error, g_steal_pointer(&failure));
        return code == 0;
}

static bool
run_all(Catalogue *catalogue, const char *sql, GError **error)
{
        g_auto(GStrv) statements = g_strsplit(sql, ";\n", -1);
        for (char **statement = statements; *statement != NULL; statement++) {
                g_auto(MysqlResult) result = {0};
                if (*g_strstrip(*statement) == '\0')
                        continue;
                if (run(catalogue, *statement, NULL, &result, error) != 0)
                        return false;
        }
        return true;
}

static bool
apply(Catalogue *catalogue, const Migration *migration, GError **error)
{
        g_autofree char *version = g_strdup_printf("%u", migration->version);
        const char *parameters[] = {version, migration->name, NULL};
        g_auto(MysqlResult) result = {0};
        if (run_all(catalogue, migration->sql, error) &&
            run(catalogue, "INSERT INTO schema_version (version, name) VALUES (?, ?)", parameters, &result,
                error) == 0)
                return true;
        g_prefix_error(error, "migration %03u_%s: ", migration->version, migration->name);
        return false;
}

static bool
apply_missing(Catalogue *catalogue, unsigned *out_applied, GError **error)
{
        static const char sql[] = "CREATE TABLE IF NOT EXISTS schema_version ("
                                  " version INT UNSIGNED NOT NULL PRIMARY KEY,"
                                  " name VARCHAR(64) NOT NULL,"
                                  " applied_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP"
                                  ") ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;\n";
        unsigned version;
        unsigned applied = 0;
        if (!run_all(catalogue, sql, error) || !catalogue_version(catalogue, &version, error))
                return false;
        if (version > n_migrations) {
                g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                            "the database has schema version %u, this program knows %zu: use a newer program",
                            version, n_migrations);
                return false;
        }
        for (size_t i = version; i < n_migrations; i++, applied++) {
                if (!apply(catalogue, &migrations[i], error))
                        return false;
        }
        *out_applied = applied;
        return true;
}

static bool
migrate_locked(Catalogue *catalogue, unsigned *out_applied, GError **error)
{
        unsigned got_lock = 0;
        unsigned released;
        if (run_for_number(catalogue, "SELECT GET_LOCK(" LOCK_NAME ", 30)", &got_lock, error) != 0)
                return false;
        if (got_lock != 1) {
                g_set_error(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                            "another program has been changing this database for 30 s; try again later");
                return false;
        }
        bool done = apply_missing(catalogue, out_applied, error);
        /* If this fails the connection is gone, and the lock with it. */
        if (run_for_number(catalogue, "SELECT RELEASE_LOCK(" LOCK_NAME ")", &released, NULL) != 0)
                g_debug("the migration lock went with its connection");
        return done;
}

bool
catalogue_migrate(Catalogue *catalogue, unsigned *out_applied, GError **error)
{
        int64_t timeout_ms = mysql_link_timeout_ms(catalogue->link);
        mysql_link_set_timeout(catalogue->link, MIGRATE_TIMEOUT_MS);
        bool done = migrate_locked(catalogue, out_applied, error);
        mysql_link_set_timeout(catalogue->link, timeout_ms);
        return done;
}
