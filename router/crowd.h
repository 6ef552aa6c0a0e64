/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * Who is connected over HTTP. Past CROWD_MAX connections the one that has been quiet longest is shut down for
 * each that comes, so that however many sit there and say nothing, the next one is served. One thread.
 */
typedef struct Crowd Crowd;

enum { CROWD_MAX = 192 };

/* A connection's place in the crowd; NULL: nobody. */
typedef struct CrowdGuest CrowdGuest;

Crowd *crowd_new(void) G_GNUC_WARN_UNUSED_RESULT;
void crowd_free(Crowd *crowd); /* NULL is fine */

CrowdGuest *crowd_enter(Crowd *crowd,
                        int socket); /* leaves with crowd_leave(), before the socket is closed */
void crowd_speak(Crowd *crowd, CrowdGuest *guest); /* it sent a whole request */
void crowd_leave(Crowd *crowd, CrowdGuest *guest);
