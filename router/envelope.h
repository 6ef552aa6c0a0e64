/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/view.h"
#include "conf/conf.h"
#include "router/json_scan.h"

#include <amqp.h>
#include <glib.h>
#include <stdbool.h>

/*
 * What a message says of itself: which cluster it is for, whether somebody waits for a reply, and where.
 *
 * The sources of a route are tried in order; the first whose value is a known cluster (by name or alias, or,
 * for host sources, through the host's cluster) wins. If none is: bad beats unknown beats none. A host may be
 * written "host@backend#pool", as oslo services do: what stands before the "@" is looked up if the whole is
 * not known. Pure: no I/O, no allocation per message. An EnvelopeReader belongs to one thread.
 */

typedef enum {
        ENVELOPE_NO_CLUSTER, /* no source holds a value */
        ENVELOPE_CLUSTER,    /* a known cluster */
        ENVELOPE_UNKNOWN,    /* some source holds a value, none is a known cluster */
        ENVELOPE_BAD,        /* a field of another type, a broken body, two keys of one name */
} EnvelopeKind;

/* The parts of a message that can name its cluster; all borrowed, nothing is copied. */
typedef struct {
        amqp_bytes_t exchange;
        amqp_bytes_t key;
        const amqp_table_t *headers; /* or NULL */
        amqp_bytes_t reply_to;       /* property, empty if absent */
        amqp_bytes_t body;
} EnvelopeInput;

enum { ENVELOPE_VALUE_MAX = 255 };

/* What one source said, for `explain`. */
typedef enum {
        SOURCE_SAYS_NOTHING,
        SOURCE_SAYS_KNOWN,
        SOURCE_SAYS_UNKNOWN,
        SOURCE_SAYS_BAD,
} SourceAnswer;

typedef struct {
        EnvelopeKind kind;
        const ViewCluster *cluster; /* if CLUSTER; belongs to the view */
        int source;                 /* index in ConfRoute.sources that decided, -1 if none; of several that
                                       are bad or unknown alike, the first */
        /* The value that decided (CLUSTER or UNKNOWN), cut at ENVELOPE_VALUE_MAX bytes: hostile data, maybe
         * not UTF-8. */
        char value[ENVELOPE_VALUE_MAX + 1];
        size_t value_length;
        const char *why; /* if BAD: a constant sentence */
        bool is_call; /* somebody waits for a reply: reply_to, or _msg_id and _reply_q inside an oslo envelope
                       */
        bool is_oslo; /* the body is an oslo.messaging envelope (known only if the body was scanned) */
        JsonValue reply_q; /* _reply_q of an oslo call, else JSON_VALUE_ABSENT; points into the body */
        JsonValue msg_id;
        JsonValue unique_id;
        bool has_affinity; /* the route's `affinity` source holds a value */
        uint64_t affinity; /* if so: hash of that value, of its first ENVELOPE_VALUE_MAX bytes */
} Envelope;

typedef struct EnvelopeReader EnvelopeReader;

/*
 * Compiles the sources of @route, which must outlive the reader. @tell_calls: find out of every message
 * whether it is a call, even if no policy of the route asks for it.
 */
EnvelopeReader *envelope_reader_new(const ConfRoute *route, bool tell_calls);
void envelope_reader_free(EnvelopeReader *reader); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EnvelopeReader, envelope_reader_free)

/*
 * Reads one message. The body is scanned once, only if a source that needs it is consulted or the route must
 * tell calls from casts (its policies for them differ, or one is `fail`). If it was not scanned, only
 * reply_to makes a call. In single-cluster mode no source is asked.
 */
void envelope_read(EnvelopeReader *reader, const View *view, const EnvelopeInput *input,
                   Envelope *out_envelope);

/*
 * The same, telling what every source in turn said: @out_answers has room for ConfRoute.sources->len entries
 * and is filled up to and including Envelope.source where a cluster was found, else wholly.
 */
void envelope_explain(EnvelopeReader *reader, const View *view, const EnvelopeInput *input,
                      Envelope *out_envelope, SourceAnswer *out_answers);
