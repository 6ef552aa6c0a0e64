/* SPDX-License-Identifier: MIT */
/*
 * The router's view is better than one made now: it knows of rise and fall, of the brake, and of what it
 * remembers while redis is away. But it is of use only if it belongs to the same configuration.
 */
#include "router/ctl/picture.h"

#include "router/ctl/api.h"
#include "router/ctl/inventory.h"

#include <string.h>

/* What the inputs of a view borrow from while it is made. */
typedef struct {
        GArray *inputs;   /* of ViewInput */
        GPtrArray *hosts; /* of GArray * of ViewHost */
        GPtrArray *lists; /* of GPtrArray *: aliases, borrowed strings */
} Draft;

static Draft
draft_new(void)
{
        return (Draft){.inputs = g_array_new(FALSE, TRUE, sizeof(ViewInput)),
                       .hosts = g_ptr_array_new_with_free_func((GDestroyNotify)g_array_unref),
                       .lists = g_ptr_array_new_with_free_func((GDestroyNotify)g_ptr_array_unref)};
}

static View *
draft_finish(Draft *draft, bool single)
{
        View *view =
            view_new((const ViewInput *)(void *)draft->inputs->data, draft->inputs->len, single, NULL);

        g_array_unref(draft->inputs);
        g_ptr_array_unref(draft->hosts);
        g_ptr_array_unref(draft->lists);
        return view;
}

static void
draft_add(Draft *draft, ViewInput input, GArray *hosts)
{
        input.hosts = (const ViewHost *)(void *)hosts->data;
        input.n_hosts = hosts->len;
        g_ptr_array_add(draft->hosts, hosts);
        g_array_append_val(draft->inputs, input);
}

/* ---- from the router ---- */

static GArray *
hosts_of_row(const json_t *row)
{
        GArray *hosts = g_array_new(FALSE, TRUE, sizeof(ViewHost));
        const json_t *item;
        size_t i;

        json_array_foreach(json_object_get(row, "hosts"), i, item)
        {
                ViewHost host = {.name = (char *)json_string_value(json_object_get(item, "host")),
                                 .usable = json_is_true(json_object_get(item, "usable")),
                                 .alive = json_is_true(json_object_get(item, "alive")),
                                 .drained = json_is_true(json_object_get(item, "drained")),
                                 .configured = json_is_true(json_object_get(item, "configured"))};

                if (host.name)
                        g_array_append_val(hosts, host);
        }
        return hosts;
}

static const char *const *
aliases_of_row(Draft *draft, const json_t *row)
{
        GPtrArray *aliases = g_ptr_array_new();
        const json_t *alias;
        size_t i;

        json_array_foreach(json_object_get(row, "aliases"), i, alias)
        {
                if (json_is_string(alias))
                        g_ptr_array_add(aliases, (gpointer)json_string_value(alias));
        }
        g_ptr_array_add(aliases, NULL);
        g_ptr_array_add(draft->lists, aliases);
        return (const char *const *)aliases->pdata;
}

static View *
view_of_router(const json_t *clusters, bool single)
{
        Draft draft = draft_new();
        const json_t *row;
        size_t i;

        json_array_foreach(json_object_get(clusters, "clusters"), i, row)
        {
                ViewInput input = {
                    .name = json_string_value(json_object_get(row, "cluster")),
                    .drained = g_strcmp0(json_string_value(json_object_get(row, "state")), "drained") == 0,
                    .drain_reason = json_string_value(json_object_get(row, "reason")),
                    .drain_to = json_string_value(json_object_get(row, "drain_to")),
                    .aliases = aliases_of_row(&draft, row)};

                if (input.name)
                        draft_add(&draft, input, hosts_of_row(row));
        }
        return draft_finish(&draft, single);
}

/* Takes @status over; false, with @out_why, if the router's view is not to be had or of no use. */
static bool
ask_router(Picture *picture, const Conf *conf, char **out_why)
{
        int exit_status = 0;
        json_t *status = api_ask(conf, "/api/v1/status", &exit_status, out_why);
        const char *print =
            json_string_value(json_object_get(json_object_get(status, "config"), "fingerprint"));
        bool same = status && g_strcmp0(print, conf->fingerprint) == 0;

        if (status && !same)
                *out_why = g_strdup("the running router has another configuration in force");
        if (same)
                picture->clusters = api_ask(conf, "/api/v1/clusters", &exit_status, out_why);
        if (picture->clusters) {
                const json_t *view = json_object_get(status, "view");
                g_autofree char *url = api_url(conf, "");

                picture->from_router = true;
                picture->age_s = json_number_value(json_object_get(view, "age_s"));
                picture->view = view_of_router(picture->clusters,
                                               json_is_true(json_object_get(status, "single_cluster")));
                picture->origin = g_strdup_printf("as the router at %s knows them%s", url,
                                                  json_is_true(json_object_get(view, "frozen"))
                                                      ? " (frozen: too many hosts died at once)"
                                                      : "");
        }
        json_decref(status);
        return picture->from_router;
}

/* ---- looked up now ---- */

/* A host that nobody could ask about counts as alive if the file lists it, as in a router that starts. */
static GArray *
hosts_of_cluster(const InventoryCluster *cluster)
{
        GArray *hosts = g_array_new(FALSE, TRUE, sizeof(ViewHost));

        for (unsigned i = 0; i < cluster->liveness->hosts->len; i++) {
                const LivenessHost *member = cluster->liveness->hosts->pdata[i];
                bool alive = cluster->liveness_known ? member->alive : member->configured;
                bool drained = inventory_drained_host(cluster, member->name) != NULL;
                ViewHost host = {.name = member->name,
                                 .alive = alive,
                                 .usable = alive && !drained,
                                 .drained = drained,
                                 .configured = member->configured};

                g_array_append_val(hosts, host);
        }
        return hosts;
}

static View *
view_of_inventory(const Inventory *inventory, bool single)
{
        Draft draft = draft_new();

        for (unsigned i = 0; !single && i < inventory->clusters->len; i++) {
                const InventoryCluster *cluster = inventory->clusters->pdata[i];
                ViewInput input = {.name = cluster->liveness->name,
                                   .id = cluster->id,
                                   .drained = cluster->drained,
                                   .drain_reason = cluster->drain_reason,
                                   .drain_to = cluster->drain_to,
                                   .aliases =
                                       cluster->conf ? (const char *const *)cluster->conf->aliases : NULL};

                draft_add(&draft, input, hosts_of_cluster(cluster));
        }
        return draft_finish(&draft, single);
}

Picture *
picture_new(const Conf *conf)
{
        Picture *picture = g_new0(Picture, 1);
        g_autofree char *why = NULL;

        picture->complete = true;
        if (ask_router(picture, conf, &why))
                return picture;

        g_autoptr(Inventory) inventory = inventory_new(conf);

        picture->complete = !inventory->liveness_failed && !inventory->catalogue_failed;
        picture->view = view_of_inventory(inventory, conf_is_single_cluster(conf));
        picture->origin =
            g_strdup_printf("looked up now in the file%s%s%s (%s)", conf->mysql_url ? ", the catalogue" : "",
                            conf->redis_url ? " and redis" : "",
                            picture->complete ? "" : ", as far as they could be asked", why);
        return picture;
}

void
picture_free(Picture *picture)
{
        if (picture == NULL)
                return;
        view_unref(picture->view);
        json_decref(picture->clusters);
        g_free(picture->origin);
        g_free(picture);
}

/* ---- flows ---- */

static const json_t *
find_row(const json_t *rows, const char *key, const char *name)
{
        const json_t *row;
        size_t i;

        json_array_foreach(rows, i, row)
        {
                if (g_strcmp0(json_string_value(json_object_get(row, key)), name) == 0)
                        return row;
        }
        return NULL;
}

const char *
picture_flow(const Picture *picture, const char *cluster, const char *route)
{
        const json_t *row = find_row(json_object_get(picture->clusters, "clusters"), "cluster", cluster);

        row = find_row(json_object_get(row, "routes"), "route", route);
        return json_string_value(json_object_get(row, "flow"));
}
