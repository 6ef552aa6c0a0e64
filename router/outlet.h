/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/inquiry.h"
#include "router/ledger.h"
#include "router/link.h"

#include <glib.h>
#include <stdbool.h>

/*
 * Where messages leave: one publishing connection, its unconfirmed window, and what the broker says of each
 * publish.
 *
 * Every publish is mandatory and numbered; the number also stands in the header x-router-seq, since
 * basic.return carries no other. Belongs to the thread of its lane.
 */
typedef struct Outlet Outlet;

Outlet *outlet_new(Conf *conf, const ConfRoute *route, const char *const *urls, const ConfTls *tls,
                   const LinkHome *home);
void outlet_free(Outlet *outlet); /* its window must be empty; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Outlet, outlet_free)

Link *outlet_link(Outlet *outlet);

/* May the next flight be published now? @alone: it cannot carry its number, so nothing else may be
 * unconfirmed. */
bool outlet_is_ready(Outlet *outlet, bool alone);

/* The number that the next publish will have: goes into x-router-seq. */
uint64_t outlet_next_seq(const Outlet *outlet);

/*
 * Publishes; only when outlet_is_ready(). The flight stays the caller's and comes back exactly once through
 * outlet_next(), also if the connection fails here.
 */
void outlet_publish(Outlet *outlet, Flight *flight, bool alone, amqp_bytes_t exchange, amqp_bytes_t key,
                    const amqp_basic_properties_t *properties, amqp_bytes_t body);

typedef enum {
        OUTLET_NOTHING,
        OUTLET_CONFIRMED, /* the broker has it */
        OUTLET_RETURNED,  /* no queue is bound there (flight->returned is the code) */
        OUTLET_NACKED,    /* the broker could not take it */
        OUTLET_REFUSED,   /* publishing it closed the channel: @code says why (404, 403, 406, ...) */
        OUTLET_UNSURE,    /* the connection was lost before its confirm: publish it again, marked */
} OutletEventKind;

typedef struct {
        OutletEventKind kind;
        Flight *flight; /* out of the window, WAITING */
        uint16_t code;
        char text[160]; /* REFUSED: what the broker said */
} OutletEvent;

/* The next publish whose fate is known; never waits. */
OutletEventKind outlet_next(Outlet *outlet, OutletEvent *out_event);

/* The unconfirmed publish that was made first, or NULL. */
Flight *outlet_oldest(const Outlet *outlet);

size_t outlet_unconfirmed(const Outlet *outlet);

/*
 * Asks the broker about a queue, as inquiries_ask(), without ever waiting: PENDING also while nothing can be
 * asked. What was asked on a connection that was lost is asked anew. Answers come through outlet_next(). Not
 * for a link on whose side channel somebody makes calls.
 */
InquiryResult outlet_ask(Outlet *outlet, InquiryKind kind, const char *queue, int64_t now_us,
                         InquiryAnswer *out_answer) G_GNUC_WARN_UNUSED_RESULT;

/* Since when the broker owes the answer to a question; 0: it owes none. */
int64_t outlet_asked_us(const Outlet *outlet);

/* Gives up on all unconfirmed publishes and questions: outlet_next() returns each as UNSURE. The connection
 * is dropped. */
void outlet_abandon(Outlet *outlet, const char *why);
