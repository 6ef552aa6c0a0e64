/* SPDX-License-Identifier: MIT */
#include "cluster/catalogue.h"

#include "cluster/migration.h"
#include "cluster/mysql_link.h"
#include "conf/trouble.h"

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
catalogue_add_remedy(unsigned code, GError **error)
{
        if (error == NULL || *error == NULL)
                return;
        const char *remedy = NULL;
        if (code == ER_NO_SUCH_TABLE || code == ER_BAD_FIELD_ERROR)
                remedy = "run \"clusterctl db sync\" to bring the tables up to date";
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
        catalogue_add_remedy(code, error);
        return code;
}

/* Tells the routers to read again. */
static bool
note_change(Catalogue *catalogue, GError **error)
{
        g_auto(MysqlResult) result = {0};
        return run(catalogue, "UPDATE catalogue_change SET serial = serial + 1", NULL, &result, error) == 0;
}

bool
catalogue_serial(Catalogue *catalogue, uint64_t *out_serial, GError **error)
{
        g_auto(MysqlResult) result = {0};
        if (run(catalogue, "SELECT serial FROM catalogue_change", NULL, &result, error) != 0)
                return false;
        GStrv row = result.rows->len > 0 ? result.rows->pdata[0] : NULL;
        *out_serial = row != NULL ? g_ascii_strtoull(row[0], NULL, 10) : 0;
        return true;
}

static char *
text_or_null(const char *text)
{
        return *text != '\0' ? g_strdup(text) : NULL;
}

#define TIME_COLUMN(name) "DATE_FORMAT(" name ", '%Y-%m-%dT%TZ')"

static CatalogueCluster *
cluster_from_row(GStrv row)
{
        CatalogueCluster *cluster = catalogue_cluster_new(g_ascii_strtoll(row[0], NULL, 10), row[1]);
        cluster->deleted = strcmp(row[2], "0") != 0;
        cluster->drained = strcmp(row[3], "drain") == 0;
        cluster->state.reason = text_or_null(row[4]);
        cluster->state.since = text_or_null(row[5]);
        cluster->state.by = text_or_null(row[6]);
        cluster->drain_to = text_or_null(row[7]);
        cluster->created_at = text_or_null(row[8]);
        cluster->deleted_at = text_or_null(row[9]);
        return cluster;
}

/* Both lists are in order of id. */
static void
add_hosts(GPtrArray *clusters, GPtrArray *rows)
{
        guint next = 0;
        for (guint i = 0; i < rows->len; i++) {
                GStrv row = rows->pdata[i];
                int64_t id = g_ascii_strtoll(row[0], NULL, 10);
                CatalogueState state = {.reason = row[2], .since = row[3], .by = row[4]};
                while (next < clusters->len && ((CatalogueCluster *)clusters->pdata[next])->id < id)
                        next++;
                if (next < clusters->len && ((CatalogueCluster *)clusters->pdata[next])->id == id)
                        catalogue_add_host(clusters->pdata[next], row[1], &state);
        }
}

GPtrArray *
catalogue_list(Catalogue *catalogue, bool with_deleted, GError **error)
{
        /* clang-format off */
        static const char sql[] =
            "SELECT id, name, deleted, state, state_reason, " TIME_COLUMN("state_since") ", state_by, drain_to, "
            TIME_COLUMN("created_at") ", " TIME_COLUMN("deleted_at")
            " FROM clusters WHERE deleted = 0 OR ? = '1' ORDER BY id";
        static const char hosts_sql[] =
            "SELECT cluster_id, host, state_reason, " TIME_COLUMN("state_since") ", state_by"
            " FROM host_state WHERE state = 'drain' ORDER BY cluster_id, host";
        /* clang-format on */
        const char *parameters[] = {with_deleted ? "1" : "0", NULL};
        g_auto(MysqlResult) result = {0};
        g_auto(MysqlResult) hosts = {0};
        if (run(catalogue, sql, parameters, &result, error) != 0 ||
            run(catalogue, hosts_sql, NULL, &hosts, error) != 0)
                return NULL;
        GPtrArray *clusters = g_ptr_array_new_with_free_func((GDestroyNotify)catalogue_cluster_free);
        for (guint i = 0; i < result.rows->len; i++)
                g_ptr_array_add(clusters, cluster_from_row(result.rows->pdata[i]));
        add_hosts(clusters, hosts.rows);
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
        return note_change(catalogue, error) ? CATALOGUE_DONE : CATALOGUE_FAILED;
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
        if (result.affected == 0)
                return CATALOGUE_MISSING;
        return note_change(catalogue, error) ? CATALOGUE_DONE : CATALOGUE_FAILED;
}

/* Every cluster that is taken out has a row, one of the file alone too. */
static bool
ensure_row(Catalogue *catalogue, const char *cluster, GError **error)
{
        const char *parameters[] = {cluster, NULL};
        g_auto(MysqlResult) result = {0};
        return run(catalogue, "INSERT IGNORE INTO clusters (name) VALUES (?)", parameters, &result, error) ==
               0;
}

bool
catalogue_set_state(Catalogue *catalogue, const char *cluster, bool drain, const char *reason, const char *by,
                    const char *drain_to, GError **error)
{
        static const char drain_sql[] =
            "UPDATE clusters SET state_since = IF(state = 'drain', state_since, CURRENT_TIMESTAMP),"
            " state = 'drain', state_reason = ?, state_by = ?, drain_to = NULLIF(?, '')"
            " WHERE name = ? AND deleted = 0";
        static const char resume_sql[] =
            "UPDATE clusters SET state_since = IF(state = 'ready', state_since, CURRENT_TIMESTAMP),"
            " state = 'ready', state_reason = NULL, state_by = ?, drain_to = NULL"
            " WHERE name = ? AND deleted = 0";
        const char *of_drain[] = {reason, by, drain_to != NULL ? drain_to : "", cluster, NULL};
        const char *of_resume[] = {by, cluster, NULL};
        g_auto(MysqlResult) result = {0};
        return ensure_row(catalogue, cluster, error) &&
               run(catalogue, drain ? drain_sql : resume_sql, drain ? of_drain : of_resume, &result, error) ==
                   0 &&
               note_change(catalogue, error);
}

bool
catalogue_set_host_state(Catalogue *catalogue, const char *cluster, const char *host, bool drain,
                         const char *reason, const char *by, GError **error)
{
        static const char sql[] =
            "INSERT INTO host_state (cluster_id, host, state, state_reason, state_since, state_by)"
            " SELECT id, ?, ?, NULLIF(?, ''), CURRENT_TIMESTAMP, ? FROM clusters WHERE name = ? AND deleted "
            "= 0"
            " ON DUPLICATE KEY UPDATE"
            " state_since = IF(host_state.state = VALUES(state), host_state.state_since, CURRENT_TIMESTAMP),"
            " state = VALUES(state), state_reason = VALUES(state_reason), state_by = VALUES(state_by)";
        const char *parameters[] = {
            host, drain ? "drain" : "ready", reason != NULL ? reason : "", by, cluster, NULL};
        g_auto(MysqlResult) result = {0};
        return ensure_row(catalogue, cluster, error) &&
               run(catalogue, sql, parameters, &result, error) == 0 && note_change(catalogue, error);
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
                g_autoptr(GError) failure = NULL;
                if (*g_strstrip(*statement) == '\0')
                        continue;
                unsigned code = run(catalogue, *statement, NULL, &result, &failure);
                /* MySQL has no ADD COLUMN IF NOT EXISTS. */
                if (code != 0 && code != ER_DUP_FIELDNAME) {
                        g_propagate_error(error, g_steal_pointer(&failure));
                        return false;
                }
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
                g_set_error(error, TROUBLE, TROUBLE_OUTSIDE,
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
                g_set_error(error, TROUBLE, TROUBLE_OUTSIDE,
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
