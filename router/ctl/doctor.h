/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What `clusterctl doctor` looks at, one function per kind of thing; each adds what it finds. They change
 * nothing that stays.
 */

typedef enum { FINDING_OK, FINDING_NOTE, FINDING_WARNING, FINDING_ERROR } Severity;

typedef struct {
        const Conf *conf;
        GPtrArray *findings;          /* of Finding *, see doctor.c */
        GPtrArray *clusters;          /* of char *: those of the file and the catalogue */
        json_t *policies;             /* what rabbitmqctl list_policies says, or NULL: not given */
        uint64_t consumer_timeout_ms; /* of the brokers, 0: not given */
} Doctor;

/* All copied. @meaning and @remedy may be NULL for FINDING_OK alone. */
void doctor_add(Doctor *doctor, Severity severity, const char *check, const char *subject, const char *found,
                const char *meaning, const char *remedy);

/* Fine: @found, in the form of printf. */
void doctor_ok(Doctor *doctor, const char *check, const char *subject, const char *found, ...)
    G_GNUC_PRINTF(4, 5);

void doctor_look_at_redis(Doctor *doctor);
void doctor_look_at_mysql(Doctor *doctor); /* also learns the clusters of the catalogue */
void doctor_look_at_router(Doctor *doctor);
void doctor_look_at_brokers(Doctor *doctor);
void doctor_look_at_certificates(Doctor *doctor);

/* Do two clocks differ, in microseconds? Pure but for the findings. */
void doctor_compare_clocks(Doctor *doctor, const char *subject, int64_t ours_us, int64_t theirs_us);

/* ---- what a queue is for, and how it is set: doctor_queue.c ---- */

typedef enum {
        QUEUE_SHARED,      /* where requests come from */
        QUEUE_STORE,       /* parked or dead: what is lost there is lost for good */
        QUEUE_DESTINATION, /* of a cluster */
        QUEUE_CONTROL,
} QueueRole;

/*
 * Judges settings (name without "x-" -> value as text) of a queue, by whom they were made: "its arguments",
 * or a policy.
 */
void doctor_judge_settings(Doctor *doctor, const char *queue, QueueRole role, const char *origin,
                           GHashTable *settings);

/* Judges the policy of those given that the broker would apply to this queue. */
void doctor_judge_policy(Doctor *doctor, const char *vhost, const char *queue, QueueRole role);

/* Says what cannot be seen without --policies and --consumer-timeout; judges the latter. */
void doctor_judge_unseen(Doctor *doctor);
