/* SPDX-License-Identifier: MIT */

/*
 * Both sides are the same thing: a ring of flights by consecutive number, with holes where a flight has left.
 * `first` is the lowest number still in the ring; in a window it is always occupied, unless the ring is
 * empty.
 *
 * In a ledger, a flight that was told alone leaves a hole at once: one stuck message may keep the prefix from
 * moving for a minute, and what goes on behind it meanwhile must not pile up in memory.
 */

#include "router/ledger.h"

#include <string.h>

typedef struct {
        Flight **slots; /* capacity is a power of two */
        size_t capacity;
        uint64_t first; /* lowest number in the ring */
        uint64_t next;  /* one above the highest */
} Ring;

struct Ledger {
        Ring ring;
        uint64_t acked;   /* numbers below this are acknowledged and wait for ledger_pop() */
        GPtrArray *alone; /* told alone, and wait for ledger_pop() */
        size_t holes;     /* of these, and those popped already: numbers at or above `acked` */
        size_t open;      /* not yet SETTLED or HANDED_BACK */
        size_t beyond;    /* SETTLED or HANDED_BACK at or above `acked`, not yet told to the broker */
        uint64_t scan;    /* where the search for single acks goes on */
        uint64_t unripe;  /* the lowest that this search has left to wait */
};

struct Window {
        Ring ring;
        size_t count;
};

static void
ring_init(Ring *ring)
{
        *ring = (Ring){.capacity = 64, .first = 1, .next = 1};
        ring->slots = g_new0(Flight *, ring->capacity);
}

static Flight **
ring_slot(const Ring *ring, uint64_t number)
{
        return &ring->slots[number & (ring->capacity - 1)];
}

static void
ring_grow(Ring *ring)
{
        Ring larger = {.capacity = ring->capacity * 2, .first = ring->first, .next = ring->next};

        larger.slots = g_new0(Flight *, larger.capacity);
        for (uint64_t n = ring->first; n < ring->next; n++)
                *ring_slot(&larger, n) = *ring_slot(ring, n);
        g_free(ring->slots);
        *ring = larger;
}

static void
ring_push(Ring *ring, Flight *flight)
{
        if (ring->next - ring->first == ring->capacity)
                ring_grow(ring);
        *ring_slot(ring, ring->next++) = flight;
}

static Flight *
ring_get(const Ring *ring, uint64_t number)
{
        if (number < ring->first || number >= ring->next)
                return NULL;
        return *ring_slot(ring, number);
}

/* ---- deliveries ---- */

Ledger *
ledger_new(void)
{
        Ledger *ledger = g_new0(Ledger, 1);

        ring_init(&ledger->ring);
        ledger->acked = ledger->scan = 1;
        ledger->unripe = UINT64_MAX;
        ledger->alone = g_ptr_array_new();
        return ledger;
}

void
ledger_free(Ledger *ledger)
{
        if (!ledger)
                return;
        g_assert(ledger->ring.first == ledger->ring.next && ledger->alone->len == 0);
        g_ptr_array_unref(ledger->alone);
        g_free(ledger->ring.slots);
        g_free(ledger);
}

bool
ledger_add(Ledger *ledger, uint64_t tag, Flight *flight)
{
        if (tag != ledger->ring.next)
                return false;
        *flight = (Flight){.state = FLIGHT_WAITING, .tag = tag, .ledger = ledger};
        ring_push(&ledger->ring, flight);
        ledger->open++;
        return true;
}

static void
leave_open(Flight *flight, FlightState state)
{
        g_assert(flight->state == FLIGHT_WAITING);
        flight->state = state;
        if (!flight->ledger)
                return;
        flight->ledger->open--;
        flight->ledger->beyond++;
        flight->ledger->scan = MIN(flight->ledger->scan, flight->tag);
}

void
ledger_settle(Flight *flight, int64_t now_us)
{
        leave_open(flight, FLIGHT_SETTLED);
        flight->settled_us = now_us;
}

void
ledger_hand_back(Flight *flight)
{
        leave_open(flight, FLIGHT_HANDED_BACK);
}

/* Moves `acked` over everything that has its outcome; the last tag that the broker still has to hear of, or
 * 0. */
static uint64_t
advance_prefix(Ledger *ledger)
{
        uint64_t last = 0;

        for (; ledger->acked < ledger->ring.next; ledger->acked++) {
                const Flight *flight = *ring_slot(&ledger->ring, ledger->acked);

                if (!flight) {
                        ledger->holes--;
                        continue;
                }
                if (flight->state != FLIGHT_SETTLED)
                        break;
                last = ledger->acked;
                ledger->beyond--;
        }
        ledger->scan = MAX(ledger->scan, ledger->acked);
        return last;
}

static LedgerAckKind
tell_alone(Ledger *ledger, Flight *flight, uint64_t *out_tag)
{
        *ring_slot(&ledger->ring, flight->tag) = NULL;
        g_ptr_array_add(ledger->alone, flight);
        ledger->holes++;
        ledger->beyond--;
        *out_tag = flight->tag;
        return flight->state == FLIGHT_HANDED_BACK ? LEDGER_BACK_ONE : LEDGER_ACK_ONE;
}

/* Has it waited, or is it known already that the gap before it stays? */
static bool
is_ripe(const Ledger *ledger, const Flight *flight, int64_t now_us, int64_t patience_us)
{
        return flight->state == FLIGHT_HANDED_BACK || ledger->holes > 0 ||
               now_us - flight->settled_us >= patience_us;
}

LedgerAckKind
ledger_next_ack(Ledger *ledger, int64_t now_us, int64_t patience_us, uint64_t *out_tag)
{
        /* Also when nothing is left to tell: holes may have to be let go. */
        uint64_t last = advance_prefix(ledger);

        if (last != 0) {
                *out_tag = last;
                return LEDGER_ACK_UPTO;
        }
        for (; ledger->beyond > 0 && ledger->scan < ledger->ring.next; ledger->scan++) {
                Flight *flight = *ring_slot(&ledger->ring, ledger->scan);

                if (!flight || flight->state == FLIGHT_WAITING || flight->state == FLIGHT_PUBLISHED)
                        continue;
                if (is_ripe(ledger, flight, now_us, patience_us))
                        return tell_alone(ledger, flight, out_tag);
                ledger->unripe = MIN(ledger->unripe, ledger->scan);
        }
        ledger->scan = MAX(MIN(ledger->unripe, ledger->ring.next), ledger->acked);
        ledger->unripe = UINT64_MAX;
        return LEDGER_ACK_NONE;
}

Flight *
ledger_pop(Ledger *ledger)
{
        Ring *ring = &ledger->ring;
        Flight *flight = NULL;

        if (ledger->alone->len > 0)
                return g_ptr_array_remove_index_fast(ledger->alone, ledger->alone->len - 1);
        while (!flight && ring->first < ledger->acked)
                flight = *ring_slot(ring, ring->first++);
        return flight;
}

static void
let_go(Flight *flight, void (*drop)(Flight *flight, void *user_data), void *user_data)
{
        flight->ledger = NULL;
        if (flight->state != FLIGHT_PUBLISHED)
                drop(flight, user_data);
}

void
ledger_reset(Ledger *ledger, void (*drop)(Flight *flight, void *user_data), void *user_data)
{
        for (uint64_t n = ledger->ring.first; n < ledger->ring.next; n++) {
                Flight *flight = *ring_slot(&ledger->ring, n);

                if (flight)
                        let_go(flight, drop, user_data);
        }
        for (unsigned i = 0; i < ledger->alone->len; i++)
                let_go(ledger->alone->pdata[i], drop, user_data);
        g_ptr_array_set_size(ledger->alone, 0);
        ledger->ring.first = ledger->ring.next = ledger->acked = ledger->scan = 1;
        ledger->unripe = UINT64_MAX;
        ledger->open = ledger->beyond = ledger->holes = 0;
}

size_t
ledger_open_count(const Ledger *ledger)
{
        return ledger->open;
}

size_t
ledger_count(const Ledger *ledger)
{
        return ledger->ring.next - ledger->ring.first;
}

/* ---- publishes ---- */

Window *
window_new(void)
{
        Window *window = g_new0(Window, 1);

        ring_init(&window->ring);
        return window;
}

void
window_free(Window *window)
{
        if (!window)
                return;
        g_assert(window->count == 0);
        g_free(window->ring.slots);
        g_free(window);
}

uint64_t
window_next_seq(const Window *window)
{
        return window->ring.next;
}

void
window_publish(Window *window, Flight *flight)
{
        g_assert(flight->state == FLIGHT_WAITING);
        flight->state = FLIGHT_PUBLISHED;
        flight->seq = window->ring.next;
        flight->window = window;
        ring_push(&window->ring, flight);
        window->count++;
}

Flight *
window_find(const Window *window, uint64_t seq)
{
        return ring_get(&window->ring, seq);
}

static Flight *
window_take(Window *window, uint64_t seq)
{
        Ring *ring = &window->ring;
        Flight *flight = ring_get(ring, seq);

        if (!flight)
                return NULL;
        *ring_slot(ring, seq) = NULL;
        window->count--;
        while (ring->first < ring->next && !*ring_slot(ring, ring->first))
                ring->first++;
        flight->state = FLIGHT_WAITING;
        flight->window = NULL;
        flight->seq = 0;
        return flight;
}

Flight *
window_confirm(Window *window, uint64_t seq, bool multiple)
{
        if (!multiple)
                return window_take(window, seq);
        if (window->count == 0 || window->ring.first > seq || seq >= window->ring.next)
                return NULL;
        return window_take(window, window->ring.first);
}

Flight *
window_abandon(Window *window)
{
        Flight *flight = window->count > 0 ? window_take(window, window->ring.first) : NULL;

        if (!flight)
                window->ring.first = window->ring.next = 1;
        return flight;
}

Flight *
window_oldest(const Window *window)
{
        return ring_get(&window->ring, window->ring.first);
}

size_t
window_count(const Window *window)
{
        return window->count;
}
