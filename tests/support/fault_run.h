/* SPDX-License-Identifier: MIT */
#pragma once

#include "tests/support/checker.h"
#include "tests/support/fault_proxy.h"
#include "tests/support/stage.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A router under load between broken networks, the verdict, and a row of the table of faults.
 *
 * The router reaches its broker through `shared`, and if east has a broker of its own, that through `east`;
 * the nodes of a cluster it reaches without a proxy. Load and verdict do not pass the proxies. Main thread
 * only.
 */
typedef struct {
        const char *fault; /* its name in the table */
        Stage *stage;
        Checker *checker;
        FaultProxy *shared; /* NULL: the broker is a cluster of nodes, with quorum queues */
        FaultProxy *east;   /* NULL: east's queue is at the shared broker */
        const char *east_url;
        unsigned runs;         /* how often the fault happened so far */
        uint64_t bound;        /* duplicates that these runs excuse */
        bool loaded;           /* the load is on */
        bool rival;            /* not the router moves the messages: its row is written, not judged */
        bool stopped;          /* the rival was: what is left in the shared queue is collected, too */
        bool forgetful;        /* the broker may forget that it delivered before: copies without a mark */
        int64_t collected_us;  /* when something was last found */
        const char *complaint; /* what was not as expected, or NULL */
        int64_t began_us;      /* of the recovery that is measured */
        int64_t worst_us;      /* recovery; INT64_MAX: it did not recover */
        uint32_t west_before;  /* fault_run_watch_west() */
        uint64_t sent_before;
} FaultRun;

enum { FAULT_PREFETCH = 100, FAULT_HOLD_MS = 2000 };

/* The load: messages for east and west in turn, and how many a second. */
extern const char *const FAULT_LOAD[];
enum { FAULT_LOAD_PER_S = 600 };

/* Where the shared broker is, and east's: environment variables, the second NULL for none of its own; and how
 * long they may be silent, 0 for FAULT_HOLD_MS. */
typedef struct {
        const char *shared;
        const char *east;
        unsigned hold_ms;
} FaultBrokers;

/*
 * False, the test being marked as skipped, if a broker is missing. @route_keys: lines for the route's group,
 * may be empty. The router is configured, not started.
 */
bool fault_run_init(FaultRun *run, const char *fault, const FaultBrokers *brokers, const char *route_keys);
void fault_run_clear(FaultRun *run);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(FaultRun, fault_run_clear)

/* Starts router and load, and waits until messages arrive. */
void fault_run_start(FaultRun *run);

/* How often: @few in the short form; with FAULTS_LONG=N so many in a hundred of @many, but not fewer. */
unsigned fault_run_times(unsigned few, unsigned many);

/* The fault happened, or is over: recovery begins. @bound: duplicates that it excuses. */
void fault_run_count(FaultRun *run, uint64_t bound);
/* Waits until messages reach east's queue again. */
void fault_run_recover(FaultRun *run);

/* If not @right, the test fails in the end: the verdict on the messages comes first. @what is borrowed. */
void fault_run_expect(FaultRun *run, bool right, const char *what);

/* Waits until messages for east are in its parking queue. */
void fault_run_expect_parked(FaultRun *run);

/* West must not notice what happens to east: of what is sent between the two calls, 9 in 10 arrive. */
void fault_run_watch_west(FaultRun *run);
void fault_run_expect_west(FaultRun *run, uint64_t messages);

/* Ends the load and waits until everything has arrived; and puts it on again. */
void fault_run_pause(FaultRun *run);
void fault_run_load(FaultRun *run);

/* Notes and takes away what has arrived so far; returns how many messages that were. */
unsigned fault_run_collect(FaultRun *run);

/*
 * Ends the load, waits until everything has arrived, writes the row, and aborts the test unless nothing was
 * lost, misrouted or altered, no copy is unmarked, and duplicates are within the bound.
 */
void fault_run_finish(FaultRun *run);

/* Messages in east's or west's queue now. */
uint32_t fault_run_count_queue(FaultRun *run, const char *cluster);

/* rabbitmqctl: the command that stands in the environment variable @ctl, with these arguments up to NULL.
 * Returns what it prints. */
char *fault_ctl(const char *ctl, ...) G_GNUC_NULL_TERMINATED G_GNUC_WARN_UNUSED_RESULT;
/* The same for whom it need not say anything. */
#define fault_tell(...) g_free(fault_ctl(__VA_ARGS__))
/* The process of the broker that this rabbitmqctl reaches. */
int fault_broker_pid(const char *ctl);
