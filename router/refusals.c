/* SPDX-License-Identifier: MIT */

/* A table by name. One that is too large is emptied: to try once too often does no harm. */

#include "router/refusals.h"

struct Refusals {
        GHashTable *until_us; /* broker and exchange -> int64_t * */
};

Refusals *
refusals_new(void)
{
        Refusals *refusals = g_new0(Refusals, 1);

        refusals->until_us = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        return refusals;
}

void
refusals_free(Refusals *refusals)
{
        if (!refusals)
                return;
        g_hash_table_unref(refusals->until_us);
        g_free(refusals);
}

static char *
key_of(const void *broker, amqp_bytes_t exchange)
{
        return g_strdup_printf("%p %.*s", broker, (int)exchange.len, (const char *)exchange.bytes);
}

void
refusals_note(Refusals *refusals, const void *broker, amqp_bytes_t exchange, int64_t now_us)
{
        int64_t *until_us = g_new(int64_t, 1);

        if (g_hash_table_size(refusals->until_us) >= REFUSALS_MAX)
                g_hash_table_remove_all(refusals->until_us);
        *until_us = now_us + REFUSALS_HOLD_US;
        g_hash_table_insert(refusals->until_us, key_of(broker, exchange), until_us);
}

bool
refusals_hold(Refusals *refusals, const void *broker, amqp_bytes_t exchange, int64_t now_us)
{
        const int64_t *until_us;
        g_autofree char *key = NULL;

        if (g_hash_table_size(refusals->until_us) == 0)
                return false;
        key = key_of(broker, exchange);
        until_us = g_hash_table_lookup(refusals->until_us, key);
        if (!until_us || now_us < *until_us)
                return until_us != NULL;
        g_hash_table_remove(refusals->until_us, key);
        return false;
}
