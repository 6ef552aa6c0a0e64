/* SPDX-License-Identifier: MIT */
/*
 * A queue has no index: to find one message all are taken until enough match, and given back when the
 * connection is closed.
 */
#include "router/ctl/dead_show.h"

#include "router/ctl/command.h"
#include "router/ctl/fields.h"
#include "router/ctl/mask.h"
#include "router/ctl/print.h"
#include "router/ctl/stored.h"
#include "router/topology.h"

#include <amqp_framing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
        Message *message; /* the first that matches */
        char *queue;
        unsigned found;
        unsigned enough; /* a whole ID stands for one message, a part perhaps for two */
} Search;

/* Looks at one queue. False after saying what failed. */
static bool
search_queue(Broker *broker, const ConfRoute *route, const Selection *selection, Search *search)
{
        g_autofree char *queue = topology_dead_queue(route);
        uint32_t messages = 0;
        BrokerResult result = broker_look(broker, queue, &messages, NULL);

        for (; result == BROKER_DONE && messages > 0 && search->found < search->enough; messages--) {
                Message *message = NULL;

                result = broker_take(broker, queue, &message);
                if (result != BROKER_DONE)
                        break;
                g_autoptr(Stored) stored = stored_read(message, 0);
                bool hit = selection_has(selection, stored, 0);

                search->found += hit;
                if (hit && !search->message) {
                        search->message = g_steal_pointer(&message);
                        search->queue = g_strdup(queue);
                }
                message_free(message);
        }
        if (result == BROKER_FAILED)
                broker_fail(broker);
        return result != BROKER_FAILED;
}

static json_t *
headers_json(const Message *message, bool raw)
{
        const amqp_basic_properties_t *properties = message->properties;
        json_t *all = properties->_flags & AMQP_BASIC_HEADERS_FLAG ? fields_to_json(&properties->headers)
                                                                   : json_object();
        json_t *shown = mask_json(all, raw);

        json_decref(all);
        return shown;
}

static json_t *
message_json(const Search *search, bool raw)
{
        const Message *message = search->message;
        int64_t now_unix_ms = g_get_real_time() / 1000;
        g_autoptr(Stored) stored = stored_read(message, now_unix_ms);
        const char *body = message->body.len ? message->body.bytes : "";
        json_t *document = json_object();

        json_object_set_new(document, "id", json_string(stored->id));
        json_object_set_new(document, "queue", print_string(search->queue));
        json_object_set_new(document, "reason", print_string(stored->reason));
        json_object_set_new(document, "cluster", print_string(stored->cluster));
        json_object_set_new(document, "method", print_string(stored->method));
        json_object_set_new(document, "call", json_boolean(stored->is_call));
        json_object_set_new(document, "expired", json_boolean(stored->is_expired));
        json_object_set_new(document, "age_s", stored_age_json(stored->time_unix_ms, now_unix_ms));
        json_object_set_new(document, "attempt", json_integer(stored->attempt));
        json_object_set_new(document, "exchange", print_string(stored->exchange));
        json_object_set_new(document, "key", print_string(stored->key));
        json_object_set_new(document, "bytes", json_integer((json_int_t)stored->bytes));
        json_object_set_new(document, "headers", headers_json(message, raw));
        json_object_set_new(document, "body", mask_body(body, message->body.len, raw));
        if (raw) {
                g_autofree char *coded = g_base64_encode((const guchar *)body, message->body.len);

                json_object_set_new(document, "body_base64", json_string(coded));
        }
        return document;
}

/* Everything in escapes: nothing of a message reaches the terminal as it is. */
static void
print_message(const json_t *document)
{
        g_autoptr(Table) table = NULL;
        static const char *const facts[] = {"queue", "reason",  "cluster",  "method", "call", "expired",
                                            "age_s", "attempt", "exchange", "key",    "bytes"};
        size_t flags = JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_ENCODE_ANY;
        char *headers = json_dumps(json_object_get(document, "headers"), flags);
        char *body = json_dumps(json_object_get(document, "body"), flags);

        table = table_new("id", json_string_value(json_object_get(document, "id")), NULL);
        for (size_t i = 0; i < G_N_ELEMENTS(facts); i++) {
                g_autofree char *value = print_member(document, facts[i]);

                table_add(table, facts[i], value, NULL);
        }
        table_print(table);
        printf("\nheaders %s\n\nbody %s\n", headers, body);
        free(headers);
        free(body);
}

static int
show_found(const Search *search, const char *id, bool raw, bool json)
{
        if (search->found == 0)
                return command_fail(EXIT_DATA, "no dead message %s; see clusterctl dead list --each", id);
        if (search->found > 1)
                return command_fail(EXIT_DATA, "%s stands for more than one message; give more of its digits",
                                    id);

        json_t *document = message_json(search, raw);

        if (json) {
                print_json(document);
                return EXIT_DONE;
        }
        json_object_del(document, "body_base64");
        print_message(document);
        json_decref(document);
        return EXIT_DONE;
}

int
dead_show(Broker *broker, const GPtrArray *routes, const char *id, bool raw, bool json)
{
        Selection selection = {.id = id};
        Search search = {.enough = strlen(id) == STORED_ID_LENGTH ? 1 : 2};
        bool fine = true;

        for (unsigned i = 0; fine && search.found < search.enough && i < routes->len; i++)
                fine = search_queue(broker, routes->pdata[i], &selection, &search);

        int status = fine ? show_found(&search, id, raw, json) : EXIT_UNAVAILABLE;

        message_free(search.message);
        g_free(search.queue);
        return status;
}
