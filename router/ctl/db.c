/* SPDX-License-Identifier: MIT */
#include "cluster/migration.h"
#include "router/ctl/config.h"
#include "router/ctl/inventory.h"
#include "router/ctl/nouns.h"
#include "router/ctl/print.h"

#include <stdio.h>

static unsigned
newest_version(void)
{
        return n_migrations ? migrations[n_migrations - 1].version : 0;
}

static int
sync_schema(const Options *options, char **arguments)
{
        g_autoptr(Conf) conf = config_load(options);
        g_autoptr(Catalogue) catalogue = conf ? inventory_open_catalogue(conf) : NULL;
        g_autoptr(GError) error = NULL;
        unsigned applied = 0, version = 0;

        if (catalogue == NULL)
                return EXIT_CONFIG;
        if (!catalogue_migrate(catalogue, &applied, &error) ||
            !catalogue_version(catalogue, &version, &error))
                return inventory_fail(conf->mysql_url, error);
        if (options->json)
                print_json(json_pack("{s:i, s:i}", "applied", (int)applied, "version", (int)version));
        else
                printf("%u migration%s applied, version %u\n", applied, applied == 1 ? "" : "s", version);
        return EXIT_DONE;
}

static int
show_version(const Options *options, char **arguments)
{
        g_autoptr(Conf) conf = config_load(options);
        g_autoptr(Catalogue) catalogue = conf ? inventory_open_catalogue(conf) : NULL;
        g_autoptr(GError) error = NULL;
        unsigned version = 0;

        if (catalogue == NULL)
                return EXIT_CONFIG;
        if (!catalogue_version(catalogue, &version, &error))
                return inventory_fail(conf->mysql_url, error);
        if (options->json)
                print_json(json_pack("{s:i, s:i}", "version", (int)version, "newest", (int)newest_version()));
        else if (version < newest_version())
                printf("version %u of %u: run clusterctl db sync\n", version, newest_version());
        else
                printf("version %u\n", version);
        return EXIT_DONE;
}

const Command db_commands[] = {
    {"db", "sync", "", 0, 0, "Bring the tables of the catalogue up to date",
     "Applies the migrations that the database of [mysql] lacks. Safe to repeat, and to run twice at "
     "once.\n\n"
     "JSON: {\"applied\", \"version\"}\n\n"
     "Example: clusterctl db sync\n",
     sync_schema, NULL},
    {"db", "version", "", 0, 0, "Show the version of the tables of the catalogue",
     "0 is an empty database.\n\n"
     "JSON: {\"version\", \"newest\"}\n\n"
     "Example: clusterctl db version\n",
     show_version, NULL},
    {0},
};
