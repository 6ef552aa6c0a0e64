/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What is in flight: the bookkeeping that decides when the input may be acknowledged. Pure, no I/O; one
 * thread.
 *
 * A Ledger stands for one consuming channel: its deliveries in order of their tags (1, 2, 3, ... without
 * gaps). A Window stands for one publishing channel: its unconfirmed publishes in order of their sequence
 * numbers. A Flight is one delivery on its way; whoever embeds it (as the first member) owns its memory.
 *
 *     ledger_add -> window_publish -> window_confirm -> ledger_settle -> ledger_next_ack -> flight is free
 *
 * The rule that loses nothing: a tag is acknowledged only if its flight was settled, and `multiple` only over
 * a prefix in which every flight is settled. Confirms may come in any order.
 */

typedef struct Ledger Ledger;
typedef struct Window Window;

typedef enum {
        FLIGHT_WAITING,     /* delivered to us, not published now */
        FLIGHT_PUBLISHED,   /* published, no confirm yet */
        FLIGHT_SETTLED,     /* has its outcome, may be acknowledged */
        FLIGHT_HANDED_BACK, /* is to be given back to its queue */
} FlightState;

typedef struct {
        FlightState state;
        uint64_t tag;      /* delivery tag */
        uint64_t seq;      /* publish sequence number while PUBLISHED */
        Ledger *ledger;    /* NULL once its channel is gone: the broker will deliver the message again */
        Window *window;    /* while PUBLISHED */
        uint16_t returned; /* reply code, if the broker returned the publish; set by the outlet */
        int64_t settled_us;
} Flight;

/* ---- deliveries ---- */

Ledger *ledger_new(void);
void ledger_free(Ledger *ledger); /* must be empty; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ledger, ledger_free)

/* Enters a delivery. False if @tag is not the one that follows the last: the channel is out of step, drop it.
 */
bool ledger_add(Ledger *ledger, uint64_t tag, Flight *flight) G_GNUC_WARN_UNUSED_RESULT;

/* The flight has its outcome (@now_us: monotonic). Only for a flight that is not PUBLISHED. */
void ledger_settle(Flight *flight, int64_t now_us);

/* The flight goes back to its queue. Only for a WAITING flight. */
void ledger_hand_back(Flight *flight);

typedef enum {
        LEDGER_ACK_NONE,
        LEDGER_ACK_UPTO, /* basic.ack, multiple: all up to this tag */
        LEDGER_ACK_ONE,  /* basic.ack of this tag alone */
        LEDGER_BACK_ONE, /* basic.nack, requeue, of this tag alone */
} LedgerAckKind;

/*
 * What to tell the broker next; call until NONE. The settled prefix goes first, as one ack. What is settled
 * beyond a gap is acknowledged one by one once one of them has waited @patience_us, so that one stuck message
 * does not use up the prefetch window of all others: from then on until the gap closes nothing waits behind
 * it.
 */
LedgerAckKind ledger_next_ack(Ledger *ledger, int64_t now_us, int64_t patience_us, uint64_t *out_tag);

/*
 * A flight that is acknowledged, or given back, and out of the books, for its owner to free; NULL if there is
 * none. In no order: what was told alone does not wait for the gap before it.
 */
Flight *ledger_pop(Ledger *ledger);

/*
 * The channel is gone: forgets all deliveries. Calls @drop for each flight that is not PUBLISHED, for its
 * owner to free; a PUBLISHED one stays in its window with ledger = NULL. Tags start anew at 1.
 */
void ledger_reset(Ledger *ledger, void (*drop)(Flight *flight, void *user_data), void *user_data);

/* Deliveries without an outcome so far. */
size_t ledger_open_count(const Ledger *ledger);
/* Deliveries still in the books, acknowledged or not. */
size_t ledger_count(const Ledger *ledger);

/* ---- publishes ---- */

Window *window_new(void);
void window_free(Window *window); /* must be empty; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Window, window_free)

/* The number that the next publish on this channel gets. */
uint64_t window_next_seq(const Window *window);

/* Enters a publish just made; its seq is window_next_seq() as it was before. */
void window_publish(Window *window, Flight *flight);

/* The unconfirmed publish of that number, or NULL. */
Flight *window_find(const Window *window, uint64_t seq);

/*
 * A confirm (or refusal) arrived. Takes the flights it covers out of the window, in order, back to WAITING:
 * call until it returns NULL. Unknown and repeated numbers cover nothing.
 */
Flight *window_confirm(Window *window, uint64_t seq, bool multiple);

/* The channel is gone: takes out the oldest unconfirmed flight, back to WAITING; call until NULL. Then
 * numbers start anew. */
Flight *window_abandon(Window *window);

/* The unconfirmed publish that was made first, or NULL. */
Flight *window_oldest(const Window *window);

size_t window_count(const Window *window);
