/* SPDX-License-Identifier: MIT */

/*
 * Lists are kept by arrival, because what comes back from the broker (refused, or lost with its connection)
 * must go out again before what came after it. Nearly always that place is the end, so it is looked for from
 * there.
 */

#include "router/target.h"

#include <string.h>

enum { NAME_BYTES_MAX = 255 };

Delivery *
delivery_new(Message *message, Flow *origin, bool own, uint64_t arrival, int64_t now_unix_ms)
{
        Delivery *delivery = g_new0(Delivery, 1);

        delivery->message = message;
        delivery->origin = origin;
        delivery->arrival = arrival;
        delivery->link.data = delivery;
        delivery->doubtful = message->redelivered;
        delivery->bytes = message->header_bytes + message->body.len;
        provenance_read(message, own, now_unix_ms, &delivery->provenance);
        if (delivery->provenance.ttl_ms >= 0)
                delivery->expires_us = message->received_us + delivery->provenance.ttl_ms * 1000;
        return delivery;
}

void
delivery_free(Delivery *delivery)
{
        if (!delivery)
                return;
        delivery_unhold(delivery);
        message_free(delivery->message);
        g_free(delivery->tag_hosts);
        g_free(delivery->host);
        g_free(delivery->claimed);
        g_free(delivery->reply_to);
        g_free(delivery);
}

int64_t
delivery_ttl_ms(const Delivery *delivery, int64_t now_us)
{
        return delivery->expires_us == 0 ? -1 : MAX((delivery->expires_us - now_us) / 1000, 0);
}

bool
delivery_is_expired(const Delivery *delivery, int64_t now_us)
{
        /* "0" on the shared queue means: now or never, and now it is here. The next queue decides again. */
        if (delivery->expires_us == 0 || (delivery->provenance.ttl_ms == 0 && !delivery->provenance.is_own))
                return false;
        return now_us >= delivery->expires_us;
}

void
delivery_unhold(Delivery *delivery)
{
        if (delivery->holder)
                g_queue_unlink(delivery->holder, &delivery->link);
        delivery->holder = NULL;
}

void
delivery_hold(Delivery *delivery, GQueue *list)
{
        GList *before = list->tail;

        delivery_unhold(delivery);
        while (before && ((const Delivery *)before->data)->arrival > delivery->arrival)
                before = before->prev;
        g_queue_insert_after_link(list, before, &delivery->link);
        delivery->holder = list;
}

Load
delivery_list_load(const GQueue *list)
{
        Load load = {0};

        for (const GList *item = list->head; item; item = item->next)
                load_add(&load, item->data);
        return load;
}

void
load_add(Load *load, const Delivery *delivery)
{
        load->messages++;
        load->bytes += delivery->bytes;
}

void
load_remove(Load *load, const Delivery *delivery)
{
        load->messages--;
        load->bytes -= delivery->bytes;
}

void
target_init(Target *target, TargetKind kind, Flow *flow, Outlet *outlet, const char *exchange,
            const char *key, const char *cluster, bool declare, const Conf *conf)
{
        *target = (Target){.kind = kind,
                           .flow = flow,
                           .outlet = outlet,
                           .exchange = g_strdup(exchange),
                           .key = g_strdup(key),
                           .cluster = g_strdup(cluster),
                           .declare = declare,
                           .declared = !declare};
        g_queue_init(&target->held);
        backoff_init(&target->backoff, 500, conf->retry_max_ms);
}

void
target_clear(Target *target)
{
        g_assert(g_queue_is_empty(&target->held));
        g_free(target->exchange);
        g_free(target->key);
        g_free(target->cluster);
}

bool
target_name_is_fixed(const char *name)
{
        return !strstr(name, "{key}") && !strstr(name, "{exchange}") && !strstr(name, "{host}");
}

size_t
target_pending(const Target *target)
{
        return target->held.length + target->unconfirmed.messages;
}

/* ---- addresses ---- */

typedef struct {
        const char *name;
        amqp_bytes_t value;
} Placeholder;

static size_t
append_value(GString *out, const char *text, const Placeholder *placeholders, size_t count)
{
        for (size_t i = 0; i < count && *text == '{'; i++) {
                size_t length = strlen(placeholders[i].name);

                if (strncmp(text, placeholders[i].name, length) == 0) {
                        g_string_append_len(out, placeholders[i].value.bytes,
                                            (gssize)placeholders[i].value.len);
                        return length;
                }
        }
        g_string_append_c(out, *text);
        return 1;
}

bool
target_address(const Target *target, const Delivery *delivery, const ConfRoute *route, GString *scratch,
               amqp_bytes_t *out_exchange, amqp_bytes_t *out_key)
{
        Placeholder placeholders[] = {
            {"{queue}", bytes_of(route->queue)},  {"{exchange}", delivery->provenance.exchange},
            {"{key}", delivery->provenance.key},  {"{cluster}", bytes_of(target->cluster)},
            {"{host}", bytes_of(delivery->host)},
        };
        size_t exchange_bytes;

        g_string_truncate(scratch, 0);
        for (const char *at = target->exchange; *at;)
                at += append_value(scratch, at, placeholders, G_N_ELEMENTS(placeholders));
        exchange_bytes = scratch->len;
        for (const char *at = target->key; *at;)
                at += append_value(scratch, at, placeholders, G_N_ELEMENTS(placeholders));
        *out_exchange = (amqp_bytes_t){.len = exchange_bytes, .bytes = scratch->str};
        *out_key =
            (amqp_bytes_t){.len = scratch->len - exchange_bytes, .bytes = scratch->str + exchange_bytes};
        return out_exchange->len <= NAME_BYTES_MAX && out_key->len <= NAME_BYTES_MAX;
}
