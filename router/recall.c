/* SPDX-License-Identifier: MIT */

/* A table by name, and the same entries in a list by age, so that the oldest can make room. */

#include "router/recall.h"

#include <string.h>

typedef struct {
        GBytes *name;
        void *note;
        GList link;
} Entry;

struct Recall {
        size_t limit;
        GHashTable *entries; /* name -> Entry * */
        GQueue by_age;
};

static void
entry_free(void *data)
{
        Entry *entry = data;

        g_bytes_unref(entry->name);
        g_free(entry);
}

Recall *
recall_new(size_t limit)
{
        Recall *recall = g_new0(Recall, 1);

        recall->limit = limit;
        recall->entries = g_hash_table_new_full(g_bytes_hash, g_bytes_equal, NULL, entry_free);
        g_queue_init(&recall->by_age);
        return recall;
}

void
recall_free(Recall *recall)
{
        if (!recall)
                return;
        g_hash_table_unref(recall->entries);
        g_free(recall);
}

static void
forget(Recall *recall, Entry *entry)
{
        g_queue_unlink(&recall->by_age, &entry->link);
        g_hash_table_remove(recall->entries, entry->name);
}

void
recall_add(Recall *recall, const char *name, size_t length, void *note)
{
        if (length == 0)
                return;

        g_autoptr(GBytes) key = g_bytes_new(name, length);
        Entry *entry = g_hash_table_lookup(recall->entries, key);

        if (entry)
                forget(recall, entry);
        else if (recall->by_age.length >= recall->limit)
                forget(recall, g_queue_peek_head(&recall->by_age));
        entry = g_new0(Entry, 1);
        entry->name = g_steal_pointer(&key);
        entry->note = note;
        entry->link.data = entry;
        g_queue_push_tail_link(&recall->by_age, &entry->link);
        g_hash_table_insert(recall->entries, entry->name, entry);
}

bool
recall_take(Recall *recall, const char *name, size_t length, void **out_note)
{
        if (length == 0 || recall->by_age.length == 0)
                return false;

        g_autoptr(GBytes) key = g_bytes_new_static(name, length);
        Entry *entry = g_hash_table_lookup(recall->entries, key);

        if (!entry)
                return false;
        *out_note = entry->note;
        forget(recall, entry);
        return true;
}
