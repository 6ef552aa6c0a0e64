/* SPDX-License-Identifier: MIT */

/*
 * A destination is a template. Its placeholders are checked here once, so that conf_expand() has nothing to
 * refuse: what stands in braces is one of the five names, and there are no other braces.
 */

#include "conf/conf_destination.h"

#include "conf/conf_nearest.h"
#include "conf/conf_value.h"

#include <string.h>

enum { SHORT_STRING_MAX_BYTES = 255, BINDS_MAX = 64 };

static const char *const placeholders[] = {"queue", "exchange", "key", "cluster", "host", NULL};

/* The index in @placeholders of the one that begins at @at, or -1. */
static int
placeholder_at(const char *at)
{
        for (int i = 0; placeholders[i]; i++) {
                size_t length = strlen(placeholders[i]);
                if (strncmp(at + 1, placeholders[i], length) == 0 && at[length + 1] == '}')
                        return i;
        }
        return -1;
}

static bool
check_placeholders(const ConfPlace *place, const char *text)
{
        const char *at = text;
        while (*(at += strcspn(at, "{}"))) {
                int index = *at == '{' ? placeholder_at(at) : -1;
                if (index < 0) {
                        g_autofree char *name = g_strndup(at, strcspn(at, "}") + (strchr(at, '}') ? 1 : 0));
                        g_autofree char *bare = g_strndup(at + 1, strcspn(at + 1, "}"));
                        g_autofree char *quoted = conf_quote(name);
                        g_autofree char *suggestion = conf_suggest(bare, placeholders);
                        return conf_place_error(place, "unknown placeholder %s%s", quoted, suggestion);
                }
                at += strlen(placeholders[index]) + 2;
        }
        return true;
}

static bool
set_destination(const ConfPlace *place, ConfRoute *route, bool to_queue, char *exchange, char *key)
{
        if (strlen(exchange) > SHORT_STRING_MAX_BYTES || strlen(key) > SHORT_STRING_MAX_BYTES) {
                g_free(exchange);
                g_free(key);
                return conf_place_error(place,
                                        "names of queues and exchanges and keys have at most 255 bytes");
        }
        route->to_queue = to_queue;
        g_free(route->exchange);
        g_free(route->key);
        route->exchange = exchange;
        route->key = key;
        return true;
}

bool
conf_destination_parse(const ConfPlace *place, const char *text, ConfRoute *route)
{
        g_autofree char *quoted = conf_quote(text);
        if (g_str_has_prefix(text, "queue:")) {
                const char *name = text + strlen("queue:");
                if (!*name)
                        return conf_place_error(place, "queue: names no queue; write queue:NAME");
                return check_placeholders(place, name) &&
                       set_destination(place, route, true, g_strdup(""), g_strdup(name));
        }
        if (g_str_has_prefix(text, "exchange:")) {
                const char *name = text + strlen("exchange:");
                const char *slash = strchr(name, '/');
                if (!slash)
                        return conf_place_error(place, "%s has no key; write exchange:NAME/KEY", quoted);
                if (slash == name && !slash[1])
                        return conf_place_error(
                            place, "%s names neither exchange nor key; write exchange:NAME/KEY", quoted);
                return check_placeholders(place, name) &&
                       set_destination(place, route, false, g_strndup(name, (gsize)(slash - name)),
                                       g_strdup(slash + 1));
        }
        return conf_place_error(place, "%s is no destination; write queue:NAME or exchange:NAME/KEY", quoted);
}

bool
conf_destination_has(const ConfRoute *route, const char *placeholder)
{
        return strstr(route->exchange, placeholder) || strstr(route->key, placeholder);
}

bool
conf_route_has_host_queues(const ConfRoute *route)
{
        return route->to_queue && strstr(route->key, "{host}") && !strstr(route->key, "{key}") &&
               !strstr(route->key, "{exchange}");
}

void
conf_bind_free(ConfBind *bind)
{
        if (!bind)
                return;
        g_free(bind->exchange);
        g_free(bind->key);
        g_free(bind);
}

static bool
add_bind(const ConfPlace *place, const char *text, GPtrArray *binds)
{
        g_autofree char *quoted = conf_quote(text);
        const char *slash = strchr(text, '/');
        if (!slash)
                return conf_place_error(place, "%s has no key; write EXCHANGE/KEY", quoted);
        if (slash == text)
                return conf_place_error(
                    place, "%s names no exchange; nothing can be bound to the default one", quoted);
        if (slash - text > SHORT_STRING_MAX_BYTES || strlen(slash + 1) > SHORT_STRING_MAX_BYTES)
                return conf_place_error(place, "names of exchanges and keys have at most 255 bytes");
        ConfBind *bind = g_new0(ConfBind, 1);
        bind->exchange = g_strndup(text, (gsize)(slash - text));
        bind->key = g_strdup(slash + 1);
        g_ptr_array_add(binds, bind);
        return true;
}

bool
conf_bind_parse_list(const ConfPlace *place, const char *text, GPtrArray **out_binds)
{
        g_auto(GStrv) items = NULL;
        if (!conf_value_list(place, text, &items))
                return false;
        if (g_strv_length(items) > BINDS_MAX)
                return conf_place_error(place, "more than %d bindings", BINDS_MAX);
        g_autoptr(GPtrArray) binds = g_ptr_array_new_with_free_func((GDestroyNotify)conf_bind_free);
        bool good = true;
        for (char **item = items; *item; item++)
                if (!add_bind(place, *item, binds))
                        good = false;
        if (good)
                *out_binds = g_steal_pointer(&binds);
        return good;
}

bool
conf_bind_parse_exchange(const ConfPlace *place, const char *text, ConfRoute *route)
{
        static const char *const types[] = {"topic", "direct", "fanout", "headers"};
        g_auto(GStrv) items = NULL;
        unsigned type = 0;
        if (!conf_value_list(place, text, &items) ||
            !conf_value_choice(place, items[0], "topic|direct|fanout|headers", &type))
                return false;
        bool durable = true, auto_delete = false;
        for (char **item = items + 1; *item; item++) {
                unsigned option = 0;
                if (!conf_value_choice(place, *item, "durable|transient|auto_delete", &option))
                        return false;
                if (option == 2)
                        auto_delete = true;
                else
                        durable = option == 0;
        }
        g_free(route->bind_exchange_type);
        route->bind_exchange_type = g_strdup(types[type]);
        route->bind_exchange_durable = durable;
        route->bind_exchange_auto_delete = auto_delete;
        return true;
}

char *
conf_expand(const char *text, const char *queue, const char *exchange, const char *key, const char *cluster,
            const char *host)
{
        const char *const values[] = {queue, exchange, key, cluster, host};
        GString *expanded = g_string_new(NULL);
        while (*text) {
                size_t plain = strcspn(text, "{");
                g_string_append_len(expanded, text, (gssize)plain);
                text += plain;
                int index = *text ? placeholder_at(text) : -1;
                if (index >= 0) {
                        g_string_append(expanded, values[index] ? values[index] : "");
                        text += strlen(placeholders[index]) + 2;
                } else if (*text) {
                        g_string_append_c(expanded, *text++);
                }
        }
        return g_string_free(expanded, FALSE);
}
