/* SPDX-License-Identifier: MIT */

/*
 * Both sides are the same thing: a ring of flights by consecutive number, with holes where a flight has left.
 * `first` is the lowest number still in the ring and is always occupied, unless the ring is empty.
 *
 * In a ledger, a flight that was acknowledged alone leaves a hole behind only when the prefix reaches it,
 * because the owner wants flights back in order; until then it stands in the ring as acknowledged.
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
        uint64_t acked;     /* numbers below this are acknowledged and wait for ledger_pop() */
        GHashTable *singly; /* tags at or above `acked` that were acknowledged or given back alone */
        size_t open;        /* not yet SETTLED or HANDED_BACK */
        size_t beyond;      /* SETTLED or HANDED_BACK at or above `acked`, not yet told to the broker */
        uint64_t scan;      /* where the search for single acks goes on */
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
        ledger->singly = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
        return ledger;
}

void
ledger_free(Ledger *ledger)
{
        if (!ledger)
                return;
        g_assert(ledger->ring.first == ledger->ring.next);
        g_hash_table_unref(ledger->singly);
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

static bool
told_alone(const Ledger *ledger, uint64_t tag)
{
        return g_hash_table_size(ledger->singly) > 0 && g_hash_table_contains(ledger->singly, &tag);
}

/* Moves `acked` over everything that has its outcome; the last tag that the broker still has to hear of, or
 * 0. */
static uint64_t
advance_prefix(Ledger *ledger)
{
        uint64_t last = 0;

        for (; ledger->acked < ledger->ring.next; ledger->acked++) {
                const Flight *flight = *ring_slot(&ledger->ring, ledger->acked);

                if (told_alone(ledger, ledger->acked)) {
                        g_hash_table_remove(ledger->singly, &ledger->acked);
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
tell_alone(Ledger *ledger, const Flight *flight, uint64_t *out_tag)
{
        uint64_t tag = flight->tag;

        g_hash_table_add(ledger->singly, g_memdup2(&tag, sizeof(tag)));
        ledger->beyond--;
        *out_tag = tag;
        return flight->state == FLIGHT_HANDED_BACK ? LEDGER_BACK_ONE : LEDGER_ACK_ONE;
}

LedgerAckKind
ledger_next_ack(Ledger *ledger, int64_t now_us, int64_t patience_us, uint64_t *out_tag)
{
        /* Also when nothing is left to tell: what was told alone may have to be let go. */
        uint64_t last = advance_prefix(ledger);

        if (last != 0) {
                *out_tag = last;
                return LEDGER_ACK_UPTO;
        }
        for (; ledger->beyond > 0 && ledger->scan < ledger->ring.next; ledger->scan++) {
                const Flight *flight = *ring_slot(&ledger->ring, ledger->scan);
                bool ripe = flight->state == FLIGHT_HANDED_BACK ||
                            (flight->state == FLIGHT_SETTLED && now_us - flight->settled_us >= patience_us);

                if (ripe && !told_alone(ledger, ledger->scan))
                        return tell_alone(ledger, flight, out_tag);
        }
        ledger->scan = ledger->acked;
        return LEDGER_ACK_NONE;
}

Flight *
ledger_pop(Ledger *ledger)
{
        Ring *ring = &ledger->ring;

        if (ring->first >= ledger->acked)
                return NULL;
        return *ring_slot(ring, ring->first++);
}

void
ledger_reset(Ledger *ledger, void (*drop)(Flight *flight, void *user_data), void *user_data)
{
        for (uint64_t n = ledger->ring.first; n < ledger->ring.next; n++) {
                Flight *flight = *ring_slot(&ledger->ring, n);

                flight->ledger = NULL;
                if (flight->state != FLIGHT_PUBLISHED)
                        drop(flight, user_data);
        }
        ledger->ring.first = ledger->ring.next = ledger->acked = ledger->scan = 1;
        ledger->open = ledger->beyond = 0;
        g_hash_table_remove_all(ledger->singly);
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
