/* SPDX-License-Identifier: MIT */

/*
 * After a crash nobody knows which message it was. So messages are taken one by one until the first was
 * acknowledged; each is noted before it is read, and one that was in hand at CRASHES_POISON crashes in a row
 * is put into the dead queue without reading it.
 */

#include "router/lane_state.h"

static char *
fingerprint(const Message *message)
{
        g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
        uint64_t header_bytes = message->header_bytes;

        g_checksum_update(sum, (const guchar *)&header_bytes, sizeof(header_bytes));
        g_checksum_update(sum, message->exchange.bytes, (gssize)message->exchange.len);
        g_checksum_update(sum, message->key.bytes, (gssize)message->key.len);
        g_checksum_update(sum, message->body.bytes, (gssize)message->body.len);
        return g_strdup(g_checksum_get_string(sum));
}

bool
lane_is_poison(Lane *lane, const Delivery *delivery)
{
        if (!lane->careful || delivery->origin || delivery->relay)
                return false;

        g_autofree char *print = fingerprint(delivery->message);
        unsigned crashes = crashes_note(lane->crashes, lane->route->name, lane->number, print);

        if (crashes < CRASHES_POISON)
                return false;
        lane_log(lane, G_LOG_LEVEL_WARNING, NULL,
                 "a message was in hand at %u crashes in a row: it goes to the dead queue unread", crashes);
        return true;
}

void
lane_end_care(Lane *lane)
{
        if (!lane->careful || !intake_has_acknowledged(lane->shared))
                return;
        crashes_clear(lane->crashes, lane->route->name, lane->number);
        lane->careful = false;
        intake_set_window(lane->shared, lane->route->prefetch);
        lane_log(lane, G_LOG_LEVEL_MESSAGE, NULL,
                 "settled the first message after a crash, going on as usual");
}
