/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/decide.h"
#include "router/message.h"

#include <amqp.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The properties under which a message is published again: as received, but for what a republished message
 * must not carry (CC and BCC, which would be routed with our rights; user_id, which would be refused) and
 * what the router adds (x-router-*, x-possible-duplicate). schema/message.md lists the headers. Pure.
 */

/* What a message that the router put somewhere says of itself in its headers; for any other what it is. */
typedef struct {
        bool is_own;           /* the router put it there: parked, dead, or in the queue of one host */
        amqp_bytes_t exchange; /* as first received */
        amqp_bytes_t key;
        int64_t attempt;       /* how often it was put into a parking queue so far */
        int64_t since_unix_ms; /* when it was first parked, 0: never */
        int64_t time_unix_ms;  /* when it was last parked, 0: never */
        amqp_bytes_t reason;   /* why it was last parked */
        int64_t ttl_ms;        /* what is left of its expiration, -1: it has none; may be negative if over */
        int64_t delivery_mode; /* as first received, 0: none */
} Provenance;

/* @own: it came from a queue that the router fills, where such headers are our own; from anywhere else they
 * are not believed. */
void provenance_read(const Message *message, bool own, int64_t now_unix_ms, Provenance *out_provenance);

typedef struct {
        uint64_t seq;
        bool possible_duplicate;
        int64_t ttl_ms; /* -1: none */
        /* Tag mode: both or neither. */
        const char *tag_cluster;
        const char *tag_hosts;
        /* A parked or dead copy: made persistent, never expires in the queue, and tells why it is there. */
        bool stored;
        Reason reason;
        const ConfRoute *route;
        const char *cluster; /* or NULL */
        int64_t now_unix_ms;
        bool to_host; /* into the queue of one host, from where it may be taken back: says where it came from
                       */
} PublicationNotes;

/* Scratch memory for one publication at a time; reused. */
typedef struct Publication Publication;

Publication *publication_new(void);
void publication_free(Publication *publication); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Publication, publication_free)

/* Valid until the next call; borrows from all its arguments. */
const amqp_basic_properties_t *publication_build(Publication *publication, const Message *message,
                                                 const Provenance *provenance, const PublicationNotes *notes);

/*
 * True if the header table leaves no room for our headers in its frame: then publication_build() leaves them
 * out, the publish cannot be told from others, and must be made alone.
 */
bool publication_is_bare(const Message *message, const char *tag_hosts_or_null);
