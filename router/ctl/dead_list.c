/* SPDX-License-Identifier: MIT */
/*
 * Bodies are let go at once; only what the table needs of a message is kept.
 */
#include "router/ctl/dead_list.h"

#include "router/ctl/command.h"
#include "router/ctl/print.h"
#include "router/topology.h"

#include <string.h>

/* Messages that have all of the key in common. */
typedef struct {
        const ConfRoute *route;
        const char *age;
        Stored *oldest; /* one of them, for what they have in common */
        int64_t newest_unix_ms;
        uint64_t messages;
        uint64_t bytes;
} Group;

typedef struct {
        const DeadListOptions *options;
        int64_t now_unix_ms;
        GHashTable *groups; /* key -> Group */
        GPtrArray *order;   /* of Group *, as met */
        json_t *queues;
        json_t *messages;
        Table *each;
        bool partly; /* some queue holds more than was looked at */
} Listing;

static void
group_free(gpointer data)
{
        Group *group = data;

        stored_free(group->oldest);
        g_free(group);
}

static const char *
age_class(const Stored *stored, int64_t now_unix_ms)
{
        static const struct {
                int64_t below_ms;
                const char *name;
        } classes[] = {
            {60 * 1000, "minute"}, {3600 * 1000, "hour"}, {86400 * 1000, "day"}, {7 * 86400 * 1000, "week"}};
        int64_t age_ms = now_unix_ms - stored->time_unix_ms;

        if (stored->time_unix_ms == 0)
                return "unknown";
        for (size_t i = 0; i < G_N_ELEMENTS(classes); i++)
                if (age_ms < classes[i].below_ms)
                        return classes[i].name;
        return "older";
}

/* ---- gathering ---- */

static void
add_each(Listing *listing, const ConfRoute *route, const Stored *stored)
{
        g_autofree char *age = stored_age_text(stored->time_unix_ms, listing->now_unix_ms);
        g_autofree char *bytes = g_strdup_printf("%zu", stored->bytes);
        g_autofree char *origin = g_strdup_printf("%s/%s", stored->exchange, stored->key);

        table_add(listing->each, stored->id, route->name, stored->reason, stored->cluster, age,
                  stored->method, origin, bytes, NULL);
        json_array_append_new(listing->messages,
                              json_pack("{s:s, s:s, s:o, s:o, s:o, s:b, s:b, s:o, s:o, s:o, s:I}", "id",
                                        stored->id, "route", route->name, "reason",
                                        print_string(stored->reason), "cluster",
                                        print_string(stored->cluster), "method", print_string(stored->method),
                                        "call", stored->is_call, "expired", stored->is_expired, "age_s",
                                        stored_age_json(stored->time_unix_ms, listing->now_unix_ms),
                                        "exchange", print_string(stored->exchange), "key",
                                        print_string(stored->key), "bytes", (json_int_t)stored->bytes));
}

/* Takes @stored over. */
static void
add_to_group(Listing *listing, const ConfRoute *route, Stored *stored)
{
        const char *age = age_class(stored, listing->now_unix_ms);
        g_autofree char *key =
            g_strjoin("\n", route->name, stored->reason, stored->cluster, age, stored->method, NULL);
        Group *group = g_hash_table_lookup(listing->groups, key);

        if (group == NULL) {
                group = g_new0(Group, 1);
                *group = (Group){.route = route, .age = age, .newest_unix_ms = stored->time_unix_ms};
                g_hash_table_insert(listing->groups, g_steal_pointer(&key), group);
                g_ptr_array_add(listing->order, group);
        }
        group->messages++;
        group->bytes += stored->bytes;
        group->newest_unix_ms = MAX(group->newest_unix_ms, stored->time_unix_ms);
        if (group->oldest && group->oldest->time_unix_ms <= stored->time_unix_ms) {
                stored_free(stored);
                return;
        }
        stored_free(group->oldest);
        group->oldest = stored;
}

static void
add_message(Listing *listing, const ConfRoute *route, const Message *message)
{
        Stored *stored = stored_read(message, listing->now_unix_ms);

        if (!selection_has(&listing->options->selection, stored, listing->now_unix_ms)) {
                stored_free(stored);
                return;
        }
        if (listing->options->each)
                add_each(listing, route, stored);
        add_to_group(listing, route, stored);
}

static BrokerResult
look_at_queue(Listing *listing, Broker *broker, const ConfRoute *route)
{
        g_autofree char *queue = topology_dead_queue(route);
        uint32_t messages = 0;
        uint64_t looked = 0;
        BrokerResult result = broker_look(broker, queue, &messages, NULL);

        while (result == BROKER_DONE && looked < MIN(messages, listing->options->most)) {
                Message *message = NULL;

                result = broker_take(broker, queue, &message);
                if (result != BROKER_DONE)
                        break;
                looked++;
                add_message(listing, route, message);
                message_free(message);
        }
        if (result != BROKER_FAILED && looked > 0)
                result = broker_give_back(broker);
        listing->partly |= looked < messages && looked == listing->options->most;
        json_array_append_new(listing->queues,
                              json_pack("{s:s, s:s, s:I, s:I}", "route", route->name, "queue", queue,
                                        "messages", (json_int_t)messages, "looked_at", (json_int_t)looked));
        return result;
}

/* ---- printing ---- */

static json_t *
groups_json(const Listing *listing)
{
        json_t *list = json_array();

        for (unsigned i = 0; i < listing->order->len; i++) {
                const Group *group = listing->order->pdata[i];
                const Stored *oldest = group->oldest;

                json_array_append_new(
                    list, json_pack("{s:s, s:o, s:o, s:s, s:o, s:I, s:I, s:o, s:o, s:s}", "route",
                                    group->route->name, "reason", print_string(oldest->reason), "cluster",
                                    print_string(oldest->cluster), "age", group->age, "method",
                                    print_string(oldest->method), "messages", (json_int_t)group->messages,
                                    "bytes", (json_int_t)group->bytes, "oldest_s",
                                    stored_age_json(oldest->time_unix_ms, listing->now_unix_ms), "newest_s",
                                    stored_age_json(group->newest_unix_ms, listing->now_unix_ms), "id",
                                    oldest->id));
        }
        return list;
}

static void
print_groups(const Listing *listing)
{
        g_autoptr(Table) table = table_new("ROUTE", "REASON", "CLUSTER", "AGE", "METHOD", "MESSAGES",
                                           "OLDEST", "NEWEST", "ID", NULL);

        for (unsigned i = 0; i < listing->order->len; i++) {
                const Group *group = listing->order->pdata[i];
                g_autofree char *messages = g_strdup_printf("%" G_GUINT64_FORMAT, group->messages);
                g_autofree char *oldest = stored_age_text(group->oldest->time_unix_ms, listing->now_unix_ms);
                g_autofree char *newest = stored_age_text(group->newest_unix_ms, listing->now_unix_ms);

                table_add(table, group->route->name, group->oldest->reason, group->oldest->cluster,
                          group->age, group->oldest->method, messages, oldest, newest, group->oldest->id,
                          NULL);
        }
        table_print(table);
}

static void
print_listing(const Listing *listing)
{
        json_t *document = NULL;

        if (listing->partly)
                command_warn("only the first %" G_GUINT64_FORMAT
                             " messages of a queue were looked at; see --limit",
                             listing->options->most);
        if (listing->options->json) {
                document = json_pack("{s:O, s:o}", "queues", listing->queues, "groups", groups_json(listing));
                if (listing->options->each)
                        json_object_set(document, "messages", listing->messages);
                print_json(document);
        } else if (listing->options->each) {
                table_print(listing->each);
        } else {
                print_groups(listing);
        }
}

int
dead_list(Broker *broker, const GPtrArray *routes, const DeadListOptions *options)
{
        g_autoptr(Table) each =
            table_new("ID", "ROUTE", "REASON", "CLUSTER", "AGE", "METHOD", "EXCHANGE/KEY", "BYTES", NULL);
        g_autoptr(GHashTable) groups = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, group_free);
        g_autoptr(GPtrArray) order = g_ptr_array_new();
        Listing listing = {.options = options,
                           .now_unix_ms = g_get_real_time() / 1000,
                           .groups = groups,
                           .order = order,
                           .queues = json_array(),
                           .messages = json_array(),
                           .each = each};
        BrokerResult result = BROKER_DONE;

        for (unsigned i = 0; result != BROKER_FAILED && i < routes->len; i++)
                result = look_at_queue(&listing, broker, routes->pdata[i]);
        if (result != BROKER_FAILED)
                print_listing(&listing);
        json_decref(listing.queues);
        json_decref(listing.messages);
        return result == BROKER_FAILED ? broker_fail(broker) : EXIT_DONE;
}
