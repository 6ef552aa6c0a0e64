/* SPDX-License-Identifier: MIT */
/*
 * A reload keeps the lanes of every route whose fingerprint is the same (router/crew.c), so that is what is
 * compared here too; keys alone would miss a password, and take a new member of a cluster for a change of its
 * routes.
 */
#include "router/ctl/config_diff.h"

#include "router/ctl/print.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *
text_of(const json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));

        return text ? text : "";
}

/* ---- keys ---- */

static const json_t *
find_key(const json_t *keys, const json_t *wanted)
{
        const json_t *item;
        size_t i;

        json_array_foreach(keys, i, item)
        {
                if (strcmp(text_of(item, "group"), text_of(wanted, "group")) == 0 &&
                    strcmp(text_of(item, "key"), text_of(wanted, "key")) == 0)
                        return item;
        }
        return NULL;
}

/* @before or @after may be NULL. */
static void
add_change(json_t *changes, const json_t *before, const json_t *after)
{
        const json_t *any = after ? after : before;
        bool reloads = json_is_true(json_object_get(any, "reloadable"));

        json_array_append_new(changes,
                              json_pack("{s:s, s:s, s:o, s:o, s:s}", "group", text_of(any, "group"), "key",
                                        text_of(any, "key"), "before",
                                        before ? json_string(text_of(before, "value")) : json_null(), "after",
                                        after ? json_string(text_of(after, "value")) : json_null(), "takes",
                                        reloads ? "reload" : "restart"));
}

/* A group that is not on the other side at all is told by its keys that say something. */
static bool
is_worth_telling(const json_t *item)
{
        return strcmp(text_of(item, "origin"), "file") == 0;
}

static json_t *
compare_keys(const json_t *running, const json_t *next)
{
        json_t *changes = json_array();
        const json_t *item;
        size_t i;

        json_array_foreach(next, i, item)
        {
                const json_t *old = find_key(running, item);

                if (old ? strcmp(text_of(old, "value"), text_of(item, "value")) != 0 : is_worth_telling(item))
                        add_change(changes, old, item);
        }
        json_array_foreach(running, i, item)
        {
                if (find_key(next, item) == NULL && is_worth_telling(item))
                        add_change(changes, item, NULL);
        }
        return changes;
}

/* ---- routes ---- */

static const char *
fingerprint_of(const json_t *routes, const char *name)
{
        const json_t *route;
        size_t i;

        json_array_foreach(routes, i, route)
        {
                if (strcmp(text_of(route, "route"), name) == 0)
                        return text_of(route, "fingerprint");
        }
        return NULL;
}

static void
add_route(json_t *list, const char *name, const char *effect)
{
        json_array_append_new(list, json_pack("{s:s, s:s}", "route", name, "effect", effect));
}

static json_t *
compare_routes(const json_t *running, const json_t *next)
{
        json_t *list = json_array();
        const json_t *route;
        size_t i;

        json_array_foreach(next, i, route)
        {
                const char *old = fingerprint_of(running, text_of(route, "route"));
                bool same = old && strcmp(old, text_of(route, "fingerprint")) == 0;

                add_route(list, text_of(route, "route"), same ? "unchanged" : old ? "restarts" : "new");
        }
        json_array_foreach(running, i, route)
        {
                if (fingerprint_of(next, text_of(route, "route")) == NULL)
                        add_route(list, text_of(route, "route"), "removed");
        }
        return list;
}

/* ---- clusters ---- */

/* Only clusters have this key, and each has it. */
static bool
is_cluster(const json_t *item)
{
        return strcmp(text_of(item, "key"), "cluster_member_ips") == 0;
}

static json_t *
changed_keys(const json_t *changes, const char *group)
{
        json_t *keys = json_array();
        const json_t *change;
        size_t i;

        json_array_foreach(changes, i, change)
        {
                if (strcmp(text_of(change, "group"), group) == 0)
                        json_array_append(keys, json_object_get(change, "key"));
        }
        return keys;
}

static void
add_cluster(json_t *list, const char *name, const char *effect, json_t *keys)
{
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:o}", "cluster", name, "effect", effect, "keys", keys));
}

static json_t *
compare_clusters(const json_t *running, const json_t *next, const json_t *changes)
{
        json_t *list = json_array();
        const json_t *item;
        size_t i;

        json_array_foreach(next, i, item)
        {
                const char *name = text_of(item, "group");
                json_t *keys = is_cluster(item) ? changed_keys(changes, name) : NULL;
                const char *other = json_array_size(keys) > 0 ? "changed" : "unchanged";

                if (keys)
                        add_cluster(list, name, find_key(running, item) ? other : "new", keys);
        }
        json_array_foreach(running, i, item)
        {
                if (is_cluster(item) && find_key(next, item) == NULL)
                        add_cluster(list, text_of(item, "group"), "removed", json_array());
        }
        return list;
}

/* ---- all ---- */

static json_t *
keys_for_restart(const json_t *changes)
{
        json_t *keys = json_array();
        const json_t *change;
        size_t i;

        json_array_foreach(changes, i, change)
        {
                if (strcmp(text_of(change, "takes"), "restart") == 0)
                        json_array_append(keys, json_object_get(change, "key"));
        }
        return keys;
}

json_t *
config_diff(const json_t *running, const json_t *next)
{
        const json_t *old_keys = json_object_get(running, "keys"), *keys = json_object_get(next, "keys");
        json_t *changes = compare_keys(old_keys, keys);

        return json_pack(
            "{s:b, s:o, s:o, s:o, s:o}", "identical",
            strcmp(text_of(running, "fingerprint"), text_of(next, "fingerprint")) == 0, "changes", changes,
            "routes", compare_routes(json_object_get(running, "routes"), json_object_get(next, "routes")),
            "clusters", compare_clusters(old_keys, keys, changes), "restart", keys_for_restart(changes));
}

/* ---- for people ---- */

static void
print_changes(const json_t *changes)
{
        g_autoptr(Table) table = table_new("GROUP", "KEY", "RUNNING", "NEW", "TAKES", NULL);
        const json_t *change;
        size_t i;

        json_array_foreach(changes, i, change)
        {
                table_add(table, text_of(change, "group"), text_of(change, "key"), text_of(change, "before"),
                          text_of(change, "after"), text_of(change, "takes"), NULL);
        }
        table_print(table);
}

static const char *
explain(const char *kind, const char *effect)
{
        static const struct {
                const char *kind;
                const char *effect;
                const char *sentence;
        } sentences[] = {
            {"route", "new", "is new: its lanes start"},
            {"route", "removed", "is removed: its lanes settle what is in flight and end; its queues stay"},
            {"route", "restarts", "changes: its lanes settle what is in flight, then start anew"},
            {"route", "unchanged", "goes on undisturbed"},
            {"cluster", "new", "is new: it takes messages as soon as it has usable hosts"},
            {"cluster", "removed", "is removed: its name is unknown then; its queues stay as they are"},
            {"cluster", "changed", "changes:"},
            {"cluster", "unchanged", "stays as it is"},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(sentences); i++)
                if (strcmp(kind, sentences[i].kind) == 0 && strcmp(effect, sentences[i].effect) == 0)
                        return sentences[i].sentence;
        return effect;
}

static void
print_effects(const json_t *list, const char *kind)
{
        const json_t *item, *key;
        size_t i, j;

        json_array_foreach(list, i, item)
        {
                printf("%s %s %s", kind, text_of(item, kind), explain(kind, text_of(item, "effect")));
                if (strcmp(text_of(item, "effect"), "changed") == 0)
                        json_array_foreach(json_object_get(item, "keys"), j, key)
                        {
                                printf("%s %s", j ? "," : "", json_string_value(key));
                        }
                puts("");
        }
}

static void
print_restart(const json_t *keys)
{
        const json_t *key;
        size_t i;

        if (json_array_size(keys) == 0) {
                puts("all of it takes effect by a reload (SIGHUP)");
                return;
        }
        fputs("a reload does not change these, they need a restart:", stdout);
        json_array_foreach(keys, i, key)
        {
                printf("%s %s", i ? "," : "", json_string_value(key));
        }
        puts("");
}

void
config_diff_print(const json_t *diff)
{
        const json_t *changes = json_object_get(diff, "changes");

        if (json_is_true(json_object_get(diff, "identical"))) {
                puts("the running router has this very file in force: a reload would change nothing");
                return;
        }
        if (json_array_size(changes) > 0)
                print_changes(changes);
        else
                puts("no value differs, but for passwords, comments and spelling, which are not shown");
        puts("");
        print_effects(json_object_get(diff, "routes"), "route");
        print_effects(json_object_get(diff, "clusters"), "cluster");
        print_restart(json_object_get(diff, "restart"));
}
