/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The clusters as MySQL (or MariaDB) has them: table `clusters`, see schema/.
 *
 * Every call has time limits, opens the connection if there is none and drops it after a failure that may
 * have broken it. Values only ever go through prepared statements. One thread, which calls
 * catalogue_thread_end() before it ends.
 */
typedef struct Catalogue Catalogue;

typedef struct {
        int64_t id;
        char *name; /* as it stands in the table: perhaps not a legal name */
        bool deleted;
        bool drained;       /* state = drain */
        char *state_reason; /* or NULL */
        char *state_since;  /* times as "2026-01-31T12:00:00Z", or NULL */
        char *created_at;
        char *deleted_at;
} CatalogueCluster;

typedef enum {
        CATALOGUE_DONE,
        CATALOGUE_EXISTS,  /* there is a live cluster of that name */
        CATALOGUE_MISSING, /* there is none */
        CATALOGUE_FAILED,  /* the database could not do it: error is set */
} CatalogueOutcome;

/* Only parses the URL: mysql://user:password@host:port/database. @tls may be NULL. */
Catalogue *catalogue_new(const char *url, int64_t timeout_ms, const ConfTls *tls,
                         GError **error) G_GNUC_WARN_UNUSED_RESULT;
void catalogue_free(Catalogue *catalogue); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Catalogue, catalogue_free)
void catalogue_thread_end(void);

void catalogue_cluster_free(CatalogueCluster *cluster); /* NULL is fine */

/* All clusters in order of id, as an array of CatalogueCluster *; NULL on failure. */
GPtrArray *catalogue_list(Catalogue *catalogue, bool with_deleted, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* @name must be legal (conf/name.h). */
CatalogueOutcome catalogue_create(Catalogue *catalogue, const char *name, int64_t *out_id,
                                  GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Soft: the row stays, marked as deleted. */
CatalogueOutcome catalogue_delete(Catalogue *catalogue, const char *name,
                                  GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The last migration applied, 0 for an empty database. */
bool catalogue_version(Catalogue *catalogue, unsigned *out_version, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Applies the migrations that are missing, in order; those of another program at work on the same database
 * are awaited. @out_applied: how many were applied now.
 */
bool catalogue_migrate(Catalogue *catalogue, unsigned *out_applied, GError **error) G_GNUC_WARN_UNUSED_RESULT;
