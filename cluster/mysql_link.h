/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"

#include <glib.h>
#include <mysql.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * One connection to MySQL or MariaDB, with time limits on connecting, reading and writing, that runs prepared
 * statements. After a failure of the connection it is closed and the next statement opens a new one. One
 * thread.
 */
typedef struct MysqlLink MysqlLink;

/* Only parses: MySQL URLs as conf/conf_url.h has them. No password in error texts. */
MysqlLink *mysql_link_new(const char *url, int64_t timeout_ms, const ConfTls *tls,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
void mysql_link_free(MysqlLink *link); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MysqlLink, mysql_link_free)

/* Closes, and has the next connection use this time limit. */
void mysql_link_set_timeout(MysqlLink *link, int64_t timeout_ms);
int64_t mysql_link_timeout_ms(const MysqlLink *link);

typedef struct {
        GPtrArray *rows;   /* of GStrv: one string per column, "" for NULL; empty for what is no query */
        uint64_t affected; /* rows changed */
        uint64_t insert_id;
} MysqlResult;

void mysql_result_clear(MysqlResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MysqlResult, mysql_result_clear)

/*
 * Prepares and runs one statement with @parameters (NULL-terminated array, or NULL) for its question marks.
 * Returns 0 and fills @out_result, or the server's or client's error number and sets @error.
 */
unsigned mysql_link_run(MysqlLink *link, const char *sql, const char *const *parameters,
                        MysqlResult *out_result, GError **error) G_GNUC_WARN_UNUSED_RESULT;
