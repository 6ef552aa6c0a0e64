/* SPDX-License-Identifier: MIT */

/*
 * Reply queues are few, one for each process that calls, and live as long as that process. They are declared
 * here with an expiry, and consumed while they are in use; a queue with a consumer never expires, so one that
 * nobody has used for longer than that is let go.
 */

#include "router/relay.h"

static void
relay_queue_free(void *data)
{
        RelayQueue *queue = data;

        if (!queue)
                return;
        g_free(queue->name);
        g_free(queue);
}

Relay *
relay_new(Intake *intake)
{
        Relay *relay = g_new0(Relay, 1);

        relay->intake = intake;
        relay->queues = g_ptr_array_new_with_free_func(relay_queue_free);
        relay->names = g_hash_table_new(g_str_hash, g_str_equal);
        relay->numbers = g_hash_table_new(NULL, NULL);
        return relay;
}

void
relay_free(Relay *relay)
{
        if (!relay)
                return;
        intake_free(relay->intake);
        g_hash_table_unref(relay->names);
        g_hash_table_unref(relay->numbers);
        g_ptr_array_unref(relay->queues);
        g_free(relay);
}

void
relay_let_go(Relay *relay, RelayQueue *queue)
{
        if (queue->consumed == link_generation(intake_link(relay->intake)))
                intake_cancel(relay->intake, queue->number);
        /* A new request declares and consumes it again. */
        queue->declared = queue->consumed = 0;
        queue->idle = true;
}

static void
drop(Relay *relay, RelayQueue *queue)
{
        relay_let_go(relay, queue);
        g_hash_table_remove(relay->names, queue->name);
        g_hash_table_remove(relay->numbers, GINT_TO_POINTER(queue->number));
        g_ptr_array_remove_fast(relay->queues, queue);
}

/* For a new name: the one unused for longest, if that is long enough that it is no part of the same flood. */
static bool
make_room(Relay *relay, int64_t now_us)
{
        RelayQueue *oldest = NULL;

        if (g_hash_table_size(relay->names) < RELAY_QUEUES_MAX)
                return true;
        for (unsigned i = 0; i < relay->queues->len; i++) {
                RelayQueue *queue = g_ptr_array_index(relay->queues, i);

                if (queue->in_hand == 0 && (!oldest || queue->used_us < oldest->used_us))
                        oldest = queue;
        }
        if (!oldest || now_us - oldest->used_us < (int64_t)RELAY_KEEP_S * G_USEC_PER_SEC)
                return false;
        drop(relay, oldest);
        return true;
}

RelayQueue *
relay_queue(Relay *relay, const char *name, int64_t now_us)
{
        RelayQueue *queue = g_hash_table_lookup(relay->names, name);

        if (!queue) {
                if (!make_room(relay, now_us))
                        return NULL;
                queue = g_new0(RelayQueue, 1);
                queue->name = g_strdup(name);
                queue->number = relay->next_number;
                relay->next_number = relay->next_number < G_MAXINT ? relay->next_number + 1 : 0;
                g_ptr_array_add(relay->queues, queue);
                g_hash_table_insert(relay->names, queue->name, queue);
                g_hash_table_insert(relay->numbers, GINT_TO_POINTER(queue->number), queue);
        }
        queue->used_us = now_us;
        queue->idle = false;
        return queue;
}

RelayQueue *
relay_by_number(const Relay *relay, int number)
{
        return g_hash_table_lookup(relay->numbers, GINT_TO_POINTER(number));
}

static bool
is_waiting(const Relay *relay, const RelayQueue *queue)
{
        return !queue->idle && !queue->refused &&
               queue->consumed != link_generation(intake_link(relay->intake));
}

RelayQueue *
relay_next_waiting(Relay *relay, int64_t now_us)
{
        if (link_state(intake_link(relay->intake)) != LINK_UP)
                return NULL;
        for (unsigned i = 0; i < relay->queues->len; i++) {
                relay->look = (relay->look + 1) % relay->queues->len;

                RelayQueue *queue = g_ptr_array_index(relay->queues, relay->look);

                if (now_us - queue->used_us > (int64_t)RELAY_UNUSED_S * G_USEC_PER_SEC && queue->in_hand == 0)
                        drop(relay, queue);
                else if (is_waiting(relay, queue))
                        return queue;
        }
        return NULL;
}

void
relay_consume(Relay *relay, RelayQueue *queue, unsigned prefetch)
{
        if (link_state(intake_link(relay->intake)) != LINK_UP || !is_waiting(relay, queue))
                return;
        queue->consumed = link_generation(intake_link(relay->intake));
        intake_consume(relay->intake, queue->number, queue->name, prefetch);
}
