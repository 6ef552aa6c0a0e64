/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A broken network: a TCP proxy on 127.0.0.1 in front of one server, in a thread of its own. It passes
 * everything until it is told otherwise, and knows AMQP frames, so that a connection can break at an exact
 * place. Any other protocol passes as bytes.
 *
 * "Up" is from the client to the server. All functions may be called from any one thread at any time.
 */
typedef struct FaultProxy FaultProxy;

typedef enum { FAULT_UP = 1, FAULT_DOWN = 2, FAULT_BOTH = 3 } FaultDirection;

typedef enum {
        FAULT_NOTHING,
        FAULT_CUT,    /* RST to both sides */
        FAULT_CLOSE,  /* FIN to both sides */
        FAULT_SILENCE /* the connection stays, but nothing passes any more, the end of it neither */
} FaultAction;

/* How slowly things pass; 0: no limit. */
typedef struct {
        unsigned delay_ms;
        unsigned jitter_ms; /* up to so much more; order holds */
        unsigned slice_bytes;
        unsigned bytes_per_s; /* of each direction of each connection */
} FaultShape;

/* Kinds of frames besides methods, which are named as in amqp_framing.h: AMQP_BASIC_PUBLISH_METHOD. */
#define FAULT_HEADER 2U
#define FAULT_BODY 3U
#define FAULT_BYTES 4U /* no frame: counts bytes */

typedef enum { FAULT_BEFORE, FAULT_MIDDLE, FAULT_AFTER } FaultMoment;

/* What happens, once, when the @nth frame of a kind passes, counted over all connections. */
typedef struct {
        FaultDirection direction;
        uint32_t frame;
        uint64_t nth; /* from 1; for FAULT_BYTES: how many bytes still pass */
        FaultMoment moment;
        FaultAction action; /* upon the connection of that frame */
} FaultTrigger;

/* @url: of the server, with an IPv4 address and a port. Aborts the test if there is no port to listen on. */
FaultProxy *fault_proxy_new(const char *url) G_GNUC_WARN_UNUSED_RESULT;
void fault_proxy_free(FaultProxy *proxy); /* cuts all; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FaultProxy, fault_proxy_free)

/* The server's URL with the proxy's address; the proxy's. */
const char *fault_proxy_url(const FaultProxy *proxy);

/* FAULT_CUT or FAULT_CLOSE for every connection; done when it returns. New connections are taken. */
void fault_proxy_end(FaultProxy *proxy, FaultAction action);
/* Cuts new connections at once. */
void fault_proxy_refuse(FaultProxy *proxy);
/* Nothing passes in that direction, on old and new connections. */
void fault_proxy_silence(FaultProxy *proxy, FaultDirection direction);
void fault_proxy_shape(FaultProxy *proxy, const FaultShape *shape);
void fault_proxy_arm(FaultProxy *proxy, const FaultTrigger *trigger);
/* Waits until the trigger has acted; false if it did not within @deadline_ms. */
bool fault_proxy_wait_fired(FaultProxy *proxy, int64_t deadline_ms);

/* All is well again: no trigger, no limits, and what was held back passes. */
void fault_proxy_heal(FaultProxy *proxy);

unsigned fault_proxy_connections(FaultProxy *proxy);
