/* SPDX-License-Identifier: MIT */
#include "router/ctl/api.h"
#include "router/ctl/config.h"
#include "router/ctl/nouns.h"
#include "router/ctl/print.h"

static char *
join_sources(const json_t *route)
{
        g_autoptr(GPtrArray) words = g_ptr_array_new();
        const json_t *source;
        size_t i;

        json_array_foreach(json_object_get(route, "cluster_from"), i, source)
        {
                g_ptr_array_add(words, (gpointer)json_string_value(source));
        }
        g_ptr_array_add(words, NULL);
        return words->len > 1 ? g_strjoinv(", ", (char **)words->pdata) : g_strdup("-");
}

static void
add_row(Table *table, const json_t *route)
{
        const json_t *down = json_object_get(route, "on_cluster_down");
        g_autofree char *name = print_member(route, "route");
        g_autofree char *queue = print_member(route, "queue");
        g_autofree char *destination = print_member(route, "destination");
        g_autofree char *mode = print_member(route, "mode");
        g_autofree char *none = print_member(route, "on_no_cluster");
        g_autofree char *unknown = print_member(route, "on_unknown_cluster");
        g_autofree char *cast = print_member(down, "cast");
        g_autofree char *call = print_member(down, "call");
        g_autofree char *cast_and_call = g_strdup_printf("cast:%s call:%s", cast, call);
        g_autofree char *sources = join_sources(route);

        table_add(table, name, queue, destination, mode, none, unknown, cast_and_call, sources, NULL);
}

static int
list(const Options *options, char **arguments)
{
        g_autoptr(Conf) conf = config_load(options);
        int status = EXIT_CONFIG;
        json_t *document = conf ? api_get(conf, "/api/v1/routes", &status) : NULL;
        const json_t *route;
        size_t i;

        if (document == NULL)
                return status;
        if (options->json) {
                print_json(document);
                return EXIT_DONE;
        }

        g_autoptr(Table) table = table_new("ROUTE", "QUEUE", "DESTINATION", "MODE", "NO CLUSTER", "UNKNOWN",
                                           "CLUSTER DOWN", "CLUSTER FROM", NULL);
        json_array_foreach(json_object_get(document, "routes"), i, route)
        {
                add_row(table, route);
        }
        table_print(table);
        json_decref(document);
        return EXIT_DONE;
}

const Command route_commands[] = {
    {"route", "list", "", 0, 0, "List the routes that the router has in force",
     "Asks the running router, at the address of [http] listen.\n\n"
     "JSON: {\"routes\": [{\"route\", \"queue\", \"bind\", \"cluster_from\", \"destination\", \"mode\",\n"
     "\"on_no_cluster\", \"on_unknown_cluster\", \"on_cluster_down\": {\"cast\", \"call\"}, \"replies\",\n"
     "\"prefetch\", \"lanes\"}]}\n\n"
     "Example: clusterctl route list\n",
     list, NULL},
    {0},
};
