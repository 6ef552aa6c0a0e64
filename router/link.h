/* SPDX-License-Identifier: MIT */
#pragma once

#include "conf/conf.h"
#include "router/dial.h"
#include "router/dialler.h"
#include "router/message.h"
#include "router/watchdog.h"

#include <amqp.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * One AMQP connection with one channel for messages (LINK_CHANNEL), made again whenever it is lost.
 *
 * Dialling (connect, log in, set up) blocks, so it runs in a thread of its own and wakes the owner through an
 * eventfd; from then on only the owner's thread touches the connection. A lost link waits 0.5 s before the
 * next try, then longer and longer with jitter, and goes through its list of URLs.
 */
typedef struct Link Link;

/* What a link needs of the lane it lives in. */
typedef struct {
        int wake_fd; /* eventfd, written when dialling ends */
        Watchdog *watchdog;
} LinkHome;

typedef struct {
        Conf *conf;              /* the link takes a reference */
        const ConfRoute *route;  /* of that conf */
        const char *const *urls; /* of that conf: tried in order */
        const ConfTls *tls;      /* of that conf */
        const char *role;        /* constant word for the connection name: "intake", "outlet", ... */
        DiallerSetup setup;
        const LinkHome *home; /* outlives the link */
} LinkOptions;

typedef enum { LINK_DOWN, LINK_DIALLING, LINK_UP } LinkState;

Link *link_new(const LinkOptions *options);
void link_free(Link *link); /* closes at once, without a word to the broker; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Link, link_free)

/* Call at least once a second: dials when it is time, takes over a finished dial, serves heartbeats. */
LinkState link_tick(Link *link, int64_t now_us);
LinkState link_state(const Link *link);

/* Says goodbye to the broker, so that it requeues what is unacknowledged at once, and waits until then for
 * its answer; then DOWN for good. */
void link_close(Link *link, int64_t until_us);

/* The connection failed: throws it away; the next one is dialled after a pause. @format says why, for people.
 */
void link_fail(Link *link, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Why it is not up, or NULL while it is. Belongs to the link. */
const char *link_error(const Link *link);

/* The broker said connection.blocked: it takes no publishes just now. */
bool link_is_blocked(const Link *link);

/* Counts the channels this link has had: a changed number means that tags and sequence numbers began anew. */
uint64_t link_generation(const Link *link);

int link_fd(const Link *link);                       /* -1 unless UP */
bool link_has_buffered(const Link *link);            /* frames already read: do not wait for the socket */
amqp_connection_state_t link_connection(Link *link); /* NULL unless UP */

/* True if a publish of ordinary size will not block: the socket takes more. */
bool link_has_room(Link *link);

/*
 * Mandatory publish on LINK_CHANNEL. It may wait to be written with others until link_flush(), which every
 * other call that speaks to the broker begins with. False if the connection failed (then the link is DOWN).
 */
bool link_publish(Link *link, amqp_bytes_t exchange, amqp_bytes_t key,
                  const amqp_basic_properties_t *properties, amqp_bytes_t body) G_GNUC_WARN_UNUSED_RESULT;

/* Writes the publishes that wait, as far as the socket takes them at once. False if the connection failed. */
bool link_flush(Link *link);

/* A publish larger than the socket takes at once is still being written: link_flush() goes on. */
bool link_is_writing(const Link *link);

/* Sends a method without waiting for an answer. False if the connection failed. */
bool link_send(Link *link, amqp_channel_t channel, amqp_method_number_t id, void *method);

/*
 * Opens LINK_SIDE_CHANNEL, for what may be refused, unless it is open. Does not wait for the broker: what is
 * sent behind it is done behind it. False if the connection failed.
 */
bool link_open_side(Link *link) G_GNUC_WARN_UNUSED_RESULT;

/* After LINK_EVENT_CHANNEL_CLOSED: opens the channel anew, in the same way; not yet set up. */
bool link_reopen(Link *link) G_GNUC_WARN_UNUSED_RESULT;

typedef enum {
        LINK_EVENT_NOTHING,
        LINK_EVENT_DELIVERY,       /* message */
        LINK_EVENT_RETURN,         /* message, with reply_code; its confirm follows */
        LINK_EVENT_ACK,            /* tag, multiple */
        LINK_EVENT_NACK,           /* tag, multiple */
        LINK_EVENT_CANCELLED,      /* the broker ended a consumer: its queue is gone */
        LINK_EVENT_CANCEL_OK,      /* our cancel is done: no delivery to `consumer` follows */
        LINK_EVENT_CHANNEL_CLOSED, /* by the broker; code and text; link_reopen() or link_fail() must follow
                                    */
        LINK_EVENT_DECLARED,       /* queue.declare-ok on the side channel: messages, consumers */
        LINK_EVENT_SIDE_CLOSED,    /* by the broker; code and text; link_open_side() opens it again */
        LINK_EVENT_LOST,           /* the link is DOWN; link_error() says why */
} LinkEventKind;

typedef struct {
        LinkEventKind kind;
        Message *message; /* new, the caller's */
        int consumer;
        uint64_t tag;
        bool multiple;
        uint32_t messages;
        uint32_t consumers;
        uint16_t code;
        char text[160];
} LinkEvent;

/*
 * poll() has news of link_fd(): link_next() may read the socket that many times, or until it is empty. It
 * never looks by itself, since looking in vain costs as much as a message.
 */
void link_expect(Link *link, unsigned reads, int64_t now_us);

/* The next thing that happened on LINK_CHANNEL, of what was read and may be read; never waits. */
LinkEventKind link_next(Link *link, LinkEvent *out_event);
