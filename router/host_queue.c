/* SPDX-License-Identifier: MIT */

/*
 * A queue stays in the list for as long as its host is dead, also when it is empty: what the host had in hand
 * comes back to it only when the broker notices that the connection is gone, and another router may still
 * have thought the host alive.
 */

#include "router/host_queue.h"

#include <string.h>

enum { LOOK_AGAIN_MS = 5 * 1000, LOOK_AGAIN_MAX_MS = 2 * 60 * 1000 };

struct HostQueues {
        const ConfRoute *route;
        bool shared_names;      /* the name does not tell the cluster */
        GPtrArray *by_number;   /* of HostQueue *, NULL where one was dropped */
        GArray *free_numbers;   /* of int */
        GHashTable *by_address; /* "CLUSTER HOST" -> HostQueue * */
        uint64_t round;         /* grows with each view followed */
        unsigned cursor;
        unsigned taken;
};

static void
host_queue_free(void *data)
{
        HostQueue *queue = data;

        if (!queue)
                return;
        g_free(queue->cluster);
        g_free(queue->host);
        g_free(queue->queue);
        g_free(queue);
}

HostQueues *
host_queues_new(const ConfRoute *route)
{
        if (!conf_route_has_host_queues(route))
                return NULL;

        HostQueues *queues = g_new0(HostQueues, 1);

        queues->route = route;
        queues->shared_names = !strstr(route->key, "{cluster}");
        queues->by_number = g_ptr_array_new_with_free_func(host_queue_free);
        queues->free_numbers = g_array_new(FALSE, FALSE, sizeof(int));
        queues->by_address = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        return queues;
}

void
host_queues_free(HostQueues *queues)
{
        if (!queues)
                return;
        g_hash_table_unref(queues->by_address);
        g_array_unref(queues->free_numbers);
        g_ptr_array_unref(queues->by_number);
        g_free(queues);
}

static int
take_number(HostQueues *queues)
{
        int number = (int)queues->by_number->len;

        if (queues->free_numbers->len == 0) {
                g_ptr_array_add(queues->by_number, NULL);
                return number;
        }
        number = g_array_index(queues->free_numbers, int, queues->free_numbers->len - 1);
        g_array_set_size(queues->free_numbers, queues->free_numbers->len - 1);
        return number;
}

static HostQueue *
add(HostQueues *queues, const char *cluster, const char *host, int64_t now_us)
{
        HostQueue *queue = g_new0(HostQueue, 1);

        queue->cluster = g_strdup(cluster);
        queue->host = g_strdup(host);
        queue->queue = conf_expand(queues->route->key, queues->route->queue, NULL, NULL, cluster, host);
        queue->number = take_number(queues);
        queue->due_us = now_us + queues->route->take_back_ms * 1000;
        backoff_init(&queue->backoff, LOOK_AGAIN_MS, LOOK_AGAIN_MAX_MS);
        queues->by_number->pdata[queue->number] = queue;
        g_hash_table_insert(queues->by_address, g_strdup_printf("%s %s", cluster, host), queue);
        return queue;
}

static void
drop(HostQueues *queues, HostQueue *queue)
{
        g_autofree char *address = g_strdup_printf("%s %s", queue->cluster, queue->host);

        queues->by_number->pdata[queue->number] = NULL;
        g_array_append_val(queues->free_numbers, queue->number);
        g_hash_table_remove(queues->by_address, address);
        host_queue_free(queue);
}

/* Names of all hosts that live in some cluster; NULL if no queue can be another cluster's as well. */
static GHashTable *
living_names(const HostQueues *queues, const View *view)
{
        GHashTable *names = queues->shared_names ? g_hash_table_new(g_str_hash, g_str_equal) : NULL;

        for (unsigned i = 0; names && i < view->clusters->len; i++) {
                const ViewCluster *cluster = g_ptr_array_index(view->clusters, i);

                for (unsigned j = 0; j < cluster->hosts->len; j++) {
                        const ViewHost *host = g_ptr_array_index(cluster->hosts, j);

                        if (host->alive)
                                g_hash_table_add(names, host->name);
                }
        }
        return names;
}

static void
follow_cluster(HostQueues *queues, const ViewCluster *cluster, GHashTable *living_or_null, int64_t now_us)
{
        for (unsigned i = 0; i < cluster->hosts->len; i++) {
                const ViewHost *host = g_ptr_array_index(cluster->hosts, i);

                if (host->alive || (living_or_null && g_hash_table_contains(living_or_null, host->name)))
                        continue;

                g_autofree char *address = g_strdup_printf("%s %s", cluster->name, host->name);
                HostQueue *queue = g_hash_table_lookup(queues->by_address, address);

                if (!queue)
                        queue = add(queues, cluster->name, host->name, now_us);
                /* It was alive in between: its time begins anew. */
                if (!queue->dead)
                        queue->due_us = now_us + queues->route->take_back_ms * 1000;
                queue->dead = true;
                queue->round = queues->round;
        }
}

/* Hosts that were dead and were not met again: alive, or gone from the view. */
static void
release_others(HostQueues *queues)
{
        for (unsigned i = 0; i < queues->by_number->len; i++) {
                HostQueue *queue = g_ptr_array_index(queues->by_number, i);

                if (!queue || queue->round == queues->round)
                        continue;
                queue->dead = false;
                if (queue->state == HOST_QUEUE_LEFT && queue->in_hand == 0)
                        drop(queues, queue);
        }
}

void
host_queues_follow(HostQueues *queues, const View *view, int64_t now_us)
{
        g_autoptr(GHashTable) living = NULL;

        queues->round++;
        living = living_names(queues, view);
        for (unsigned i = 0; i < view->clusters->len; i++) {
                const ViewCluster *cluster = g_ptr_array_index(view->clusters, i);

                if (cluster->usable->len < cluster->hosts->len)
                        follow_cluster(queues, cluster, living, now_us);
        }
        release_others(queues);
}

HostQueue *
host_queues_by_number(const HostQueues *queues, int number)
{
        if (!queues || number < 0 || (unsigned)number >= queues->by_number->len)
                return NULL;
        return g_ptr_array_index(queues->by_number, number);
}

int
host_queues_numbers(const HostQueues *queues)
{
        return queues ? (int)queues->by_number->len : 0;
}

HostQueue *
host_queues_next(HostQueues *queues)
{
        for (unsigned i = 0; queues && i < queues->by_number->len; i++) {
                queues->cursor = (queues->cursor + 1) % queues->by_number->len;

                HostQueue *queue = g_ptr_array_index(queues->by_number, queues->cursor);

                if (queue)
                        return queue;
        }
        return NULL;
}

unsigned
host_queues_count(const HostQueues *queues)
{
        return queues ? g_hash_table_size(queues->by_address) : 0;
}

unsigned
host_queues_taken(const HostQueues *queues)
{
        return queues ? queues->taken : 0;
}

void
host_queue_take(HostQueues *queues, HostQueue *queue, int64_t now_us)
{
        queues->taken++;
        queue->state = HOST_QUEUE_TAKEN;
        queue->active_us = now_us;
        queue->taken = 0;
}

void
host_queue_leave(HostQueues *queues, HostQueue *queue, bool nothing, int64_t now_us)
{
        if (queue->state != HOST_QUEUE_LEFT)
                queues->taken--;
        queue->state = HOST_QUEUE_LEFT;
        if (!nothing)
                backoff_reset(&queue->backoff);
        queue->due_us = now_us + backoff_next_ms(&queue->backoff) * 1000;
}
