/* SPDX-License-Identifier: MIT */
/*
 * Two nouns that stand alone, status and stats: what the running router says of itself.
 */
#include "conf/conf_nearest.h"
#include "router/ctl/api.h"
#include "router/ctl/config.h"
#include "router/ctl/nouns.h"
#include "router/ctl/print.h"
#include "router/ctl/stats_all.h"
#include "router/ctl/stats_since.h"

#include <stdio.h>
#include <string.h>

/* --- status --- */

static void
add_fact(Table *table, const char *name, const json_t *object, const char *key)
{
        g_autofree char *value = print_member(object, key);

        table_add(table, name, value, NULL);
}

static void
add_source(Table *table, const char *name, const json_t *document)
{
        const json_t *source = json_object_get(document, name);
        g_autofree char *state = print_member(source, "state");
        g_autofree char *error = print_member(source, "error");
        g_autofree char *line =
            strcmp(error, "-") == 0 ? g_strdup(state) : g_strdup_printf("%s: %s", state, error);

        table_add(table, name, line, NULL);
}

static void
add_reload(Table *table, const json_t *document)
{
        const json_t *reload = json_object_get(json_object_get(document, "config"), "reload");

        if (json_integer_value(json_object_get(reload, "count")) == 0)
                table_add(table, "reload", "none so far", NULL);
        else if (json_is_true(json_object_get(reload, "ok")))
                table_add(table, "reload", "ok", NULL);
        else
                add_fact(table, "reload failed", reload, "error");
}

static void
add_view(Table *table, const json_t *document)
{
        const json_t *view = json_object_get(document, "view");
        g_autofree char *clusters = print_member(view, "clusters");
        g_autofree char *usable = print_member(view, "usable");
        g_autofree char *age = print_member(view, "age_s");
        const char *frozen = json_is_true(json_object_get(view, "frozen")) ? ", frozen" : "";
        g_autofree char *line =
            g_strdup_printf("%s clusters, %s usable; true %s s ago%s", clusters, usable, age, frozen);

        if (json_is_true(json_object_get(document, "single_cluster")))
                table_add(table, "clusters", "single-cluster mode", NULL);
        else
                table_add(table, "clusters", line, NULL);
}

static void
print_status_routes(const json_t *document)
{
        g_autoptr(Table) table =
            table_new("ROUTE", "STATE", "LANES", "CONSUMING", "IN FLIGHT", "IDLE FOR", "ERROR", NULL);
        const json_t *route;
        size_t i;

        json_array_foreach(json_object_get(document, "routes"), i, route)
        {
                const json_t *idle_s = json_object_get(route, "last_progress_age_s");
                g_autofree char *name = print_member(route, "route");
                g_autofree char *state = print_member(route, "state");
                g_autofree char *lanes = print_member(route, "lanes");
                g_autofree char *consuming = print_member(route, "lanes_consuming");
                g_autofree char *in_flight = print_member(route, "in_flight");
                g_autofree char *idle = print_duration_us(json_number_value(idle_s) * G_USEC_PER_SEC);
                g_autofree char *error = print_member(route, "error");

                table_add(table, name, state, lanes, consuming, in_flight, idle, error, NULL);
        }
        table_print(table);
}

/* Nothing where all clusters share one broker. */
static void
print_brokers(const json_t *document)
{
        const json_t *brokers = json_object_get(document, "brokers"), *broker;
        g_autoptr(Table) table = table_new("CLUSTER", "OWN BROKER", "FOR", NULL);
        size_t i;

        json_array_foreach(brokers, i, broker)
        {
                const json_t *age_s = json_object_get(broker, "broker_state_age_s");
                g_autofree char *cluster = print_member(broker, "cluster");
                g_autofree char *state = print_member(broker, "broker_state");
                g_autofree char *since = print_duration_us(json_number_value(age_s) * G_USEC_PER_SEC);

                table_add(table, cluster, state, since, NULL);
        }
        if (json_array_size(brokers) == 0)
                return;
        puts("");
        table_print(table);
}

static void
print_status(const json_t *document)
{
        g_autofree char *build = print_member(document, "build");
        g_autoptr(Table) table = table_new("cluster-routerd", build, NULL);

        add_fact(table, "pid", document, "pid");
        add_fact(table, "uptime (s)", document, "uptime_s");
        add_fact(table, "configuration", json_object_get(document, "config"), "path");
        add_fact(table, "fingerprint", json_object_get(document, "config"), "fingerprint");
        add_reload(table, document);
        add_source(table, "redis", document);
        add_source(table, "mysql", document);
        add_view(table, document);
        table_print(table);
        puts("");
        print_status_routes(document);
        print_brokers(document);
}

static int
status(const Options *options, char **arguments)
{
        g_autoptr(Conf) conf = config_load(options);
        int exit_status = EXIT_CONFIG;
        json_t *document = conf ? api_get(conf, "/api/v1/status", &exit_status) : NULL;

        if (document == NULL)
                return exit_status;
        if (options->json) {
                print_json(document);
                return EXIT_DONE;
        }
        print_status(document);
        json_decref(document);
        return EXIT_DONE;
}

/* --- stats --- */

/* Keeps only that route in the document; false if it is not there. */
static bool
keep_route(json_t *document, const char *name)
{
        json_t *routes = json_object_get(document, "routes");
        g_autoptr(GPtrArray) words = g_ptr_array_new();

        for (size_t i = 0; i < json_array_size(routes); i++) {
                json_t *route = json_array_get(routes, i);
                const char *known = json_string_value(json_object_get(route, "route"));

                if (g_strcmp0(known, name) == 0) {
                        json_object_set_new(document, "routes", json_pack("[O]", route));
                        return true;
                }
                if (known)
                        g_ptr_array_add(words, (gpointer)known);
        }
        g_ptr_array_add(words, NULL);
        g_autofree char *suggestion = conf_suggest(name, (const char *const *)words->pdata);
        command_warn("no route \"%s\"%s", name, suggestion);
        return false;
}

static void
add_route(Table *table, const json_t *route)
{
        g_autofree char *name = print_member(route, "route");
        g_autofree char *in = print_member(route, "in");
        g_autofree char *delivered = print_member(route, "delivered");
        g_autofree char *parked = print_member(route, "parked_in_queue");
        g_autofree char *dead = print_member(route, "dead");
        g_autofree char *expired = print_member(route, "expired");
        g_autofree char *in_flight = print_member(route, "in_flight");
        g_autofree char *p50 =
            print_duration_us((double)json_integer_value(json_object_get(route, "hop_p50_us")));
        g_autofree char *p99 =
            print_duration_us((double)json_integer_value(json_object_get(route, "hop_p99_us")));
        g_autofree char *state = print_member(route, "state");

        table_add(table, name, "all", in, delivered, parked, dead, expired, in_flight, p50, p99, state, NULL);
}

static void
add_cluster(Table *table, const json_t *route, const json_t *cluster)
{
        g_autofree char *route_name = print_member(route, "route");
        g_autofree char *name = print_member(cluster, "cluster");
        g_autofree char *delivered = print_member(cluster, "delivered");
        g_autofree char *parked = print_member(cluster, "parked_in_queue");
        g_autofree char *flow = print_member(cluster, "flow");

        table_add(table, route_name, name, "-", delivered, parked, "-", "-", "-", "-", "-", flow, NULL);
}

static void
print_stats(const json_t *document)
{
        g_autoptr(Table) table = table_new("ROUTE", "CLUSTER", "IN", "DELIVERED", "PARKED", "DEAD", "EXPIRED",
                                           "IN FLIGHT", "P50", "P99", "STATE", NULL);
        const json_t *route, *cluster;
        size_t i, j;

        json_array_foreach(json_object_get(document, "routes"), i, route)
        {
                add_route(table, route);
                json_array_foreach(json_object_get(route, "clusters"), j, cluster)
                {
                        add_cluster(table, route, cluster);
                }
        }
        table_print(table);
}

static json_t *
get_stats(const Options *options, const Conf *conf, uint64_t since_ms, int *out_status)
{
        if (options_get(options, "--since"))
                return stats_since(conf, (int64_t)(since_ms / 1000), out_status);
        return api_get(conf, "/api/v1/stats", out_status);
}

static int
stats(const Options *options, char **arguments)
{
        int exit_status = EXIT_CONFIG;
        uint64_t since_ms = 0;

        if (!options_get_number(options, "--since", CONF_UNIT_TIME, "1m", "3650d", &since_ms))
                return EXIT_USAGE;

        g_autoptr(Conf) conf = config_load(options);
        json_t *document = conf ? get_stats(options, conf, since_ms, &exit_status) : NULL;

        if (document == NULL)
                return exit_status;
        if (arguments[0] && !keep_route(document, arguments[0])) {
                json_decref(document);
                return EXIT_DATA;
        }
        if (options->json) {
                print_json(document);
                return EXIT_DONE;
        }
        if (options_get(options, "--all"))
                stats_all_print(document);
        else if (options_get(options, "--since"))
                stats_since_print(document);
        else
                print_stats(document);
        json_decref(document);
        return EXIT_DONE;
}

static const CommandOption stats_options[] = {
    {"--all", NULL, "every statistic on a line of its own, with its meaning"},
    {"--since", "TIME", "of all routers, back to then, from MySQL: 90m, 24h, 7d"},
    {0},
};

const Command status_commands[] = {
    {"status", NULL, "", 0, 0, "Show how the router is",
     "Asks the running router, at the address of [http] listen.\n\n"
     "JSON: {\"version\", \"build\", \"pid\", \"started\", \"uptime_s\",\n"
     "\"config\": {\"path\", \"fingerprint\", \"reload\": {\"ok\", \"error\", \"at\", \"count\"}},\n"
     "\"single_cluster\", \"redis\": {\"state\": off|waiting|ok|lost, \"error\", \"ok_age_s\"}, \"mysql\": "
     "{...},\n"
     "\"view\": {\"generation\", \"age_s\", \"frozen\", \"clusters\", \"usable\", \"usable_hosts\"},\n"
     "\"routes\": [{\"route\", \"state\": running|connecting|blocked|stopped, \"lanes\",\n"
     "\"lanes_consuming\", \"lanes_blocked\", \"in_flight\", \"error\", \"last_progress_age_s\"}],\n"
     "\"brokers\": [{\"cluster\", \"broker_state\": connected|connecting|blocked|down,\n"
     "\"broker_state_age_s\"}]}, of the clusters with an amqp_url of their own, the worst over all lanes\n\n"
     "Example: clusterctl status\n",
     status, NULL},
    {0},
};

const Command stats_commands[] = {
    {"stats", NULL, "[ROUTE]", 0, 1, "Show what went where",
     "Asks the running router, at the address of [http] listen. PARKED is what stands in a parking queue "
     "now;\n"
     "P50 and P99 are the times from a delivery to the router until its acknowledgement. The cluster \"-\"\n"
     "stands for messages that reached no one cluster's queue.\n\n"
     "JSON: {\"uptime_s\", \"routes\": [{\"route\", \"in\", \"in_flight\", \"dead\", \"expired\",\n"
     "\"clusters\": [{\"cluster\", \"delivered\", \"parked\", \"unparked\", \"parked_now\",\n"
     "\"unparked_found\", \"parked_in_queue\", \"flow\": open|parking|unparking, ...}],\n"
     "\"reasons\": {CODE: COUNT}, ...}]}\n"
     "It adds up: in = delivered + dead + expired + parked_now + in_flight, where parked_now counts what "
     "this\n"
     "router parked and has not fetched again. What it fetched beyond that, because an earlier or another\n"
     "router parked it, is counted in unparked_found, and what it took back from the queues of dead hosts\n"
     "in taken_back: add both to in.\n\n"
     "With --since the counters of all routers are summed over the minutes that MySQL keeps ([mysql]\n"
     "stats_keep); the minute that runs now is not among them. No router is asked.\n"
     "JSON: {\"since\", \"first_minute\", \"last_minute\", \"routers\", \"routes\": [the counters as "
     "above]}\n\n"
     "Example: clusterctl stats volume -o json\n"
     "         clusterctl stats --since 24h\n",
     stats, stats_options},
    {0},
};
