/* SPDX-License-Identifier: MIT */

/*
 * A source is a kind, a colon and a text whose rules depend on the kind. Whoever consults it later may rely
 * on them: a pointer is a well-formed one, a template has exactly one place to read a name from.
 */

#include "conf/conf_source.h"

#include "conf/conf_nearest.h"
#include "conf/conf_value.h"

#include <string.h>

enum { SHORT_STRING_MAX_BYTES = 255 }; /* of header names and routing keys in AMQP */

void
conf_source_free(ConfSource *source)
{
        if (!source)
                return;
        g_free(source->text);
        g_free(source->spelling);
        g_free(source);
}

static bool
check_header(const ConfPlace *place, ConfSource *source)
{
        size_t length = strlen(source->text);
        if (length == 0)
                return conf_place_error(place, "header: names no header; write header:NAME");
        if (length > SHORT_STRING_MAX_BYTES)
                return conf_place_error(place, "a header name has at most 255 bytes");
        return true;
}

static bool
check_pointer(const ConfPlace *place, ConfSource *source)
{
        g_autofree char *quoted = conf_quote(source->spelling);
        if (*source->text && *source->text != '/')
                return conf_place_error(place, "%s is no JSON pointer; it must begin with \"/\"", quoted);
        for (const char *at = source->text; (at = strchr(at, '~')); at++)
                if (at[1] != '0' && at[1] != '1')
                        return conf_place_error(
                            place, "%s is no JSON pointer; after \"~\" only 0 (for ~) or 1 (for /) may stand",
                            quoted);
        return true;
}

/* Exactly one {cluster} or {host}, no other braces. */
static bool
check_template(const ConfPlace *place, ConfSource *source)
{
        g_autofree char *quoted = conf_quote(source->spelling);
        if (strlen(source->text) > SHORT_STRING_MAX_BYTES)
                return conf_place_error(place, "%s: a routing key has at most 255 bytes", quoted);
        unsigned clusters = 0, hosts = 0;
        const char *at = source->text;
        while (*(at += strcspn(at, "{}"))) {
                if (g_str_has_prefix(at, "{cluster}")) {
                        clusters++;
                        at += strlen("{cluster}");
                } else if (g_str_has_prefix(at, "{host}")) {
                        hosts++;
                        at += strlen("{host}");
                } else {
                        return conf_place_error(place, "%s: only {cluster} or {host} may stand in braces",
                                                quoted);
                }
        }
        if (clusters + hosts != 1)
                return conf_place_error(place, "%s must hold exactly one {cluster} or {host}", quoted);
        if (source->is_host && clusters)
                return conf_place_error(place, "%s: host: needs {host}, not {cluster}", quoted);
        source->is_host = hosts == 1;
        return true;
}

static const struct {
        const char *name;
        bool (*check)(const ConfPlace *place, ConfSource *source);
} kinds[] = {
    [CONF_SOURCE_HEADER] = {"header", check_header},
    [CONF_SOURCE_JSON] = {"json", check_pointer},
    [CONF_SOURCE_OSLO] = {"oslo", check_pointer},
    [CONF_SOURCE_KEY] = {"key", check_template},
};

static bool
refuse_kind(const ConfPlace *place, const char *text)
{
        static const char *const names[] = {"header", "json", "oslo", "key", "host", "fields", NULL};
        g_autofree char *quoted = conf_quote(text);
        g_autofree char *kind = g_strndup(text, strcspn(text, ":"));
        if (strcmp(kind, "fields") == 0)
                return conf_place_error(place, "%s: fields: may only stand in cluster_from", quoted);
        const char *nearest = conf_nearest(kind, names);
        if (nearest && strchr(text, ':'))
                return conf_place_error(place, "%s: unknown kind of source; did you mean \"%s:\"?", quoted,
                                        nearest);
        return conf_place_error(
            place,
            "%s: unknown kind of source; there is header:NAME, json:/POINTER, oslo:/POINTER, "
            "key:TEMPLATE, each with host: in front if it names a host",
            quoted);
}

ConfSource *
conf_source_parse(const ConfPlace *place, const char *text)
{
        bool is_host = g_str_has_prefix(text, "host:");
        const char *rest = is_host ? text + strlen("host:") : text;
        while (*rest == ' ')
                rest++;
        for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
                size_t length = strlen(kinds[i].name);
                if (strncmp(rest, kinds[i].name, length) != 0 || rest[length] != ':')
                        continue;
                ConfSource *source = g_new0(ConfSource, 1);
                source->kind = (ConfSourceKind)i;
                source->is_host = is_host;
                source->text = g_strdup(rest + length + 1);
                source->spelling = g_strdup(text);
                source->line = place->line;
                if (kinds[i].check(place, source))
                        return source;
                conf_source_free(source);
                return NULL;
        }
        refuse_kind(place, rest);
        return NULL;
}

static bool
add_source(const ConfPlace *place, const char *text, GPtrArray *sources)
{
        ConfSource *source = conf_source_parse(place, text);
        if (!source)
                return false;
        g_ptr_array_add(sources, source);
        return true;
}

bool
conf_source_parse_group(const ConfPlace *place, ConfGroup *group, GPtrArray *sources)
{
        bool good = true;
        if (group->entries->len == 0) {
                conf_faults_error(place->faults, group->line, "[%s] holds no source; write NAME = SOURCE",
                                  group->name);
                return false;
        }
        if (group->entries->len > CONF_SOURCES_MAX) {
                conf_faults_error(place->faults, group->line, "more than %d sources in one group",
                                  CONF_SOURCES_MAX);
                return false;
        }
        for (unsigned i = 0; i < group->entries->len; i++) {
                const ConfEntry *entry = group->entries->pdata[i];
                g_autofree char *key = conf_quote(entry->key);
                ConfPlace here = {place->faults, place->text, key, entry->line};
                if (!add_source(&here, entry->value, sources))
                        good = false;
        }
        return good;
}

static char *
suggest_fields(const ConfPlace *place, const char *name)
{
        g_autoptr(GPtrArray) names = g_ptr_array_new();
        for (unsigned i = 0; i < place->text->groups->len; i++) {
                const ConfGroup *group = place->text->groups->pdata[i];
                if (g_str_has_prefix(group->name, "fields:"))
                        g_ptr_array_add(names, group->name);
        }
        g_ptr_array_add(names, NULL);
        return conf_suggest(name, (const char *const *)names->pdata);
}

static bool
add_item(const ConfPlace *place, const char *item, GPtrArray *sources)
{
        if (!g_str_has_prefix(item, "fields:"))
                return add_source(place, item, sources);
        ConfGroup *group = conf_text_find(place->text, item);
        if (!group) {
                g_autofree char *quoted = conf_quote(item);
                g_autofree char *suggestion = suggest_fields(place, item);
                return conf_place_error(place, "there is no group %s%s", quoted, suggestion);
        }
        group->used = true;
        return conf_source_parse_group(place, group, sources);
}

bool
conf_source_parse_list(const ConfPlace *place, const char *text, GPtrArray **out_sources)
{
        g_auto(GStrv) items = NULL;
        if (!conf_value_list(place, text, &items))
                return false;
        g_autoptr(GPtrArray) sources = g_ptr_array_new_with_free_func((GDestroyNotify)conf_source_free);
        bool good = true;
        for (char **item = items; *item && sources->len <= CONF_SOURCES_MAX; item++)
                if (!add_item(place, *item, sources))
                        good = false;
        if (good && sources->len > CONF_SOURCES_MAX)
                good = conf_place_error(place, "more than %d sources", CONF_SOURCES_MAX);
        if (good)
                *out_sources = g_steal_pointer(&sources);
        return good;
}
