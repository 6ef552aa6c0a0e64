/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/mysql_link.h"
#include "tests/support/live.h"
#include "tests/support/stage.h"

#include <glib.h>
#include <jansson.h>
#include <string.h>

/* What the tests of clusterctl share: an empty database, and one call of the program on a stage. */

/* URL of an empty database of that name; NULL, the test being marked as skipped, without a server. */
static inline char *
fresh_database(const char *name)
{
        const char *url = live_env("MYSQL_URL");
        g_autoptr(GError) error = NULL;

        if (url == NULL)
                return NULL;

        g_autoptr(MysqlLink) link = mysql_link_new(url, 5000, NULL, &error);
        g_autofree char *drop = g_strdup_printf("DROP DATABASE IF EXISTS %s", name);
        g_autofree char *create = g_strdup_printf("CREATE DATABASE %s", name);
        const char *const statements[] = {drop, create};

        for (size_t i = 0; i < G_N_ELEMENTS(statements); i++) {
                g_auto(MysqlResult) result = {0};

                g_assert_cmpuint(mysql_link_run(link, statements[i], NULL, &result, &error), ==, 0);
        }

        const char *server = strstr(url, "://") + 3;

        return g_strdup_printf("mysql://%.*s/%s", (int)strcspn(server, "/"), server, name);
}

/* Runs clusterctl with the stage's configuration; both its outputs, the caller's. @words end with NULL. */
static inline char *
run_ctl(const Stage *stage, int expect_status, const char *const *words)
{
        g_autoptr(GPtrArray) argv = g_ptr_array_new();
        g_autofree char *out = NULL;
        g_autofree char *errors = NULL;

        g_ptr_array_add(argv, (gpointer) "clusterctl");
        g_ptr_array_add(argv, (gpointer) "-c");
        g_ptr_array_add(argv, stage->conf_path);
        while (*words != NULL)
                g_ptr_array_add(argv, (gpointer)*words++);
        g_ptr_array_add(argv, NULL);

        int status = program_run((const char *const *)argv->pdata, &out, &errors);

        if (status != expect_status)
                g_error("status %d, expected %d: %s%s", status, expect_status, out, errors);
        return g_strconcat(out, errors, NULL);
}

#define RUN_CTL(stage, status, ...) run_ctl(stage, status, (const char *const[]){__VA_ARGS__, NULL})

/* The document at the beginning of what it says; free with json_decref. */
static inline json_t *
parse_said(char *said)
{
        json_t *document = json_loads(said, JSON_DISABLE_EOF_CHECK, NULL);

        if (document == NULL)
                g_error("no JSON: %s", said);
        g_free(said);
        return document;
}
