/* SPDX-License-Identifier: MIT */
/*
 * A look every quarter of a second. It is over when the router has the cluster drained, its counter of
 * deliveries and the queues have stood still at empty for three polls (so every other router has obeyed too,
 * and what a consumer that went away held would be back). Every counter is a difference to the beginning.
 */
#include "router/ctl/receipt.h"

#include "router/ctl/api.h"
#include "router/ctl/broker.h"
#include "router/ctl/command.h"
#include "router/ctl/print.h"
#include "router/topology.h"

#include <stdio.h>
#include <string.h>

enum { LOOK_EVERY_US = 250 * 1000, QUIET_POLLS = 3, QUIET_LEAST_MS = 2000 };

typedef struct {
        const char *route;
        char *queue;   /* NULL: only its parking queue can be looked at */
        char *parking; /* on the shared broker */
        bool present;
        uint32_t ready;
        uint32_t consumers;
} Watched;

/* Of this cluster, all routes together. */
typedef struct {
        int64_t delivered;
        int64_t parked;
} Counters;

struct Receipt {
        const Conf *conf;
        char *cluster;
        Broker *broker; /* where its queues are */
        Broker *shared; /* where its parking queues are: NULL if that is the same */
        GArray *watched;
        GPtrArray *notes; /* of char * */
        bool counted;     /* the router answers */
        Counters first;
        Counters last;
        uint32_t ready;
        uint32_t consumers;
        uint32_t parked_in_queue;
        bool complete;
        int64_t waited_us;
};

static void
watched_clear(gpointer data)
{
        Watched *watched = data;

        g_free(watched->queue);
        g_free(watched->parking);
}

void
receipt_free(Receipt *receipt)
{
        if (receipt == NULL)
                return;
        broker_free(receipt->broker);
        broker_free(receipt->shared);
        g_array_unref(receipt->watched);
        g_ptr_array_unref(receipt->notes);
        g_free(receipt->cluster);
        g_free(receipt);
}

/* --- looking --- */

/* Its name if it is this cluster's alone whatever the message says, else NULL. */
static char *
name_queue(const ConfRoute *route, const char *cluster)
{
        if (!route->to_queue || strstr(route->key, "{cluster}") == NULL || strstr(route->key, "{key}") ||
            strstr(route->key, "{exchange}") || strstr(route->key, "{host}"))
                return NULL;
        return conf_expand(route->key, route->queue, "", "", cluster, "");
}

static void
watch_routes(Receipt *receipt)
{
        for (unsigned i = 0; i < receipt->conf->routes->len; i++) {
                const ConfRoute *route = receipt->conf->routes->pdata[i];
                Watched watched = {.route = route->name,
                                   .queue = name_queue(route, receipt->cluster),
                                   .parking = topology_parking_queue(route, receipt->cluster)};

                if (watched.queue == NULL)
                        g_ptr_array_add(receipt->notes,
                                        g_strdup_printf("route %s: no queue is the cluster's alone, so what "
                                                        "it delivered is not watched",
                                                        route->name));
                g_array_append_val(receipt->watched, watched);
        }
}

static bool
look_at(Broker *broker, const char *queue, bool *out_present, uint32_t *out_ready, uint32_t *out_consumers)
{
        uint32_t ready = 0, consumers = 0;
        BrokerResult result = broker_look(broker, queue, &ready, &consumers);

        if (result == BROKER_FAILED) {
                broker_fail(broker);
                return false;
        }
        *out_present = result == BROKER_DONE;
        *out_ready = *out_present ? ready : 0;
        *out_consumers = *out_present ? consumers : 0;
        return true;
}

static bool
look_at_queues(Receipt *receipt)
{
        uint32_t ready = 0, consumers = 0, parked = 0;

        for (unsigned i = 0; i < receipt->watched->len; i++) {
                Watched *watched = &g_array_index(receipt->watched, Watched, i);
                Broker *shared = receipt->shared ? receipt->shared : receipt->broker;
                uint32_t in_parking, ignored;
                bool present;

                if (watched->queue && !look_at(receipt->broker, watched->queue, &watched->present,
                                               &watched->ready, &watched->consumers))
                        return false;
                if (!look_at(shared, watched->parking, &present, &in_parking, &ignored))
                        return false;
                ready += watched->ready;
                consumers += watched->consumers;
                parked += in_parking;
        }
        receipt->ready = ready;
        receipt->consumers = consumers;
        receipt->parked_in_queue = parked;
        return true;
}

static const json_t *
find_row(const json_t *rows, const char *name)
{
        const json_t *row;
        size_t i;

        json_array_foreach(rows, i, row)
        {
                if (g_strcmp0(json_string_value(json_object_get(row, "cluster")), name) == 0)
                        return row;
        }
        return NULL;
}

static bool
read_counters(const Receipt *receipt, Counters *out_counters)
{
        g_autofree char *error = NULL;
        int status;
        json_t *document = api_ask(receipt->conf, "/api/v1/stats", &status, &error);
        Counters sum = {0};
        const json_t *route;
        size_t i;

        json_array_foreach(json_object_get(document, "routes"), i, route)
        {
                const json_t *row = find_row(json_object_get(route, "clusters"), receipt->cluster);

                sum.delivered += json_integer_value(json_object_get(row, "delivered"));
                sum.parked += json_integer_value(json_object_get(row, "parked"));
        }
        if (document)
                *out_counters = sum;
        json_decref(document);
        return document != NULL;
}

/* Does the router that can be asked obey? Nobody to ask: waiting has to do. */
static bool
is_obeyed(const Receipt *receipt)
{
        g_autofree char *error = NULL;
        int status;
        json_t *document = api_ask(receipt->conf, "/api/v1/clusters", &status, &error);
        const json_t *row = find_row(json_object_get(document, "clusters"), receipt->cluster);
        bool obeyed =
            document == NULL || g_strcmp0(json_string_value(json_object_get(row, "state")), "drained") == 0;

        json_decref(document);
        return obeyed;
}

/* --- waiting --- */

Receipt *
receipt_begin(const Conf *conf, const char *cluster)
{
        g_autoptr(Receipt) receipt = g_new0(Receipt, 1);
        const ConfCluster *in_file = conf_find_cluster(conf, cluster);

        receipt->conf = conf;
        receipt->cluster = g_strdup(cluster);
        receipt->watched = g_array_new(FALSE, TRUE, sizeof(Watched));
        g_array_set_clear_func(receipt->watched, watched_clear);
        receipt->notes = g_ptr_array_new_with_free_func(g_free);
        receipt->broker = broker_open_for(conf, in_file);
        if (receipt->broker && in_file && in_file->amqp_urls[0])
                receipt->shared = broker_open(conf);
        if (receipt->broker == NULL || (in_file && in_file->amqp_urls[0] && receipt->shared == NULL))
                return NULL;
        watch_routes(receipt);
        receipt->counted = read_counters(receipt, &receipt->first);
        receipt->last = receipt->first;
        if (!receipt->counted)
                g_ptr_array_add(receipt->notes, g_strdup("no router answers over HTTP: nothing was counted"));
        return g_steal_pointer(&receipt);
}

/* True if nothing is left, and nothing came since the last look. */
static bool
is_quiet(Receipt *receipt)
{
        Counters before = receipt->last;

        if (receipt->counted && !read_counters(receipt, &receipt->last)) {
                receipt->counted = false;
                g_ptr_array_add(receipt->notes,
                                g_strdup("the router stopped answering: counts are those before"));
        }
        return receipt->ready == 0 && receipt->last.delivered == before.delivered && is_obeyed(receipt);
}

static void
finish(Receipt *receipt, bool complete, int64_t began_us)
{
        receipt->complete = complete;
        receipt->waited_us = g_get_monotonic_time() - began_us;
        if (receipt->consumers > 0)
                g_ptr_array_add(receipt->notes,
                                g_strdup_printf("%u consumer%s attached; AMQP does not tell what they hold "
                                                "unacknowledged",
                                                receipt->consumers,
                                                receipt->consumers == 1 ? " is" : "s are"));
}

int
receipt_wait(Receipt *receipt, int64_t timeout_ms)
{
        int64_t began_us = g_get_monotonic_time(), quiet_since_us = 0;
        int64_t quiet_us = MAX(QUIET_POLLS * receipt->conf->redis_poll_ms, QUIET_LEAST_MS) * 1000;

        for (;;) {
                if (!look_at_queues(receipt))
                        return EXIT_UNAVAILABLE;
                bool quiet = is_quiet(receipt);
                int64_t now_us = g_get_monotonic_time();
                if (!quiet)
                        quiet_since_us = 0;
                else if (quiet_since_us == 0)
                        quiet_since_us = now_us;
                bool complete = quiet && now_us - quiet_since_us >= quiet_us;
                if (complete || now_us - began_us >= timeout_ms * 1000) {
                        finish(receipt, complete, began_us);
                        return complete ? EXIT_DONE : EXIT_TRY_AGAIN;
                }
                g_usleep(LOOK_EVERY_US);
        }
}

/* --- telling --- */

static json_t *
count_or_null(const Receipt *receipt, int64_t count)
{
        return receipt->counted ? json_integer(count) : json_null();
}

json_t *
receipt_json(const Receipt *receipt)
{
        json_t *queues = json_array(), *notes = json_array();
        int64_t delivered = receipt->last.delivered - receipt->first.delivered;
        int64_t parked = receipt->last.parked - receipt->first.parked;

        for (unsigned i = 0; i < receipt->watched->len; i++) {
                const Watched *watched = &g_array_index(receipt->watched, Watched, i);

                if (watched->queue)
                        json_array_append_new(queues, json_pack("{s:o, s:o, s:I, s:I}", "route",
                                                                print_string(watched->route), "queue",
                                                                print_string(watched->queue), "ready",
                                                                (json_int_t)watched->ready, "consumers",
                                                                (json_int_t)watched->consumers));
        }
        for (unsigned i = 0; i < receipt->notes->len; i++)
                json_array_append_new(notes, print_string(receipt->notes->pdata[i]));
        return json_pack("{s:b, s:f, s:o, s:o, s:o, s:I, s:I, s:I, s:n, s:o, s:o}", "complete",
                         receipt->complete, "waited_s", (double)(receipt->waited_us / 1000) / 1000, "in",
                         count_or_null(receipt, delivered + parked), "delivered",
                         count_or_null(receipt, delivered), "parked", count_or_null(receipt, parked),
                         "remaining", (json_int_t)receipt->ready, "parked_in_queue",
                         (json_int_t)receipt->parked_in_queue, "consumers", (json_int_t)receipt->consumers,
                         "unacknowledged", "queues", queues, "notes", notes);
}

void
receipt_print(const Receipt *receipt)
{
        static const char *const rows[][2] = {
            {"complete", "complete"},          {"seconds", "waited_s"},    {"in", "in"},
            {"delivered", "delivered"},        {"parked", "parked"},       {"remaining", "remaining"},
            {"now parked", "parked_in_queue"}, {"consumers", "consumers"},
        };
        g_autoptr(Table) table = table_new("SINCE THE DRAIN", "", NULL);
        json_t *document = receipt_json(receipt);

        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
                g_autofree char *value = print_member(document, rows[i][1]);

                table_add(table, rows[i][0], value, NULL);
        }
        table_print(table);
        for (unsigned i = 0; i < receipt->notes->len; i++)
                printf("%s\n", (const char *)receipt->notes->pdata[i]);
        json_decref(document);
}
