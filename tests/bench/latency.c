/* SPDX-License-Identifier: MIT */
#include "tests/support/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * How long messages are on their way: publishes to one queue at a steady pace, for several clusters in turn,
 * consumes the queue of the last of these, and prints for each message when it arrived and how long it took,
 * in microseconds. The time when it was sent stands in the message. Both queues may be the same: then nobody
 * is in between.
 *
 *     latency URL TO FROM COUNT PER_S CLUSTER...
 */

enum { BODY_BYTES = 512, WARM_UP = 200, DEADLINE_MS = 30000 };

#define SENT "\"sent\": \""

typedef struct {
        const char *url;
        const char *queue;
        unsigned count;
        unsigned per_s;
        const char *const *clusters;
        unsigned n_clusters;
} Sending;

static void
send_one(Client *client, const Sending *sending, const char *cluster)
{
        static const amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
                                                           .delivery_mode = 2};
        char body[BODY_BYTES + 1];

        memset(body, ' ', BODY_BYTES);

        int length = g_snprintf(body, sizeof(body), "{\"cluster\": \"%s\", " SENT "%" G_GINT64_FORMAT "\"",
                                cluster, g_get_monotonic_time());

        body[length] = ' ';
        body[BODY_BYTES - 1] = '}';
        client_publish(client, "", sending->queue, &properties,
                       (amqp_bytes_t){.len = BODY_BYTES, .bytes = body});
}

static void *
send_all(void *data)
{
        const Sending *sending = data;
        g_autoptr(Client) client = client_new(sending->url);
        int64_t began_us = g_get_monotonic_time();

        for (unsigned i = 0; i < sending->count; i++) {
                int64_t due_us = began_us + (int64_t)i * G_USEC_PER_SEC / sending->per_s;
                int64_t early_us = due_us - g_get_monotonic_time();

                if (early_us > 0)
                        g_usleep((gulong)early_us);
                send_one(client, sending, sending->clusters[i % sending->n_clusters]);
        }
        client_confirm(client);
        return NULL;
}

static int64_t
travelled_us(const ClientMessage *message, int64_t now_us)
{
        g_autofree char *body = client_message_body(message);
        const char *sent = strstr(body, SENT);

        if (!sent)
                g_error("latency: a message of somebody else");
        return now_us - g_ascii_strtoll(sent + strlen(SENT), NULL, 10);
}

int
main(int argc, char **argv)
{
        if (argc < 7) {
                g_printerr("Usage: latency URL TO FROM COUNT PER_S CLUSTER...\n");
                return 64;
        }

        Sending sending = {.url = argv[1],
                           .queue = argv[2],
                           .per_s = (unsigned)strtoul(argv[5], NULL, 10),
                           .clusters = (const char *const *)argv + 6,
                           .n_clusters = (unsigned)argc - 6};
        unsigned count = (unsigned)strtoul(argv[4], NULL, 10) + WARM_UP;
        g_autoptr(Client) client = client_new(argv[1]);

        sending.count = count * sending.n_clusters;
        client_consume(client, argv[3], 0);

        GThread *sender = g_thread_new("sender", send_all, &sending);

        for (unsigned i = 0; i < count; i++) {
                g_autoptr(ClientMessage) message = client_next(client, DEADLINE_MS);
                int64_t now_us = g_get_monotonic_time();

                if (!message)
                        g_error("latency: a message is missing");
                if (i >= WARM_UP)
                        printf("%" G_GINT64_FORMAT " %" G_GINT64_FORMAT "\n", now_us,
                               travelled_us(message, now_us));
                client_ack(client, message);
        }
        g_thread_join(sender);
        return 0;
}
