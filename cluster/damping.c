/* SPDX-License-Identifier: MIT */

/*
 * One record per host carries what is believed, and how the polls contradict it. A poll goes through in three
 * steps: take in what was found, host by host; treat those that were not found (they left, or redis forgot
 * them); then look at all recent deaths together and pull the brake if they are too many to be true.
 *
 * The deaths of one event are spread over some polls, since the heartbeats of different hosts expire at
 * different moments: hence the window, and hence those who died within it are brought back when the brake is
 * pulled. Whoever is held and beats again is let go; when nobody is held any more, or after three TTLs, the
 * brake is off.
 *
 * When a poll left everybody believed as found, and the next one finds the same, there is nothing to do: that
 * is most polls.
 */
#include "cluster/damping.h"

enum { BRAKE_MIN_HOSTS = 3, FREEZE_TTLS = 3, FLAP_TTLS = 3 };

struct Damping {
        GHashTable *clusters; /* name -> GHashTable: host name -> DampedHost * */
        bool polled;          /* at least one poll was taken in */
        bool resting; /* all are believed as the last poll found them, and nothing waits for its time */
        int64_t frozen_until_us; /* 0: the brake is off */
};

/* The poll being taken in. */
typedef struct {
        Damping *damping;
        const DampingRules *rules;
        bool doubtful; /* redis may have lost data since the poll before */
        int64_t now_us;
        bool waiting; /* somebody is not believed as found, so the same poll again may change something */
} Poll;

static void
host_free(gpointer data)
{
        DampedHost *host = data;
        g_free(host->name);
        g_free(host);
}

Damping *
damping_new(void)
{
        Damping *damping = g_new0(Damping, 1);
        damping->clusters =
            g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_hash_table_unref);
        return damping;
}

void
damping_free(Damping *damping)
{
        if (damping == NULL)
                return;
        g_hash_table_unref(damping->clusters);
        g_free(damping);
}

GHashTable *
damping_hosts(const Damping *damping, const char *cluster)
{
        return g_hash_table_lookup(damping->clusters, cluster);
}

bool
damping_is_frozen(const Damping *damping)
{
        return damping->frozen_until_us != 0;
}

static GHashTable *
ensure_cluster(Damping *damping, const char *name)
{
        GHashTable *hosts = damping_hosts(damping, name);
        if (hosts == NULL) {
                hosts = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, host_free);
                g_hash_table_insert(damping->clusters, g_strdup(name), hosts);
        }
        return hosts;
}

static DampedHost *
ensure_host(GHashTable *hosts, const char *name, int64_t now_us)
{
        DampedHost *host = g_hash_table_lookup(hosts, name);
        if (host == NULL) {
                host = g_new0(DampedHost, 1);
                host->name = g_strdup(name);
                host->since_us = now_us;
                g_hash_table_insert(hosts, host->name, host);
        }
        return host;
}

static void
set_alive(DampedHost *host, bool alive, int64_t now_us)
{
        host->streak = 0;
        host->held = false;
        host->died_us = 0;
        if (host->alive == alive)
                return;
        host->alive = alive;
        host->since_us = now_us;
        host->changes_us[host->n_changes++ % VIEW_CHANGES] = now_us;
}

static void
take_beating(const Poll *poll, DampedHost *host)
{
        /* At the start there is no flapping to damp yet: the first poll is believed. */
        unsigned needed = poll->damping->polled ? poll->rules->rise : 1;
        host->evidence = EVIDENCE_POLLED;
        if (host->alive) {
                set_alive(host, true, poll->now_us);
                return;
        }
        if (host->streak++ == 0)
                host->beating_us = poll->now_us;
        if (host->streak < needed ||
            (host->flapping && poll->now_us - host->beating_us < FLAP_TTLS * poll->rules->ttl_us))
                return;
        set_alive(host, true, poll->now_us);
        host->flapping = false;
        host->risen_us = host->has_died ? poll->now_us : 0;
}

/* The heartbeat is gone and nobody said goodbye. Only what was seen alive by a poll can count as a death. */
static void
take_silence(const Poll *poll, DampedHost *host)
{
        if (!host->alive) {
                host->streak = 0;
                return;
        }
        if (damping_is_frozen(poll->damping) && host->evidence != EVIDENCE_NONE) {
                host->held = true;
                return;
        }
        bool seen_alive = host->evidence == EVIDENCE_POLLED;
        if (seen_alive && ++host->streak < poll->rules->fall)
                return;
        set_alive(host, false, poll->now_us);
        host->evidence = EVIDENCE_POLLED;
        host->died_us = seen_alive ? poll->now_us : 0;
        host->has_died |= seen_alive;
        host->flapping =
            host->risen_us != 0 && poll->now_us - host->risen_us < FLAP_TTLS * poll->rules->ttl_us;
}

/*
 * Who is no longer in the set has said goodbye, unless redis lost data: it is another process that knows
 * less, or the counts that a router wrote there are gone too (and they are not written while the brake is
 * on).
 */
static bool
is_goodbye(const DampedHost *host, bool doubtful)
{
        return !doubtful && !host->held;
}

static void
take_host(Poll *poll, DampedHost *host, const LivenessHost *found, bool doubtful)
{
        bool left = host->registered && !found->registered;
        host->seen = true;
        host->configured = found->configured;
        host->registered = found->registered;
        if (found->alive)
                take_beating(poll, host);
        else if (left && is_goodbye(host, doubtful))
                set_alive(host, false, poll->now_us);
        else
                take_silence(poll, host);
        poll->waiting |= host->alive != found->alive;
}

static void
take_absent(Poll *poll, GHashTable *hosts, bool doubtful)
{
        GHashTableIter iter;
        gpointer value;
        g_hash_table_iter_init(&iter, hosts);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                DampedHost *host = value;
                if (!host->seen && is_goodbye(host, doubtful))
                        set_alive(host, false, poll->now_us);
                else if (!host->seen)
                        take_silence(poll, host);
        }
}

static void
take_cluster(Poll *poll, const LivenessCluster *cluster)
{
        bool doubtful = poll->doubtful || cluster->counts_missing;
        GHashTable *hosts = ensure_cluster(poll->damping, cluster->name);
        GHashTableIter iter;
        gpointer value;
        g_hash_table_iter_init(&iter, hosts);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                ((DampedHost *)value)->seen = !cluster->known;
        if (!cluster->known)
                return;
        for (guint i = 0; i < cluster->hosts->len; i++) {
                const LivenessHost *found = cluster->hosts->pdata[i];
                take_host(poll, ensure_host(hosts, found->name, poll->now_us), found, doubtful);
        }
        take_absent(poll, hosts, doubtful);
}

/* Fewer hosts beat than were believed alive, in the clusters that both sides know. */
static bool
is_emptier(const Damping *damping, GPtrArray *clusters)
{
        int64_t difference = 0;
        for (guint i = 0; i < clusters->len; i++) {
                const LivenessCluster *cluster = clusters->pdata[i];
                GHashTable *hosts = damping_hosts(damping, cluster->name);
                if (!cluster->known || hosts == NULL)
                        continue;
                for (guint j = 0; j < cluster->hosts->len; j++)
                        difference += ((const LivenessHost *)cluster->hosts->pdata[j])->alive;
                GHashTableIter iter;
                gpointer value;
                g_hash_table_iter_init(&iter, hosts);
                while (g_hash_table_iter_next(&iter, NULL, &value)) {
                        const DampedHost *host = value;
                        difference -= host->alive && host->evidence != EVIDENCE_NONE;
                }
        }
        return difference < 0;
}

/* Calls @visit for every host of every cluster. */
static void
for_each_host(Damping *damping, void (*visit)(DampedHost *host, void *data), void *data)
{
        GHashTableIter clusters;
        gpointer hosts;
        g_hash_table_iter_init(&clusters, damping->clusters);
        while (g_hash_table_iter_next(&clusters, NULL, &hosts)) {
                GHashTableIter iter;
                gpointer host;
                g_hash_table_iter_init(&iter, hosts);
                while (g_hash_table_iter_next(&iter, NULL, &host))
                        visit(host, data);
        }
}

/* All deaths of the window, looked at together. */
typedef struct {
        const Poll *poll;
        unsigned living; /* including those who just died */
        unsigned deaths;
        unsigned clusters; /* with any host at all */
        unsigned dying;    /* with a death */
} Toll;

static bool
died_recently(const Poll *poll, const DampedHost *host)
{
        return host->died_us != 0 && poll->now_us - host->died_us <= poll->rules->window_us;
}

static void
count_cluster(Toll *toll, GHashTable *hosts)
{
        unsigned deaths_before = toll->deaths;
        GHashTableIter iter;
        gpointer value;
        g_hash_table_iter_init(&iter, hosts);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                bool died = died_recently(toll->poll, value);
                toll->deaths += died;
                toll->living += died || ((const DampedHost *)value)->alive;
        }
        toll->clusters += g_hash_table_size(hosts) > 0;
        toll->dying += toll->deaths > deaths_before;
}

static bool
is_mass_death(const Poll *poll)
{
        Toll toll = {.poll = poll};
        GHashTableIter iter;
        gpointer hosts;
        g_hash_table_iter_init(&iter, poll->damping->clusters);
        while (g_hash_table_iter_next(&iter, NULL, &hosts))
                count_cluster(&toll, hosts);
        return toll.deaths >= BRAKE_MIN_HOSTS &&
               (uint64_t)toll.deaths * 100 > (uint64_t)toll.living * poll->rules->brake_percent &&
               (toll.dying > 1 || toll.clusters == 1);
}

static void
revive(DampedHost *host, void *data)
{
        const Poll *poll = data;
        if (!died_recently(poll, host))
                return;
        set_alive(host, true, poll->now_us);
        host->held = true;
}

static void
note_held(DampedHost *host, void *data)
{
        *(bool *)data |= host->held;
}

static void
release(DampedHost *host, void *data)
{
        if (host->held)
                set_alive(host, false, ((const Poll *)data)->now_us);
}

static void
freeze(Damping *damping, const Poll *poll)
{
        damping->frozen_until_us = poll->now_us + FREEZE_TTLS * poll->rules->ttl_us;
}

static void
step_brake(Poll *poll)
{
        Damping *damping = poll->damping;
        if (!damping_is_frozen(damping) && is_mass_death(poll)) {
                freeze(damping, poll);
                for_each_host(damping, revive, poll);
        }
        if (!damping_is_frozen(damping))
                return;
        if (poll->now_us >= damping->frozen_until_us)
                for_each_host(damping, release, poll);
        bool any_held = false;
        for_each_host(damping, note_held, &any_held);
        if (!any_held)
                damping->frozen_until_us = 0;
}

static gboolean
is_unlisted(gpointer key, gpointer value, gpointer listed)
{
        return !g_hash_table_contains(listed, key);
}

/* Who died just now may have to be brought back. */
static gboolean
is_gone(gpointer key, gpointer value, gpointer data)
{
        Poll *poll = data;
        const DampedHost *host = value;
        bool gone = !host->seen && !host->alive && !died_recently(poll, host);
        poll->waiting |= !host->seen && !gone;
        return gone;
}

/* After the brake, which may have brought back who is absent. */
static void
sweep(Poll *poll)
{
        GHashTableIter iter;
        gpointer hosts;
        g_hash_table_iter_init(&iter, poll->damping->clusters);
        while (g_hash_table_iter_next(&iter, NULL, &hosts))
                g_hash_table_foreach_remove(hosts, is_gone, poll);
}

static bool
is_as_before(const Damping *damping, GPtrArray *clusters)
{
        for (guint i = 0; i < clusters->len; i++) {
                if (((const LivenessCluster *)clusters->pdata[i])->changed)
                        return false;
        }
        return clusters->len == g_hash_table_size(damping->clusters);
}

bool
damping_update(Damping *damping, const DampingRules *rules, GPtrArray *clusters, bool restarted,
               int64_t now_us)
{
        Poll poll = {.damping = damping, .rules = rules, .now_us = now_us};
        g_autoptr(GHashTable) listed = g_hash_table_new(g_str_hash, g_str_equal);
        if (damping->resting && !restarted && is_as_before(damping, clusters))
                return false;
        poll.doubtful = restarted && is_emptier(damping, clusters);
        if (poll.doubtful)
                freeze(damping, &poll);
        for (guint i = 0; i < clusters->len; i++) {
                const LivenessCluster *cluster = clusters->pdata[i];
                g_hash_table_add(listed, cluster->name);
                take_cluster(&poll, cluster);
        }
        g_hash_table_foreach_remove(damping->clusters, is_unlisted, listed);
        damping->polled = true;
        step_brake(&poll);
        sweep(&poll);
        damping->resting = !poll.waiting && !damping_is_frozen(damping);
        return true;
}

void
damping_set_members(Damping *damping, const char *cluster, const char *const *members, bool alive,
                    int64_t now_us)
{
        GHashTable *hosts = ensure_cluster(damping, cluster);
        GHashTableIter iter;
        gpointer value;
        damping->resting = false;
        g_hash_table_iter_init(&iter, hosts);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                DampedHost *host = value;
                host->configured = g_strv_contains(members, host->name);
                if (!host->configured && !host->registered)
                        g_hash_table_iter_remove(&iter);
        }
        for (; *members != NULL; members++) {
                bool is_new = !g_hash_table_contains(hosts, *members);
                DampedHost *host = ensure_host(hosts, *members, now_us);
                host->configured = true;
                host->alive = is_new ? alive : host->alive;
        }
}

void
damping_restore(Damping *damping, const char *cluster, const char *host_name, bool alive, int64_t now_us)
{
        DampedHost *host = ensure_host(ensure_cluster(damping, cluster), host_name, now_us);
        host->alive = alive;
        host->registered = true;
        host->evidence = EVIDENCE_SAVED;
        damping->resting = false;
}
