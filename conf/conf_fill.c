/* SPDX-License-Identifier: MIT */

/*
 * Standard values take the same way as written ones, so the table cannot hold one that would be refused. An
 * empty value means "as if the key were absent", which is what a person who clears a line expects, but only
 * where absence has a meaning of its own, that is, where there is no standard value.
 */

#include "conf/conf_fill.h"

#include "conf/conf_destination.h"
#include "conf/conf_nearest.h"
#include "conf/conf_policy.h"
#include "conf/conf_source.h"
#include "conf/conf_url.h"
#include "conf/conf_value.h"
#include "conf/name.h"

#include <string.h>

enum { NAME_OF_QUEUE_MAX_BYTES = 255, ALIAS_MAX_BYTES = 255, SECOND_MS = 1000 };

static void
set_text(char **field, const char *text)
{
        g_free(*field);
        *field = g_strdup(text);
}

static bool
fill_name(const ConfPlace *place, const ConfRow *row, const char *text, char **field)
{
        bool is_host = row->type == CONF_TYPE_HOST;
        size_t length = strlen(text);
        g_autofree char *quoted = conf_quote(text);
        if (is_host && !name_is_host(text, length))
                return conf_place_error(place, "%s is no host name: %s", quoted,
                                        name_explain_host(text, length));
        if (!is_host && !name_is_cluster(text, length))
                return conf_place_error(place, "%s is no cluster name: %s", quoted,
                                        name_explain_cluster(text, length));
        set_text(field, text);
        return true;
}

static bool
fill_queue(const ConfPlace *place, const char *text, char **field)
{
        if (strlen(text) > NAME_OF_QUEUE_MAX_BYTES)
                return conf_place_error(place, "a queue name has at most 255 bytes");
        if (strpbrk(text, "{}"))
                return conf_place_error(place, "the name of the queue is plain, without {placeholders}");
        set_text(field, text);
        return true;
}

static bool
fill_file(const ConfPlace *place, const char *text, char **field)
{
        g_autofree char *quoted = conf_quote(text);
        if (!g_path_is_absolute(text))
                return conf_place_error(place, "%s is no absolute file name; it must begin with \"/\"",
                                        quoted);
        set_text(field, text);
        return true;
}

/* As units of systemd and their manuals write it: the only variable there is. */
static bool
fill_secret_file(const ConfPlace *place, const char *text, char **field)
{
        static const char variable[] = "${CREDENTIALS_DIRECTORY}/";
        const char *directory = g_getenv("CREDENTIALS_DIRECTORY");
        if (!g_str_has_prefix(text, variable))
                return fill_file(place, text, field);
        if (!directory || !g_path_is_absolute(directory))
                return conf_place_error(
                    place, "CREDENTIALS_DIRECTORY is not set: systemd sets it for units with "
                           "LoadCredential; for other programs set it to the folder of the files");
        g_autofree char *path = g_build_filename(directory, text + strlen(variable), NULL);
        return fill_file(place, path, field);
}

static bool
check_item(const ConfPlace *place, const ConfRow *row, const char *item)
{
        size_t length = strlen(item);
        g_autofree char *quoted = conf_quote(item);
        if (row->type == CONF_TYPE_HOSTS && !name_is_host(item, length))
                return conf_place_error(place, "%s is no host name: %s", quoted,
                                        name_explain_host(item, length));
        if (row->type == CONF_TYPE_ALIASES && length > ALIAS_MAX_BYTES)
                return conf_place_error(place, "%s is longer than 255 bytes", quoted);
        return true;
}

/* Hosts or aliases; one that stands twice counts once. */
static bool
fill_names(const ConfPlace *place, const ConfRow *row, const char *text, GStrv *field)
{
        g_auto(GStrv) items = NULL;
        if (!conf_value_list(place, text, &items))
                return false;
        g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
        g_autoptr(GPtrArray) kept = g_ptr_array_new();
        bool good = true;
        for (char **item = items; *item; item++) {
                if (!check_item(place, row, *item)) {
                        good = false;
                } else if (!g_hash_table_add(seen, *item)) {
                        g_autofree char *quoted = conf_quote(*item);
                        conf_faults_warn(place->faults, place->line, "%s: %s stands twice", place->key,
                                         quoted);
                } else {
                        g_ptr_array_add(kept, *item);
                }
        }
        g_ptr_array_add(kept, NULL);
        if (!good)
                return false;
        g_strfreev(*field);
        *field = g_strdupv((GStrv)kept->pdata);
        return true;
}

/* Which of several is wrong is told by its number, since a URL may hold a password. */
static bool
fill_amqp_urls(const ConfPlace *place, const char *text, GStrv *field)
{
        g_auto(GStrv) items = NULL;
        if (!conf_value_list(place, text, &items))
                return false;
        unsigned count = g_strv_length(items);
        bool good = true;
        for (unsigned i = 0; i < count; i++) {
                const char *problem = NULL;
                g_autoptr(ConfUrl) url = conf_url_parse(items[i], CONF_URL_AMQP, &problem);
                if (!url && count == 1)
                        good = conf_place_error(place, "%s", problem);
                else if (!url)
                        good = conf_place_error(place, "URL %u of %u: %s", i + 1, count, problem);
        }
        if (!good)
                return false;
        g_strfreev(*field);
        *field = g_steal_pointer(&items);
        return true;
}

static bool
fill_url(const ConfPlace *place, const char *text, ConfUrlKind kind, char **field)
{
        const char *problem = NULL;
        g_autoptr(ConfUrl) url = conf_url_parse(text, kind, &problem);
        if (!url)
                return conf_place_error(place, "%s", problem);
        set_text(field, text);
        return true;
}

static bool
fill_listen(const ConfPlace *place, const char *text, Conf *conf)
{
        if (strcmp(text, "off") == 0) {
                g_clear_pointer(&conf->http_address, g_free);
                conf->http_port = 0;
                return true;
        }
        static const char form[] = "write ADDRESS:PORT such as 127.0.0.1:9419, [::1]:9419, or off";
        g_autofree char *quoted = conf_quote(text);
        const char *colon = strrchr(text, ':');
        if (!colon)
                return conf_place_error(place, "%s has no port; %s", quoted, form);
        guint64 port;
        if (!g_ascii_string_to_unsigned(colon + 1, 10, 1, 65535, &port, NULL))
                return conf_place_error(place, "%s: the port must be a number from 1 to 65535; %s", quoted,
                                        form);
        bool bracketed = *text == '[' && colon > text + 1 && colon[-1] == ']';
        g_autofree char *address = bracketed ? g_strndup(text + 1, (gsize)(colon - text - 2))
                                             : g_strndup(text, (gsize)(colon - text));
        if (!g_hostname_is_ip_address(address) || bracketed != (strchr(address, ':') != NULL))
                return conf_place_error(place, "%s has no IP address; %s", quoted, form);
        set_text(&conf->http_address, address);
        conf->http_port = (uint16_t)port;
        return true;
}

static ConfUnit
unit_of(ConfType type)
{
        switch (type) {
        case CONF_TYPE_TIME_MS:
        case CONF_TYPE_TIME_S:
        case CONF_TYPE_SECONDS:
                return CONF_UNIT_TIME;
        case CONF_TYPE_SIZE:
                return CONF_UNIT_SIZE;
        case CONF_TYPE_PERCENT:
                return CONF_UNIT_PERCENT;
        default:
                return CONF_UNIT_NONE;
        }
}

static bool
fill_number(const ConfPlace *place, const ConfRow *row, const char *text, void *field)
{
        bool in_seconds = row->type == CONF_TYPE_TIME_S || row->type == CONF_TYPE_SECONDS;
        uint64_t number;
        if (strcmp(row->standard, "none") == 0 && strcmp(text, "none") == 0)
                return true;
        if (!conf_value_number(place, text, unit_of(row->type), row->least, row->most, &number))
                return false;
        if (in_seconds && number % SECOND_MS != 0)
                return conf_place_error(place, "\"%s\" is not a whole number of seconds", text);
        if (in_seconds)
                number /= SECOND_MS;
        if (row->type == CONF_TYPE_TIME_MS || row->type == CONF_TYPE_TIME_S)
                *(int64_t *)field = (int64_t)number;
        else if (row->type == CONF_TYPE_SIZE)
                *(uint64_t *)field = number;
        else
                *(unsigned *)field = (unsigned)number;
        return true;
}

G_STATIC_ASSERT(sizeof(ConfMode) == sizeof(unsigned) && sizeof(ConfHeartbeatVia) == sizeof(unsigned));

static bool
fill_choice(const ConfPlace *place, const ConfRow *row, const char *text, void *field)
{
        unsigned index;
        if (!conf_value_choice(place, text, row->choices, &index))
                return false;
        if (row->type == CONF_TYPE_FLAG)
                *(bool *)field = index == 1;
        else
                *(unsigned *)field = index;
        return true;
}

static bool
fill_source(const ConfPlace *place, const char *text, ConfSource **field)
{
        *field = conf_source_parse(place, text);
        return *field;
}

static bool
fill_sources(const ConfPlace *place, const char *text, GPtrArray **field)
{
        GPtrArray *sources;
        if (!conf_source_parse_list(place, text, &sources))
                return false;
        g_clear_pointer(field, g_ptr_array_unref);
        *field = sources;
        return true;
}

static bool
fill_binds(const ConfPlace *place, const char *text, GPtrArray **field)
{
        GPtrArray *binds;
        if (!conf_bind_parse_list(place, text, &binds))
                return false;
        g_clear_pointer(field, g_ptr_array_unref);
        *field = binds;
        return true;
}

static bool
fill_down(const ConfPlace *place, const char *text, ConfRoute *route)
{
        return conf_policy_parse_down(place, text, &route->on_down_cast, &route->on_down_call);
}

static bool
fill_field(const ConfPlace *place, const ConfRow *row, const char *text, void *target)
{
        void *field = (char *)target + row->offset;
        switch (row->type) {
        case CONF_TYPE_FILE:
                return fill_file(place, text, field);
        case CONF_TYPE_SECRET_FILE:
                return fill_secret_file(place, text, field);
        case CONF_TYPE_HOST:
        case CONF_TYPE_CLUSTER:
                return fill_name(place, row, text, field);
        case CONF_TYPE_QUEUE:
                return fill_queue(place, text, field);
        case CONF_TYPE_HOSTS:
        case CONF_TYPE_ALIASES:
                return fill_names(place, row, text, field);
        case CONF_TYPE_AMQP_URLS:
                return fill_amqp_urls(place, text, field);
        case CONF_TYPE_REDIS_URL:
                return fill_url(place, text, CONF_URL_REDIS, field);
        case CONF_TYPE_MYSQL_URL:
                return fill_url(place, text, CONF_URL_MYSQL, field);
        case CONF_TYPE_LISTEN:
                return fill_listen(place, text, target);
        case CONF_TYPE_COUNT:
        case CONF_TYPE_PERCENT:
        case CONF_TYPE_SIZE:
        case CONF_TYPE_TIME_MS:
        case CONF_TYPE_TIME_S:
        case CONF_TYPE_SECONDS:
                return fill_number(place, row, text, field);
        case CONF_TYPE_CHOICE:
        case CONF_TYPE_FLAG:
                return fill_choice(place, row, text, field);
        case CONF_TYPE_SOURCES:
                return fill_sources(place, text, field);
        case CONF_TYPE_SOURCE:
                return fill_source(place, text, field);
        case CONF_TYPE_DESTINATION:
                return conf_destination_parse(place, text, target);
        case CONF_TYPE_POLICY:
                return conf_policy_parse(place, text, field);
        case CONF_TYPE_POLICY_DOWN:
                return fill_down(place, text, target);
        case CONF_TYPE_BINDS:
                return fill_binds(place, text, field);
        case CONF_TYPE_BIND_EXCHANGE:
                return conf_bind_parse_exchange(place, text, target);
        }
        g_return_val_if_reached(false);
}

static void
fill_entry(const ConfPlace *place, const ConfRow *row, const char *value, void *target)
{
        bool may_be_empty = row->type == CONF_TYPE_HOSTS || (!*row->standard && !row->required);
        if (*value && !fill_field(place, row, value, target) && strstr(value, " #"))
                conf_place_error(place, "a comment must stand on a line of its own");
        if (!*value && !may_be_empty)
                conf_place_error(place, "needs a value");
}

static void
fill_row(ConfFaults *faults, ConfText *text, const ConfRow *row, const ConfGroup *group, void *target)
{
        const ConfEntry *entry = conf_group_find(group, row->key);
        ConfPlace place = {faults, text, row->key, entry ? entry->line : group ? group->line : 0};
        if (*row->standard)
                (void)fill_field(&place, row, row->standard, target);
        if (entry)
                fill_entry(&place, row, entry->value, target);
        else if (row->required && group)
                conf_faults_error(faults, group->line, "[%s] needs the key \"%s\", such as %s = %s",
                                  group->name, row->key, row->key, row->example);
}

static void
check_keys(ConfFaults *faults, ConfGroupKind kind, const ConfGroup *group)
{
        g_autofree const char **keys = conf_table_keys(kind);
        for (unsigned i = 0; i < group->entries->len; i++) {
                const ConfEntry *entry = group->entries->pdata[i];
                if (conf_table_find(kind, entry->key))
                        continue;
                g_autofree char *quoted = conf_quote(entry->key);
                g_autofree char *suggestion = conf_suggest(entry->key, keys);
                conf_faults_error(faults, entry->line, "unknown key %s in [%s]%s", quoted, group->name,
                                  suggestion);
        }
}

void
conf_fill(ConfFaults *faults, ConfText *text, ConfGroupKind kind, const ConfGroup *group, void *target)
{
        size_t count;
        const ConfRow *rows = conf_table(&count);
        if (group)
                check_keys(faults, kind, group);
        for (size_t i = 0; i < count; i++)
                if (rows[i].group == kind)
                        fill_row(faults, text, &rows[i], group, target);
}
