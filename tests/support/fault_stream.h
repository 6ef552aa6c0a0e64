/* SPDX-License-Identifier: MIT */
#pragma once

#include "tests/support/fault_proxy.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * One direction of a connection that passes a fault proxy: what was read and is not written yet. The proxy's
 * thread only.
 */
typedef struct {
        int from;
        int to;
        FaultDirection direction;
        GQueue late;         /* of chunks that are not due yet */
        GByteArray *ready;   /* due, not written */
        size_t allowed;      /* bytes of `ready` that may be written */
        uint64_t frame_left; /* bytes of the current frame that are not allowed yet */
        uint64_t stop_in;    /* the trigger stops the stream after so many bytes; UINT64_MAX: it does not */
        bool begun;          /* the first byte was seen */
        bool raw;            /* no AMQP: one endless frame */
        bool stopped;        /* by the trigger: nothing more is allowed */
        bool ended;          /* the sender closed */
        bool broken;         /* the sender reset the connection, or the receiver is gone */
        int64_t write_us;    /* not before: the bandwidth is used up */
} FaultStream;

/* The trigger of a proxy with its progress. */
typedef struct {
        FaultTrigger what; /* action FAULT_NOTHING: not armed */
        uint64_t seen;
        bool stopping; /* a stream has found the place */
} FaultArmed;

void fault_stream_init(FaultStream *stream, int from, int to, FaultDirection direction);
void fault_stream_clear(FaultStream *stream);

/* Takes in what the sender has, up to a bound. */
void fault_stream_read(FaultStream *stream, const FaultShape *shape, GRand *random, int64_t now_us);
/* Passes on what is due. */
void fault_stream_write(FaultStream *stream, const FaultShape *shape, FaultArmed *armed, int64_t now_us);

bool fault_stream_wants_input(const FaultStream *stream);
bool fault_stream_wants_output(const FaultStream *stream, int64_t now_us);
/* When something is due without any news from a socket; INT64_MAX: never. */
int64_t fault_stream_due_us(const FaultStream *stream, int64_t now_us);
/* By the trigger, and all before its place has left this machine: a reset would drop what is unsent. */
bool fault_stream_has_stopped(const FaultStream *stream);
bool fault_stream_is_empty(const FaultStream *stream);
