/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/message.h"
#include "router/publication.h"

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What a message of a parking or dead queue tells of itself (schema/message.md), for people to find it by.
 * Pure.
 */
typedef struct {
        char *id; /* of STORED_ID_LENGTH hex digits: the same whenever this message is looked at */
        Provenance provenance; /* borrows from the message: not to be read after it is freed */
        bool is_own;           /* a router put it there: the rest is known */
        char *reason;          /* "" for what is not known, here and below */
        char *cluster;
        char *exchange; /* as first received */
        char *key;
        char *method; /* of an oslo.messaging call or cast */
        bool is_call;
        bool is_expired;      /* its own time is over */
        int64_t time_unix_ms; /* when it was put there, 0: not known */
        int64_t attempt;
        size_t bytes; /* of the body */
} Stored;

enum { STORED_ID_LENGTH = 10, STORED_ID_MIN = 4 };

Stored *stored_read(const Message *message, int64_t now_unix_ms) G_GNUC_WARN_UNUSED_RESULT;
void stored_free(Stored *stored); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Stored, stored_free)

/* Seconds since it was put there, as JSON; null if that is not known. */
json_t *stored_age_json(int64_t time_unix_ms, int64_t now_unix_ms) G_GNUC_WARN_UNUSED_RESULT;
/* The same for people: "3 min", "-". New. */
char *stored_age_text(int64_t time_unix_ms, int64_t now_unix_ms) G_GNUC_WARN_UNUSED_RESULT;

/* Which messages are meant; all borrowed, NULL and 0: any. */
typedef struct {
        const char *id; /* its first digits are enough */
        const char *reason;
        const char *cluster;
        const char *method;
        uint64_t older_ms;
} Selection;

bool selection_is_all(const Selection *selection);
bool selection_has(const Selection *selection, const Stored *stored, int64_t now_unix_ms);
