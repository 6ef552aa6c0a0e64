/* SPDX-License-Identifier: MIT */

/*
 * What a lane may have in hand, a number of messages (prefetch) and of bytes (in_flight_bytes), is there for
 * all clusters. How much of it a destination may have that takes nothing: alone, and together with others,
 * since a site that loses its power takes all its clusters along.
 */

#include "router/lane_state.h"

enum { FEW = 64 /* a 64th is no burden */ };

/* It is that part of what a lane may have in hand, or more. */
static bool
fills(const Lane *lane, const Load *load, unsigned part)
{
        return load->messages >= MAX(lane->route->prefetch / part, 1) ||
               load->bytes > lane->conf->in_flight_bytes / part;
}

bool
lane_is_full(const Lane *lane, const Target *target)
{
        return target->outlet != lane->outlet &&
               (fills(lane, &target->unconfirmed, 8) ||
                (fills(lane, &lane->away, 2) && fills(lane, &target->unconfirmed, FEW)));
}

bool
lane_is_crowded(const Lane *lane, const Target *target)
{
        Load held = delivery_list_load(&target->held);

        return fills(lane, &held, 4) || (fills(lane, &lane->held, 4) && fills(lane, &held, FEW));
}

void
lane_note_sent(Lane *lane, const Delivery *delivery)
{
        load_add(&delivery->target->unconfirmed, delivery);
        if (delivery->target->outlet != lane->outlet)
                load_add(&lane->away, delivery);
}

void
lane_note_answered(Lane *lane, const Delivery *delivery)
{
        load_remove(&delivery->target->unconfirmed, delivery);
        if (delivery->target->outlet != lane->outlet)
                load_remove(&lane->away, delivery);
}

void
lane_count_held(Lane *lane)
{
        lane->held = (Load){0};
        for (unsigned i = 0; i < lane->stalled->len; i++) {
                const Target *target = g_ptr_array_index(lane->stalled, i);
                Load held = delivery_list_load(&target->held);

                lane->held.messages += held.messages;
                lane->held.bytes += held.bytes;
        }
}
