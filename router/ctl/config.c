/* SPDX-License-Identifier: MIT */
#include "router/ctl/config.h"

#include "conf/conf_fault.h"
#include "conf/conf_nearest.h"
#include "router/ctl/nouns.h"
#include "router/ctl/print.h"

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

static int
check(const Options *options, char **arguments)
{
        const char *path = arguments[0] ? arguments[0] : options->conf_path;
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(Conf) conf = conf_load(path, errors);
        g_autoptr(GPtrArray) warnings = conf ? gather_warnings(conf) : NULL;

        if (options->json)
                print_json(json_pack("{s:o, s:b, s:o, s:o}", "file", print_string(path), "ok", conf != NULL,
                                     "errors", lines_json(errors), "warnings", lines_json(warnings)));
        else if (conf)
                printf("%s: ok\n", path);
        print_lines(stderr, errors);
        if (warnings)
                print_lines(stderr, warnings);
        return conf ? EXIT_DONE : EXIT_CONFIG;
}

/* --- show --- */

enum { COLUMN_GROUP, COLUMN_KEY, COLUMN_VALUE, COLUMN_DEFAULT, COLUMN_RELOAD, COLUMN_ORIGIN, COLUMNS };

static json_t *
key_json(char **columns)
{
        return json_pack("{s:o, s:o, s:o, s:o, s:b, s:o}", "group", print_string(columns[COLUMN_GROUP]),
                         "key", print_string(columns[COLUMN_KEY]), "value",
                         print_string(columns[COLUMN_VALUE]), "default",
                         print_string(columns[COLUMN_DEFAULT]), "reloadable",
                         g_str_equal(columns[COLUMN_RELOAD], "reloadable"), "origin",
                         print_string(columns[COLUMN_ORIGIN]));
}

static int
show(const Options *options, char **arguments)
{
        g_autoptr(Conf) conf = config_load(options);

        if (conf == NULL)
                return EXIT_CONFIG;

        g_autoptr(GPtrArray) lines = conf_describe(conf);
        g_autoptr(Table) table = table_new("GROUP", "KEY", "VALUE", "DEFAULT", "CHANGE BY", "SET IN", NULL);
        json_t *keys = json_array();
        for (unsigned i = 0; i < lines->len; i++) {
                g_auto(GStrv) columns = g_strsplit(lines->pdata[i], "\t", COLUMNS);

                g_assert(g_strv_length(columns) == COLUMNS);
                json_array_append_new(keys, key_json(columns));
                table_add(table, columns[COLUMN_GROUP], columns[COLUMN_KEY], columns[COLUMN_VALUE],
                          columns[COLUMN_DEFAULT],
                          g_str_equal(columns[COLUMN_RELOAD], "reloadable") ? "reload" : "restart",
                          columns[COLUMN_ORIGIN], NULL);
        }
        if (!options->json)
                table_print(table);
        json_t *document = json_pack("{s:o, s:o}", "file", print_string(conf->path), "keys", keys);
        if (options->json)
                print_json(document);
        else
                json_decref(document);
        return EXIT_DONE;
}

const Command config_commands[] = {
    {"config", "check", "[FILE]", 0, 1, "Check a configuration file without touching anything",
     "Without FILE, the file of -c is checked. Prints \"FILE: ok\", or on stderr one line for each error,\n"
     "with file and line, and exits with 78. Warnings go to stderr and do not change the exit status.\n\n"
     "JSON: {\"file\", \"ok\", \"errors\": [LINE], \"warnings\": [LINE]}\n\n"
     "Example: clusterctl config check /etc/cluster-router/cluster-router.conf\n",
     check, NULL},
    {"config", "show", "", 0, 0, "Show every key with its value, its default and where it is set",
     "Passwords are shown as \"***\". CHANGE BY tells whether a reload (SIGHUP) puts a new value in force\n"
     "or a restart is needed.\n\n"
     "JSON: {\"file\", \"keys\": [{\"group\", \"key\", \"value\", \"default\", \"reloadable\", "
     "\"origin\"}]}\n\n"
     "Example: clusterctl config show -o json\n",
     show, NULL},
    {0},
};
