/* SPDX-License-Identifier: MIT */

/*
 * Plain data with two indices, so that a file with a million groups is only large, not slow.
 */

#include "conf/conf_text.h"

static void
entry_free(gpointer data)
{
        ConfEntry *entry = data;
        g_free(entry->key);
        g_free(entry->value);
        g_free(entry);
}

static void
group_free(gpointer data)
{
        ConfGroup *group = data;
        g_hash_table_unref(group->by_key);
        g_ptr_array_unref(group->entries);
        g_free(group->name);
        g_free(group);
}

ConfText *
conf_text_new(void)
{
        ConfText *text = g_new0(ConfText, 1);
        text->groups = g_ptr_array_new_with_free_func(group_free);
        text->by_name = g_hash_table_new(g_str_hash, g_str_equal);
        return text;
}

void
conf_text_free(ConfText *text)
{
        if (!text)
                return;
        g_hash_table_unref(text->by_name);
        g_ptr_array_unref(text->groups);
        g_free(text);
}

ConfGroup *
conf_text_add(ConfText *text, char *name, unsigned line)
{
        ConfGroup *group = g_new0(ConfGroup, 1);
        group->name = name;
        group->line = line;
        group->entries = g_ptr_array_new_with_free_func(entry_free);
        group->by_key = g_hash_table_new(g_str_hash, g_str_equal);
        g_ptr_array_add(text->groups, group);
        g_hash_table_insert(text->by_name, group->name, group);
        return group;
}

void
conf_group_add(ConfGroup *group, char *key, char *value, unsigned line)
{
        ConfEntry *entry = g_new0(ConfEntry, 1);
        entry->key = key;
        entry->value = value;
        entry->line = line;
        g_ptr_array_add(group->entries, entry);
        g_hash_table_insert(group->by_key, entry->key, entry);
}

ConfGroup *
conf_text_find(const ConfText *text, const char *group)
{
        return g_hash_table_lookup(text->by_name, group);
}

const ConfEntry *
conf_group_find(const ConfGroup *group, const char *key)
{
        return group ? g_hash_table_lookup(group->by_key, key) : NULL;
}

unsigned
conf_text_line(const ConfText *text, const char *group, const char *key)
{
        const ConfGroup *found = conf_text_find(text, group);
        const ConfEntry *entry = conf_group_find(found, key);
        if (entry)
                return entry->line;
        return found ? found->line : 0;
}

unsigned
conf_text_route_line(const ConfText *text, const char *route, const char *key)
{
        g_autofree char *group = g_strconcat("route:", route, NULL);
        return conf_text_line(text, group, key);
}
