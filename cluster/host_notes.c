/* SPDX-License-Identifier: MIT */
#include "cluster/host_notes.h"

#include <string.h>

/* Without redis a host that fell silent is shown as dead for this long, and then forgotten. */
#define FORGET_AFTER_US (INT64_C(24) * 3600 * G_USEC_PER_SEC)

struct HostNotes {
        GHashTable *by_key; /* "CLUSTER/HOST" -> HostNote * */
};

void
host_note_free(HostNote *note)
{
        if (note == NULL)
                return;
        g_free(note->cluster);
        g_free(note->host);
        g_free(note);
}

HostNotes *
host_notes_new(void)
{
        HostNotes *notes = g_new0(HostNotes, 1);
        notes->by_key =
            g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)host_note_free);
        return notes;
}

void
host_notes_free(HostNotes *notes)
{
        if (notes == NULL)
                return;
        g_hash_table_unref(notes->by_key);
        g_free(notes);
}

unsigned
host_notes_count(const HostNotes *notes)
{
        return g_hash_table_size(notes->by_key);
}

/* "/" is in no legal name. */
static char *
make_key(const char *cluster, const char *host)
{
        return g_strconcat(cluster, "/", host, NULL);
}

bool
host_notes_put(HostNotes *notes, const char *cluster, const char *host, bool alive, int64_t until_us)
{
        g_autofree char *key = make_key(cluster, host);
        if (host_notes_count(notes) >= HOST_NOTES_MAX && !g_hash_table_contains(notes->by_key, key))
                return false;
        HostNote *note = g_new(HostNote, 1);
        *note = (HostNote){g_strdup(cluster), g_strdup(host), alive, until_us};
        g_hash_table_replace(notes->by_key, g_steal_pointer(&key), note);
        return true;
}

GPtrArray *
host_notes_take(HostNotes *notes)
{
        GPtrArray *taken = g_ptr_array_new();
        GHashTableIter iter;
        gpointer key, note;
        g_hash_table_iter_init(&iter, notes->by_key);
        while (g_hash_table_iter_next(&iter, &key, &note)) {
                g_ptr_array_add(taken, note);
                g_hash_table_iter_steal(&iter);
                g_free(key);
        }
        return taken;
}

void
host_notes_return(HostNotes *notes, HostNote *note, int64_t now_us)
{
        g_autofree char *key = make_key(note->cluster, note->host);
        if (g_hash_table_contains(notes->by_key, key) || note->until_us <= now_us)
                host_note_free(note);
        else
                g_hash_table_insert(notes->by_key, g_steal_pointer(&key), note);
}

static LivenessHost *
find_host(LivenessCluster *cluster, const char *name)
{
        for (guint i = 0; i < cluster->hosts->len; i++) {
                LivenessHost *host = cluster->hosts->pdata[i];
                if (strcmp(host->name, name) == 0)
                        return host;
        }
        LivenessHost *host = g_new0(LivenessHost, 1);
        host->name = g_strdup(name);
        g_ptr_array_add(cluster->hosts, host);
        return host;
}

void
host_notes_apply(HostNotes *notes, GPtrArray *clusters, int64_t now_us)
{
        g_autoptr(GHashTable) by_name = g_hash_table_new(g_str_hash, g_str_equal);
        GHashTableIter iter;
        gpointer value;
        for (guint i = 0; i < clusters->len; i++)
                g_hash_table_insert(by_name, ((LivenessCluster *)clusters->pdata[i])->name,
                                    clusters->pdata[i]);
        g_hash_table_iter_init(&iter, notes->by_key);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                const HostNote *note = value;
                LivenessCluster *cluster = g_hash_table_lookup(by_name, note->cluster);
                if (cluster == NULL || !note->alive || note->until_us + FORGET_AFTER_US <= now_us) {
                        g_hash_table_iter_remove(&iter);
                        continue;
                }
                LivenessHost *host = find_host(cluster, note->host);
                host->registered = true;
                host->alive |= note->until_us > now_us;
        }
}
