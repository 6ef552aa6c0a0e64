/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/catalogue.h"
#include "cluster/liveness.h"
#include "conf/conf.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * All clusters and hosts as this program finds them now, in the file, the catalogue and redis, whether or not
 * a router runs.
 */

typedef enum { MEMBER_UP, MEMBER_DOWN, MEMBER_DRAINED, MEMBER_UNKNOWN } MemberState;

typedef struct {
        const ConfCluster *conf; /* its group in the file, or NULL */
        int64_t id;              /* in the catalogue, or 0 */
        bool drained;
        char *drain_reason; /* these four: or NULL */
        char *drain_since;
        char *drain_by;
        char *drain_to;
        GPtrArray *drained_hosts;  /* of CatalogueHost *, or NULL */
        LivenessCluster *liveness; /* its name and hosts */
        bool liveness_known;       /* redis told, or none is configured */
} InventoryCluster;

typedef struct {
        GPtrArray *clusters;   /* of InventoryCluster *: those of the file first, then by catalogue id */
        bool catalogue_failed; /* configured, but could not be read: clusters may be missing */
        bool liveness_failed;  /* redis is configured, but could not be asked: states are unknown */
} Inventory;

/* Never fails: what cannot be had is missing or unknown, and said on stderr. @conf must outlive it. */
Inventory *inventory_new(const Conf *conf) G_GNUC_WARN_UNUSED_RESULT;
void inventory_free(Inventory *inventory); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Inventory, inventory_free)

const InventoryCluster *inventory_find(const Inventory *inventory, const char *name);

MemberState inventory_cluster_state(const InventoryCluster *cluster);
MemberState inventory_host_state(const InventoryCluster *cluster, const LivenessHost *host);
/* Who took that host out, or NULL. */
const CatalogueHost *inventory_drained_host(const InventoryCluster *cluster, const char *host);
unsigned inventory_count_up(const InventoryCluster *cluster);
const char *member_state_name(MemberState state); /* "up", "down", "drained", "unknown" */

/* EXIT_DONE if the file or the catalogue has that cluster; else says why not and returns the exit status. */
int inventory_check_cluster(const Conf *conf, const char *name) G_GNUC_WARN_UNUSED_RESULT;

/* Says what failed at the server of @url, without its password, and returns EXIT_UNAVAILABLE. */
int inventory_fail(const char *url, const GError *error);

/* The catalogue of @conf; NULL after saying on stderr why there is none (then: EXIT_CONFIG). */
Catalogue *inventory_open_catalogue(const Conf *conf) G_GNUC_WARN_UNUSED_RESULT;
