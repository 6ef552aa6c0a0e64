/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/liveness.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What hosts said by message: the last word of each, until it is written to redis or, without redis, for as
 * long as it holds. Under the caller's lock.
 */
typedef struct HostNotes HostNotes;

typedef struct {
        char *cluster;
        char *host;
        bool alive;       /* a heartbeat, else a goodbye */
        int64_t until_us; /* it says nothing any more after this */
} HostNote;

enum { HOST_NOTES_MAX = 100000 };

HostNotes *host_notes_new(void);
void host_notes_free(HostNotes *notes); /* NULL is fine */

/* In place of what that host said before. False: there are HOST_NOTES_MAX already. */
bool host_notes_put(HostNotes *notes, const char *cluster, const char *host, bool alive,
                    int64_t until_us) G_GNUC_WARN_UNUSED_RESULT;

/* All of them, as an array of HostNote *; none is left. */
GPtrArray *host_notes_take(HostNotes *notes) G_GNUC_WARN_UNUSED_RESULT;

/* Back in, unless the host has said something since, or it is too late. Takes over @note. */
void host_notes_return(HostNotes *notes, HostNote *note, int64_t now_us);

void host_note_free(HostNote *note); /* NULL is fine */

/* Without redis: adds those who said so to the members, alive until their time is over; forgets goodbyes. */
void host_notes_apply(HostNotes *notes, GPtrArray *clusters, int64_t now_us);
unsigned host_notes_count(const HostNotes *notes);
