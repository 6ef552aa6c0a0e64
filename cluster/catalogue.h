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

/* Who took something out, why and since when; each may be NULL. */
typedef struct {
        char *reason;
        char *since; /* as "2026-01-31T12:00:00Z" */
        char *by;
} CatalogueState;

/* A host that is taken out. */
typedef struct {
        char *name;
        CatalogueState state;
} CatalogueHost;

typedef struct {
        int64_t id;
        char *name; /* as it stands in the table: perhaps not a legal name */
        bool deleted;
        bool drained; /* state = drain */
        CatalogueState state;
        char *drain_to;   /* the cluster that gets what is new meanwhile, or NULL */
        GPtrArray *hosts; /* of CatalogueHost *: those taken out */
        char *created_at; /* times as above, or NULL */
        char *deleted_at;
} CatalogueCluster;

typedef enum {
        CATALOGUE_DONE,
        CATALOGUE_EXISTS,  /* there is a live cluster of that name */
        CATALOGUE_MISSING, /* there is none */
        CATALOGUE_FAILED,  /* the database could not do it: error is set */
} CatalogueOutcome;

/* Only parses the URL. @tls may be NULL. */
Catalogue *catalogue_new(const char *url, int64_t timeout_ms, const ConfTls *tls,
                         GError **error) G_GNUC_WARN_UNUSED_RESULT;
void catalogue_free(Catalogue *catalogue); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Catalogue, catalogue_free)
void catalogue_thread_end(void);

/* Appends to the text of @error what the operator can do about it, where the server's number tells. */
void catalogue_add_remedy(unsigned code, GError **error);

void catalogue_cluster_free(CatalogueCluster *cluster); /* NULL is fine */

CatalogueCluster *catalogue_cluster_copy(const CatalogueCluster *from) G_GNUC_WARN_UNUSED_RESULT;
CatalogueCluster *catalogue_cluster_new(int64_t id, const char *name) G_GNUC_WARN_UNUSED_RESULT;
void catalogue_add_host(CatalogueCluster *cluster, const char *host, const CatalogueState *state);

/* All clusters in order of id, as an array of CatalogueCluster *; NULL on failure. */
GPtrArray *catalogue_list(Catalogue *catalogue, bool with_deleted, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* @name must be legal (conf/name.h). */
CatalogueOutcome catalogue_create(Catalogue *catalogue, const char *name, int64_t *out_id,
                                  GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Soft: the row stays, marked as deleted. */
CatalogueOutcome catalogue_delete(Catalogue *catalogue, const char *name,
                                  GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Takes a cluster out, or with @drain false back in. Of a cluster that is out already, the time stays. A
 * cluster without a row, one of the file alone, gets one. @drain_to may be NULL.
 */
bool catalogue_set_state(Catalogue *catalogue, const char *cluster, bool drain, const char *reason,
                         const char *by, const char *drain_to, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same for one host. */
bool catalogue_set_host_state(Catalogue *catalogue, const char *cluster, const char *host, bool drain,
                              const char *reason, const char *by, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A number that grows with every change made through the calls above. */
bool catalogue_serial(Catalogue *catalogue, uint64_t *out_serial, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The last migration applied, 0 for an empty database. */
bool catalogue_version(Catalogue *catalogue, unsigned *out_version, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Applies the migrations that are missing, in order; those of another program at work on the same database
 * are awaited. @out_applied: how many were applied now.
 */
bool catalogue_migrate(Catalogue *catalogue, unsigned *out_applied, GError **error) G_GNUC_WARN_UNUSED_RESULT;
