/* SPDX-License-Identifier: MIT */
#include "router/ctl/config.h"

#include "conf/conf_fault.h"
#include "conf/conf_nearest.h"
#include "router/ctl/api.h"
#include "router/ctl/config_diff.h"
#include "router/ctl/nouns.h"
#include "router/ctl/print.h"
#include "router/report_config.h"

#include <stdio.h>

static void
print_lines(FILE *stream, const GPtrArray *lines)
{
        for (unsigned i = 0; i < lines->len; i++)
                fprintf(stream, "%s\n", (const char *)lines->pdata[i]);
}

Conf *
config_load(const Options *options)
{
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        Conf *conf = conf_load(options->conf_path, errors);

        print_lines(stderr, errors);
        return conf;
}

static const ConfRoute *
refuse_route(const Conf *conf, const char *name)
{
        g_autoptr(GPtrArray) words = g_ptr_array_new();

        for (unsigned i = 0; i < conf->routes->len; i++)
                g_ptr_array_add(words, ((ConfRoute *)conf->routes->pdata[i])->name);
        g_ptr_array_add(words, NULL);

        g_autofree char *list = conf_suggest(name ? name : "", (const char *const *)words->pdata);

        if (name) {
                g_autofree char *quoted = conf_quote(name);
                command_warn("no route %s%s", quoted, list);
        } else {
                command_warn("which route? Say --route ROUTE%s", list);
        }
        return NULL;
}

const ConfRoute *
config_route(const Conf *conf, const Options *options)
{
        const char *name = options_get(options, "--route");
        const ConfRoute *route = name ? conf_find_route(conf, name) : NULL;

        if (name == NULL && conf->routes->len == 1)
                return conf->routes->pdata[0];
        return route ? route : refuse_route(conf, name);
}

/* --- check --- */

/* What the file alone cannot tell to be right: the catalogue may know those clusters. */
static GPtrArray *
gather_warnings(const Conf *conf)
{
        GPtrArray *warnings = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GPtrArray) names = NULL;
        g_autoptr(GPtrArray) undefined = conf_undefined_clusters(conf, &names);

        for (unsigned i = 0; i < conf->warnings->len; i++)
                g_ptr_array_add(warnings, g_strdup(conf->warnings->pdata[i]));
        for (unsigned i = 0; i < undefined->len; i++)
                g_ptr_array_add(warnings, g_strdup(undefined->pdata[i]));
        return warnings;
}

static json_t *
lines_json(const GPtrArray *lines)
{
        json_t *array = json_array();

        for (unsigned i = 0; lines && i < lines->len; i++)
                json_array_append_new(array, print_string(lines->pdata[i]));
        return array;
}

/*
 * What the running router has in force, asked at the address of the file of -c, or where that cannot be read,
 * of the new one. NULL after saying why not.
 */
static json_t *
ask_running(const Options *options, const Conf *next, int *out_status)
{
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(Conf) current = conf_load(options->conf_path, errors);

        return api_get(current ? current : next, "/api/v1/config", out_status);
}

/* New; NULL after saying why not. */
static json_t *
compare_with_running(const Options *options, const Conf *conf, int *out_status)
{
        json_t *running = ask_running(options, conf, out_status);
        json_t *next = running ? report_config_document(conf) : NULL;
        json_t *diff = next ? config_diff(running, next) : NULL;

        json_decref(running);
        json_decref(next);
        return diff;
}

static int
check(const Options *options, char **arguments)
{
        const char *path = arguments[0] ? arguments[0] : options->conf_path;
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(Conf) conf = conf_load(path, errors);
        g_autoptr(GPtrArray) warnings = conf ? gather_warnings(conf) : NULL;
        int status = conf ? EXIT_DONE : EXIT_CONFIG;
        json_t *diff = conf && options_get(options, "--against-running")
                           ? compare_with_running(options, conf, &status)
                           : NULL;

        if (options->json)
                print_json(json_pack("{s:o, s:b, s:o, s:o, s:O?}", "file", print_string(path), "ok",
                                     conf != NULL, "errors", lines_json(errors), "warnings",
                                     lines_json(warnings), "against_running", diff));
        else if (conf)
                printf("%s: ok\n", path);
        print_lines(stderr, errors);
        if (warnings)
                print_lines(stderr, warnings);
        if (diff && !options->json)
                config_diff_print(diff);
        json_decref(diff);
        return status;
}

/* --- show --- */

static int
show(const Options *options, char **arguments)
{
        g_autoptr(Conf) conf = config_load(options);

        if (conf == NULL)
                return EXIT_CONFIG;

        json_t *document = report_config_document(conf), *key;
        g_autoptr(Table) table = table_new("GROUP", "KEY", "VALUE", "DEFAULT", "CHANGE BY", "SET IN", NULL);
        size_t i;

        if (options->json) {
                print_json(document);
                return EXIT_DONE;
        }
        json_array_foreach(json_object_get(document, "keys"), i, key)
        {
                bool reloads = json_is_true(json_object_get(key, "reloadable"));

                table_add(table, json_string_value(json_object_get(key, "group")),
                          json_string_value(json_object_get(key, "key")),
                          json_string_value(json_object_get(key, "value")),
                          json_string_value(json_object_get(key, "default")), reloads ? "reload" : "restart",
                          json_string_value(json_object_get(key, "origin")), NULL);
        }
        table_print(table);
        json_decref(document);
        return EXIT_DONE;
}

static const CommandOption check_options[] = {
    {"--against-running", NULL, "and tell what a reload would change"},
    {0},
};

const Command config_commands[] = {
    {"config", "check", "[FILE]", 0, 1, "Check a configuration file without touching anything",
     "Without FILE, the file of -c is checked. Prints \"FILE: ok\", or on stderr one line for each error,\n"
     "with file and line, and exits with 78. Warnings go to stderr and do not change the exit status.\n\n"
     "With --against-running the router at [http] listen of the file of -c is asked what it has in force, "
     "and\n"
     "told is what a reload with FILE would change, for each key, route and cluster, and what needs a "
     "restart.\n\n"
     "JSON: {\"file\", \"ok\", \"errors\": [LINE], \"warnings\": [LINE], \"against_running\": null or\n"
     "{\"identical\", \"changes\": [{\"group\", \"key\", \"before\", \"after\", \"takes\": "
     "reload|restart}],\n"
     "\"routes\": [{\"route\", \"effect\": new|removed|restarts|unchanged}], \"clusters\": [{\"cluster\",\n"
     "\"effect\": new|removed|changed|unchanged, \"keys\"}], \"restart\": [KEY]}}\n\n"
     "Example: clusterctl config check new.conf --against-running\n",
     check, check_options},
    {"config", "show", "", 0, 0, "Show every key with its value, its default and where it is set",
     "Passwords are shown as \"***\". CHANGE BY tells whether a reload (SIGHUP) puts a new value in force\n"
     "or a restart is needed.\n\n"
     "JSON: {\"file\", \"keys\": [{\"group\", \"key\", \"value\", \"default\", \"reloadable\", "
     "\"origin\"}],\n\"fingerprint\", \"routes\": [{\"route\", \"fingerprint\"}]}\n\n"
     "Example: clusterctl config show -o json\n",
     show, NULL},
    {0},
};
