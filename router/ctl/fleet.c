/* SPDX-License-Identifier: MIT */
/*
 * A router that listens on loopback announces an address that means another machine elsewhere, so what
 * answers must have the id that was announced. Routers are asked one after the other: there are few, and one
 * that died is gone from redis within seconds.
 */
#include "router/ctl/fleet.h"

#include "cluster/announcement.h"
#include "router/ctl/api.h"

#include <string.h>

struct Fleet {
        const Conf *conf;
        RedisLink *redis; /* NULL: no [redis] */
        GPtrArray *routers;
        char *redis_error; /* or NULL */
};

static void
router_free(void *data)
{
        FleetRouter *router = data;

        json_decref(router->before);
        json_decref(router->after);
        g_free(router->id);
        g_free(router->address);
        g_free(router->error);
        g_free(router);
}

Fleet *
fleet_new(const Conf *conf)
{
        Fleet *fleet = g_new0(Fleet, 1);

        fleet->conf = conf;
        fleet->routers = g_ptr_array_new_with_free_func(router_free);
        if (conf->redis_url)
                fleet->redis = redis_link_new(conf->redis_url, conf->redis_timeout_ms, NULL);
        return fleet;
}

void
fleet_free(Fleet *fleet)
{
        if (fleet == NULL)
                return;
        redis_link_free(fleet->redis);
        g_ptr_array_unref(fleet->routers);
        g_free(fleet->redis_error);
        g_free(fleet);
}

const GPtrArray *
fleet_routers(const Fleet *fleet)
{
        return fleet->routers;
}

/* ---- who is there ---- */

/* Moves the router of that id over, with its answers, or adds a new one. */
static void
keep_or_add(GPtrArray *routers, GPtrArray *known, const char *id, const char *address)
{
        FleetRouter *router = NULL;

        for (unsigned i = 0; i < known->len && router == NULL; i++)
                if (strcmp(((FleetRouter *)known->pdata[i])->id, id) == 0)
                        router = g_ptr_array_steal_index(known, i);
        if (router == NULL) {
                router = g_new0(FleetRouter, 1);
                router->id = g_strdup(id);
        }
        g_free(router->address);
        router->address = g_strdup(address);
        g_ptr_array_add(routers, router);
}

static GPtrArray *
list_announced(Fleet *fleet)
{
        g_autoptr(GError) error = NULL;
        GPtrArray *announced = fleet->redis ? announcement_list(fleet->redis, &error) : NULL;

        g_clear_pointer(&fleet->redis_error, g_free);
        if (error) {
                g_autofree char *url = conf_mask_url(fleet->conf->redis_url);

                fleet->redis_error =
                    g_strdup_printf("%s: %s, so other routers are unknown", url, error->message);
        }
        return announced;
}

static void
find_routers(Fleet *fleet)
{
        g_autoptr(GPtrArray) known = g_steal_pointer(&fleet->routers);
        g_autoptr(GPtrArray) announced = list_announced(fleet);
        g_autofree char *own_id = announcement_id(fleet->conf);
        g_autofree char *own = api_address(fleet->conf);

        fleet->routers = g_ptr_array_new_with_free_func(router_free);
        for (unsigned i = 0; announced && i < announced->len; i++) {
                const Announcement *other = announced->pdata[i];
                bool is_own = own && strcmp(other->id, own_id) == 0;

                keep_or_add(fleet->routers, known, other->id, is_own ? own : other->address);
        }
        if (fleet->routers->len == 0)
                keep_or_add(fleet->routers, known, own_id, own ? own : "");
}

/* ---- asking ---- */

static void
ask(const Fleet *fleet, FleetRouter *router, bool is_own)
{
        int status;
        char *error = NULL;
        json_t *document = is_own ? api_ask(fleet->conf, "/api/v1/stats", &status, &error)
                                  : api_ask_at(router->address, "/api/v1/stats", &status, &error);
        const char *id = json_string_value(json_object_get(document, "router"));

        if (document && !is_own && g_strcmp0(id, router->id) != 0) {
                error = g_strdup_printf(
                    "%s listens on %s, where %s answers from here; set listen in its [http] to "
                    "an address that others reach",
                    router->id, router->address, id ? id : "something else");
                g_clear_pointer(&document, json_decref);
        }
        g_free(router->error);
        router->error = error;
        if (document == NULL)
                return;
        json_decref(router->before);
        router->before = router->after;
        router->after = document;
}

unsigned
fleet_look(Fleet *fleet)
{
        unsigned answers = 0;
        g_autofree char *own_id = announcement_id(fleet->conf);

        find_routers(fleet);
        for (unsigned i = 0; i < fleet->routers->len; i++) {
                FleetRouter *router = fleet->routers->pdata[i];

                ask(fleet, router, strcmp(router->id, own_id) == 0);
                answers += router->error == NULL;
        }
        return answers;
}

char *
fleet_complaint(const Fleet *fleet)
{
        g_autoptr(GString) text = g_string_new(fleet->redis_error);

        for (unsigned i = 0; i < fleet->routers->len; i++) {
                const FleetRouter *router = fleet->routers->pdata[i];

                if (router->error)
                        g_string_append_printf(text, "%s%s", text->len ? "; " : "", router->error);
        }
        return text->len ? g_strdup(text->str) : NULL;
}
