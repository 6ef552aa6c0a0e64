/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/report.h"

#include <glib.h>
#include <stdint.h>

/*
 * What changed when: each look compares what the router shows of itself with what it showed at the last one,
 * and keeps the newest CHANGES_MAX differences, in at most 50 KB. What changes and changes back between two
 * looks is not seen, but for a lost connection, which is counted elsewhere. One thread at a time.
 */
typedef struct Changes Changes;

enum { CHANGES_MAX = 100, CHANGE_TEXT_BYTES = 240 };

/* id, code, tone: how good the news is */
#define CHANGE_KINDS(X)                                                                                      \
        X(START, "start", "info")                                                                            \
        X(CLUSTER_NEW, "cluster_new", "info")                                                                \
        X(CLUSTER_GONE, "cluster_gone", "info")                                                              \
        X(CLUSTER_UP, "cluster_up", "good")                                                                  \
        X(CLUSTER_DOWN, "cluster_down", "bad")                                                               \
        X(CLUSTER_DRAINED, "cluster_drained", "warning")                                                     \
        X(HOSTS_LOST, "hosts_lost", "warning")                                                               \
        X(HOSTS_FOUND, "hosts_found", "good")                                                                \
        X(BROKER_LOST, "broker_lost", "bad")                                                                 \
        X(BROKER_FOUND, "broker_found", "good")                                                              \
        X(SOURCE_LOST, "source_lost", "bad")                                                                 \
        X(SOURCE_FOUND, "source_found", "good")                                                              \
        X(BRAKE_ON, "brake_on", "warning")                                                                   \
        X(BRAKE_OFF, "brake_off", "good")                                                                    \
        X(RELOAD, "reload", "info")                                                                          \
        X(RELOAD_REFUSED, "reload_refused", "bad")

Changes *changes_new(void) G_GNUC_WARN_UNUSED_RESULT;
void changes_free(Changes *changes); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Changes, changes_free)

/* @routes: the snapshot of this moment. The first look only says that the router has started. */
void changes_look(Changes *changes, const ReportInput *input, const GPtrArray *routes, int64_t now_unix);

/* Appends [{"number", "at": UNIX, "kind", "tone", "subject", "text"}], oldest first. */
void changes_append_json(const Changes *changes, GString *out);
