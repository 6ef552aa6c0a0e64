/* SPDX-License-Identifier: MIT */
#pragma once

/* What registry.c (called by everybody) and registry_thread.c (its thread) share. */

#include "cluster/backoff.h"
#include "cluster/catalogue.h"
#include "cluster/change_log.h"
#include "cluster/damping.h"
#include "cluster/host_notes.h"
#include "cluster/liveness.h"
#include "cluster/registry.h"

#include <stdatomic.h>

struct Registry {
        GThread *thread;
        RegistryNotify notify;
        void *user_data;

        GMutex view_lock;
        View *view; /* under view_lock; NULL only before registry_new() is through */
        _Atomic uint64_t generation;

        GMutex lock; /* for all up to the next comment */
        GCond wake;
        GCond first_round; /* signalled when tried_once or started becomes true */
        Conf *conf;
        uint64_t conf_serial;
        Damping *damping;
        GPtrArray *rows; /* of CatalogueCluster *, never changed, only replaced: the last good catalogue */
        RegistryStatus status;
        HostNotes *notes;
        bool noted; /* there is something new among them */
        bool stop;
        bool poke;
        bool tried_once; /* by the thread: MySQL and redis */
        bool started;    /* registry_new() is through */

        /* The thread's own. */
        Liveness *liveness;        /* NULL: no [redis] */
        Catalogue *catalogue;      /* NULL: no [mysql] */
        uint64_t connected_serial; /* the configuration that the two were made from */
        GPtrArray *polled;      /* of LivenessCluster *: what the last poll found; NULL: it found nothing */
        uint64_t polled_serial; /* the configuration and the catalogue that their names come from */
        GPtrArray *polled_rows;
        int64_t redis_due_us;
        int64_t announce_due_us;
        int64_t mysql_due_us;
        int64_t serial_due_us; /* when to look whether the catalogue has changed */
        uint64_t serial;       /* of the catalogue last read */
        Backoff redis_backoff;
        Backoff mysql_backoff;
        char *run_id; /* of the redis process that the last good poll asked, "" if unknown */
        ChangeLog *log;
        View *settled; /* the view that log, disk and notify have seen */
        bool save_due; /* what is on disk is older than the view */
};

/* Under registry->lock: a new view of all that is known, in force if it shows anything new. */
void registry_publish(Registry *registry);

/* File name of the saved view; NULL if there is nowhere to keep it. */
char *registry_saved_path(const Conf *conf);

/* The thread; data is the Registry. */
gpointer registry_thread_main(gpointer data);
