/* SPDX-License-Identifier: MIT */
/*
 * Order holds in a parking queue, so as little as can be is taken out of it: its first message, for a moment,
 * and not while a router consumes it.
 */
#include "router/ctl/broker.h"
#include "router/ctl/config.h"
#include "router/ctl/inventory.h"
#include "router/ctl/nouns.h"
#include "router/ctl/print.h"
#include "router/ctl/stored.h"
#include "router/topology.h"

#include <string.h>

typedef struct {
        Broker *broker;
        bool passive; /* count only */
        int64_t now_unix_ms;
        Table *table;
        json_t *rows;
} Listing;

/* Of the queue's first message, which was parked first: NULL if it cannot be seen. */
static BrokerResult
look_at_first(const Listing *listing, const char *queue, Stored **out_first)
{
        Message *message = NULL;
        BrokerResult result = broker_take(listing->broker, queue, &message);

        if (result != BROKER_DONE)
                return result;
        *out_first = stored_read(message, listing->now_unix_ms);
        /* The age of interest is that of the first parking. */
        (*out_first)->time_unix_ms = (*out_first)->provenance.since_unix_ms;
        message_free(message);
        return broker_give_back(listing->broker);
}

static void
add_row(Listing *listing, const ConfRoute *route, const char *cluster, uint32_t messages, uint32_t consumers,
        const Stored *first)
{
        const char *reason = first ? first->reason : NULL;
        int64_t since_unix_ms = first ? first->time_unix_ms : 0;
        g_autofree char *count = g_strdup_printf("%u", messages);
        g_autofree char *oldest = stored_age_text(since_unix_ms, listing->now_unix_ms);

        table_add(listing->table, route->name, cluster ? cluster : "-", count, reason ? reason : "-", oldest,
                  consumers ? "being unparked" : "waiting", NULL);
        json_array_append_new(listing->rows,
                              json_pack("{s:s, s:o, s:I, s:o, s:o, s:b}", "route", route->name, "cluster",
                                        print_string(cluster), "messages", (json_int_t)messages, "reason",
                                        print_string(reason), "oldest_s",
                                        stored_age_json(since_unix_ms, listing->now_unix_ms), "unparking",
                                        consumers > 0));
}

static BrokerResult
list_queue(Listing *listing, const ConfRoute *route, const char *cluster)
{
        g_autofree char *queue = topology_parking_queue(route, cluster);
        g_autoptr(Stored) first = NULL;
        uint32_t messages = 0, consumers = 0;
        BrokerResult result = broker_look(listing->broker, queue, &messages, &consumers);

        if (result != BROKER_DONE || messages == 0)
                return result;
        if (consumers == 0 && !listing->passive)
                result = look_at_first(listing, queue, &first);
        if (result != BROKER_FAILED)
                add_row(listing, route, cluster, messages, consumers, first);
        return result;
}

static BrokerResult
list_route(Listing *listing, const ConfRoute *route, const Inventory *clusters)
{
        BrokerResult result = list_queue(listing, route, NULL);

        for (unsigned i = 0; result != BROKER_FAILED && i < clusters->clusters->len; i++) {
                const InventoryCluster *cluster = clusters->clusters->pdata[i];

                result = list_queue(listing, route, cluster->liveness->name);
        }
        return result;
}

static int
list_all(const Options *options, const Conf *conf, Broker *broker)
{
        g_autoptr(Inventory) clusters = inventory_new(conf);
        g_autoptr(Table) table = table_new("ROUTE", "CLUSTER", "MESSAGES", "REASON", "OLDEST", "STATE", NULL);
        Listing listing = {.broker = broker,
                           .passive = options_get(options, "--passive") != NULL,
                           .now_unix_ms = g_get_real_time() / 1000,
                           .table = table,
                           .rows = json_array()};
        const char *only = options_get(options, "--route");
        BrokerResult result = BROKER_DONE;

        for (unsigned i = 0; result != BROKER_FAILED && i < conf->routes->len; i++) {
                const ConfRoute *route = conf->routes->pdata[i];

                if (only == NULL || strcmp(only, route->name) == 0)
                        result = list_route(&listing, route, clusters);
        }
        if (result == BROKER_FAILED) {
                json_decref(listing.rows);
                return broker_fail(broker);
        }
        if (options->json)
                print_json(json_pack("{s:O}", "parked", listing.rows));
        else
                table_print(table);
        json_decref(listing.rows);
        return EXIT_DONE;
}

static int
list(const Options *options, char **arguments)
{
        g_autoptr(Conf) conf = config_load(options);

        if (conf == NULL)
                return EXIT_CONFIG;
        if (options_get(options, "--route") && config_route(conf, options) == NULL)
                return EXIT_USAGE;
        g_autoptr(Broker) broker = broker_open(conf);
        return broker ? list_all(options, conf, broker) : EXIT_UNAVAILABLE;
}

static const CommandOption list_options[] = {
    {"--route", "ROUTE", "only this route's parking queues"},
    {"--passive", NULL, "only count; take no message to see its age and reason"},
    {0},
};

const Command parked_commands[] = {
    {"parked", "list", "", 0, 0, "Show what waits in the parking queues",
     "Looks at the queues at the broker of [broker] url; no router is needed. Cluster \"-\" is the queue "
     "for\n"
     "messages of no one cluster. REASON and OLDEST are those of a queue's first message, which is taken "
     "out\n"
     "and put back for that, and marked by the broker as redelivered; not while a router unparks the queue,\n"
     "nor with --passive.\n\n"
     "JSON: {\"parked\": [{\"route\", \"cluster\", \"messages\", \"reason\", \"oldest_s\", "
     "\"unparking\"}]}\n\n"
     "Example: clusterctl parked list\n",
     list, list_options},
    {0},
};
