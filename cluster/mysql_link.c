/* SPDX-License-Identifier: MIT */

/*
 * The tables here are small, so a result is simply an array of rows of strings: every column is fetched as
 * text into a fixed buffer, which also bounds what a strange table can make us hold.
 */
#include "cluster/mysql_link.h"

#include "conf/conf_url.h"
#include "conf/trouble.h"

#include <string.h>

enum { COLUMNS_MAX = 16, COLUMN_BYTES = 1024, FIRST_CLIENT_ERROR = 2000 };

struct MysqlLink {
        ConfUrl *url;
        ConfTls tls;
        int64_t timeout_ms;
        MYSQL *mysql; /* NULL: closed */
};

MysqlLink *
mysql_link_new(const char *url, int64_t timeout_ms, const ConfTls *tls, GError **error)
{
        const char *problem;
        ConfUrl *parts = conf_url_parse(url, CONF_URL_MYSQL, &problem);
        if (parts == NULL) {
                g_set_error(error, TROUBLE, TROUBLE_OUTSIDE, "MySQL URL: %s", problem);
                return NULL;
        }
        MysqlLink *link = g_new0(MysqlLink, 1);
        link->url = parts;
        link->timeout_ms = timeout_ms;
        if (tls != NULL)
                link->tls = (ConfTls){g_strdup(tls->ca), g_strdup(tls->cert), g_strdup(tls->key)};
        return link;
}

static void
link_close(MysqlLink *link)
{
        if (link->mysql != NULL)
                mysql_close(link->mysql);
        link->mysql = NULL;
}

void
mysql_link_free(MysqlLink *link)
{
        if (link == NULL)
                return;
        link_close(link);
        conf_url_free(link->url);
        g_free(link->tls.ca);
        g_free(link->tls.cert);
        g_free(link->tls.key);
        g_free(link);
}

void
mysql_link_set_timeout(MysqlLink *link, int64_t timeout_ms)
{
        link_close(link);
        link->timeout_ms = timeout_ms;
}

int64_t
mysql_link_timeout_ms(const MysqlLink *link)
{
        return link->timeout_ms;
}

static void
set_tls(const MysqlLink *link)
{
        my_bool yes = 1;
        if (link->tls.ca == NULL && link->tls.cert == NULL && link->tls.key == NULL)
                return;
        mysql_ssl_set(link->mysql, link->tls.key, link->tls.cert, link->tls.ca, NULL, NULL);
        mysql_optionsv(link->mysql, MYSQL_OPT_SSL_ENFORCE, &yes);
        if (link->tls.ca != NULL)
                mysql_optionsv(link->mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
}

static void
set_options(const MysqlLink *link)
{
        /* The library counts in whole seconds, and has no limits of its own. */
        unsigned timeout_s = (unsigned)((link->timeout_ms + 999) / 1000);
        unsigned off = 0;
        unsigned protocol = link->url->socket != NULL ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
        mysql_optionsv(link->mysql, MYSQL_OPT_CONNECT_TIMEOUT, &timeout_s);
        mysql_optionsv(link->mysql, MYSQL_OPT_READ_TIMEOUT, &timeout_s);
        mysql_optionsv(link->mysql, MYSQL_OPT_WRITE_TIMEOUT, &timeout_s);
        mysql_optionsv(link->mysql, MYSQL_OPT_LOCAL_INFILE, &off);
        mysql_optionsv(link->mysql, MYSQL_OPT_PROTOCOL, &protocol);
        mysql_optionsv(link->mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
        mysql_optionsv(link->mysql, MYSQL_INIT_COMMAND, "SET time_zone = '+00:00'");
        set_tls(link);
}

static unsigned
fail(MysqlLink *link, MYSQL_STMT *statement, GError **error)
{
        unsigned code = statement != NULL ? mysql_stmt_errno(statement) : mysql_errno(link->mysql);
        const char *text = statement != NULL ? mysql_stmt_error(statement) : mysql_error(link->mysql);
        g_set_error(error, TROUBLE, TROUBLE_OUTSIDE, "MySQL: %s (%u)", text, code);
        return code != 0 ? code : FIRST_CLIENT_ERROR;
}

static unsigned
link_open(MysqlLink *link, GError **error)
{
        if (link->mysql != NULL)
                return 0;
        link->mysql = mysql_init(NULL);
        set_options(link);
        const ConfUrl *url = link->url;
        const char *host = url->socket != NULL ? NULL : url->host;
        if (mysql_real_connect(link->mysql, host, url->user, url->password, url->name, url->port, url->socket,
                               0) != NULL)
                return 0;
        unsigned code = fail(link, NULL, error);
        link_close(link);
        return code;
}

/* One row's columns, as the library fills them. */
typedef struct {
        unsigned count;
        MYSQL_BIND binds[COLUMNS_MAX];
        char text[COLUMNS_MAX][COLUMN_BYTES];
        unsigned long lengths[COLUMNS_MAX];
        my_bool nulls[COLUMNS_MAX];
} Row;

static void
row_init(Row *row, unsigned count)
{
        memset(row->binds, 0, sizeof row->binds);
        row->count = MIN(count, (unsigned)COLUMNS_MAX);
        for (unsigned i = 0; i < row->count; i++) {
                row->binds[i].buffer_type = MYSQL_TYPE_STRING;
                row->binds[i].buffer = row->text[i];
                row->binds[i].buffer_length = COLUMN_BYTES;
                row->binds[i].length = &row->lengths[i];
                row->binds[i].is_null = &row->nulls[i];
        }
}

/* A NUL inside would end the string early and could make an illegal name look legal: it is shown as "?". */
static char *
column_text(const Row *row, unsigned column)
{
        if (row->nulls[column])
                return g_strdup("");
        size_t length = MIN(row->lengths[column], (unsigned long)COLUMN_BYTES);
        char *text = g_malloc(length + 1);
        for (size_t i = 0; i < length; i++)
                text[i] = row->text[column][i] != '\0' ? row->text[column][i] : '?';
        text[length] = '\0';
        return text;
}

static GStrv
row_to_strings(const Row *row)
{
        GStrv strings = g_new0(char *, row->count + 1);
        for (unsigned i = 0; i < row->count; i++)
                strings[i] = column_text(row, i);
        return strings;
}

static unsigned
fetch_rows(MysqlLink *link, MYSQL_STMT *statement, GPtrArray *rows, GError **error)
{
        g_autofree Row *row = g_new(Row, 1);
        row_init(row, mysql_stmt_field_count(statement));
        if (row->count == 0)
                return 0;
        if (mysql_stmt_bind_result(statement, row->binds) || mysql_stmt_store_result(statement))
                return fail(link, statement, error);
        for (;;) {
                int status = mysql_stmt_fetch(statement);
                if (status == MYSQL_NO_DATA)
                        return 0;
                if (status != 0 && status != MYSQL_DATA_TRUNCATED)
                        return fail(link, statement, error);
                g_ptr_array_add(rows, row_to_strings(row));
        }
}

static unsigned
execute(MysqlLink *link, MYSQL_STMT *statement, const char *sql, const char *const *parameters,
        GError **error)
{
        size_t count = parameters != NULL ? g_strv_length((char **)parameters) : 0;
        g_autofree MYSQL_BIND *binds = g_new0(MYSQL_BIND, count + 1);
        if (mysql_stmt_prepare(statement, sql, strlen(sql)))
                return fail(link, statement, error);
        for (size_t i = 0; i < count; i++) {
                binds[i].buffer_type = MYSQL_TYPE_STRING;
                binds[i].buffer = (char *)parameters[i];
                binds[i].buffer_length = strlen(parameters[i]);
        }
        if (mysql_stmt_bind_param(statement, binds) || mysql_stmt_execute(statement))
                return fail(link, statement, error);
        return 0;
}

unsigned
mysql_link_run(MysqlLink *link, const char *sql, const char *const *parameters, MysqlResult *out_result,
               GError **error)
{
        unsigned code = link_open(link, error);
        if (code != 0)
                return code;
        g_auto(MysqlResult) result = {.rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev)};
        MYSQL_STMT *statement = mysql_stmt_init(link->mysql);
        code = execute(link, statement, sql, parameters, error);
        if (code == 0) {
                result.affected = mysql_stmt_affected_rows(statement);
                result.insert_id = mysql_stmt_insert_id(statement);
                code = fetch_rows(link, statement, result.rows, error);
        }
        mysql_stmt_close(statement);
        if (code >= FIRST_CLIENT_ERROR)
                link_close(link);
        if (code == 0) {
                *out_result = result;
                result.rows = NULL;
        }
        return code;
}

void
mysql_result_clear(MysqlResult *result)
{
        g_clear_pointer(&result->rows, g_ptr_array_unref);
}
