/* SPDX-License-Identifier: MIT */
/*
 * Everything is derived from pictures that exist for other reasons (view, status of the registry, snapshot of
 * the counters), so that nobody who makes a change needs to know that it is shown on a time line.
 */
#include "router/changes.h"
#include "conf/build.h"
#include "router/snapshot.h"

#include <jansson.h>
#include <string.h>

typedef enum {
#define CHANGE_ENUM(id, code, tone) CHANGE_##id,
        CHANGE_KINDS(CHANGE_ENUM)
#undef CHANGE_ENUM
            CHANGE_KIND_COUNT
} ChangeKind;

static const struct {
        const char *code;
        const char *tone;
} kinds[CHANGE_KIND_COUNT] = {
#define CHANGE_ROW(id, code, tone) [CHANGE_##id] = {code, tone},
    CHANGE_KINDS(CHANGE_ROW)
#undef CHANGE_ROW
};

typedef struct {
        uint64_t number;
        int64_t at_unix;
        ChangeKind kind;
        char *subject;
        char *text;
} Change;

typedef struct {
        uint64_t reconnects;
        bool lost;
} RouteSeen;

struct Changes {
        GQueue list; /* of Change *, oldest first */
        uint64_t numbers;
        int64_t now_unix; /* of the look that goes on */
        View *view;       /* NULL before the first look; what follows is of the last one */
        SourceState redis;
        SourceState mysql;
        bool frozen;
        uint64_t reloads;
        GHashTable *routes; /* name -> RouteSeen * */
};

static void
change_free(gpointer data)
{
        Change *change = data;

        g_free(change->subject);
        g_free(change->text);
        g_free(change);
}

Changes *
changes_new(void)
{
        Changes *changes = g_new0(Changes, 1);

        g_queue_init(&changes->list);
        changes->routes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        return changes;
}

void
changes_free(Changes *changes)
{
        if (changes == NULL)
                return;
        g_queue_clear_full(&changes->list, change_free);
        view_unref(changes->view);
        g_hash_table_unref(changes->routes);
        g_free(changes);
}

static void G_GNUC_PRINTF(4, 5)
    note(Changes *changes, ChangeKind kind, const char *subject, const char *format, ...)
{
        Change *change = g_new0(Change, 1);
        g_autofree char *text = NULL;
        va_list arguments;

        va_start(arguments, format);
        text = g_strdup_vprintf(format, arguments);
        va_end(arguments);
        change->number = ++changes->numbers;
        change->at_unix = changes->now_unix;
        change->kind = kind;
        change->subject = g_strndup(subject, CHANGE_TEXT_BYTES);
        change->text = g_strndup(text, CHANGE_TEXT_BYTES);
        g_queue_push_tail(&changes->list, change);
        if (changes->list.length > CHANGES_MAX)
                change_free(g_queue_pop_head(&changes->list));
}

/* --- clusters --- */

static ChangeKind
state_of(const ViewCluster *cluster)
{
        if (cluster->drained)
                return CHANGE_CLUSTER_DRAINED;
        return view_cluster_is_usable(cluster) ? CHANGE_CLUSTER_UP : CHANGE_CLUSTER_DOWN;
}

static void
look_at_cluster(Changes *changes, const ViewCluster *before, const ViewCluster *after)
{
        ChangeKind state = state_of(after);
        const char *reason = after->drained ? after->drain_reason : NULL;

        if (before == NULL)
                note(changes, CHANGE_CLUSTER_NEW, after->name, "new, %u of %u hosts usable",
                     after->usable->len, after->hosts->len);
        else if (state_of(before) != state)
                note(changes, state, after->name, "%s, %u of %u hosts usable%s%s",
                     state == CHANGE_CLUSTER_UP     ? "up"
                     : state == CHANGE_CLUSTER_DOWN ? "down"
                                                    : "drained",
                     after->usable->len, after->hosts->len, reason ? ": " : "", reason ? reason : "");
        else if (before->usable->len != after->usable->len)
                note(changes,
                     after->usable->len < before->usable->len ? CHANGE_HOSTS_LOST : CHANGE_HOSTS_FOUND,
                     after->name, "%u of %u hosts usable, was %u", after->usable->len, after->hosts->len,
                     before->usable->len);
}

static const ViewCluster *
find_cluster(const View *view, const char *name)
{
        return view_find(view, name, strlen(name));
}

static void
look_at_view(Changes *changes, const View *after)
{
        const View *before = changes->view;

        for (unsigned i = 0; i < after->clusters->len; i++) {
                const ViewCluster *cluster = after->clusters->pdata[i];

                look_at_cluster(changes, find_cluster(before, cluster->name), cluster);
        }
        for (unsigned i = 0; i < before->clusters->len; i++) {
                const ViewCluster *cluster = before->clusters->pdata[i];

                if (find_cluster(after, cluster->name) == NULL)
                        note(changes, CHANGE_CLUSTER_GONE, cluster->name, "no longer known");
        }
}

/* --- sources, routes, configuration --- */

static void
look_at_source(Changes *changes, const char *name, SourceState before, SourceState after, const char *error)
{
        if (after == SOURCE_LOST && before != SOURCE_LOST)
                note(changes, CHANGE_SOURCE_LOST, name, "lost: %s", error);
        else if (after == SOURCE_OK && (before == SOURCE_LOST || before == SOURCE_WAITING))
                note(changes, CHANGE_SOURCE_FOUND, name, "answers%s", before == SOURCE_LOST ? " again" : "");
}

static void
look_at_registry(Changes *changes, const RegistryStatus *now)
{
        look_at_source(changes, "redis", changes->redis, now->redis, now->redis_error);
        look_at_source(changes, "MySQL", changes->mysql, now->mysql, now->mysql_error);
        if (now->frozen && !changes->frozen)
                note(changes, CHANGE_BRAKE_ON, "redis",
                     "too many hosts died at once: the last view stays in force");
        else if (!now->frozen && changes->frozen)
                note(changes, CHANGE_BRAKE_OFF, "redis", "the view follows redis again");
}

/* A connection lost and found since the last look shows in the count of reconnects alone. */
static void
look_at_route(Changes *changes, const SnapshotRoute *route)
{
        RouteSeen *seen = g_hash_table_lookup(changes->routes, route->route);
        bool lost = route->error != NULL;

        if (seen == NULL) {
                seen = g_new0(RouteSeen, 1);
                g_hash_table_insert(changes->routes, g_strdup(route->route), seen);
        }
        if (!seen->lost && (lost || route->reconnects > seen->reconnects))
                note(changes, CHANGE_BROKER_LOST, route->route, "lost its broker%s%s", lost ? ": " : "",
                     lost ? route->error : "");
        if (!lost && (seen->lost || route->reconnects > seen->reconnects))
                note(changes, CHANGE_BROKER_FOUND, route->route, "connected again");
        *seen = (RouteSeen){.reconnects = route->reconnects, .lost = lost};
}

static void
look_at_reload(Changes *changes, const StatsProcess *process)
{
        if (process->reloads == changes->reloads)
                return;
        if (process->reload_ok)
                note(changes, CHANGE_RELOAD, "configuration", "reloaded");
        else
                note(changes, CHANGE_RELOAD_REFUSED, "configuration", "reload refused: %s",
                     process->reload_error);
}

void
changes_look(Changes *changes, const ReportInput *input, const GPtrArray *routes, int64_t now_unix)
{
        bool first = changes->view == NULL;
        StatsProcess process;

        stats_get_process(input->stats, &process);
        changes->now_unix = now_unix;
        if (first)
                note(changes, CHANGE_START, "router", "started, build %s", build_name());
        else {
                look_at_view(changes, input->view);
                look_at_registry(changes, input->registry);
        }
        for (unsigned i = 0; i < routes->len; i++)
                look_at_route(changes, routes->pdata[i]);
        look_at_reload(changes, &process);
        view_unref(changes->view);
        changes->view = view_ref((View *)input->view);
        changes->redis = input->registry->redis;
        changes->mysql = input->registry->mysql;
        changes->frozen = input->registry->frozen;
        changes->reloads = process.reloads;
        g_free(process.reload_error);
}

/* --- JSON --- */

static json_t *
valid_string(const char *text)
{
        g_autofree char *valid = g_utf8_make_valid(text, -1); /* may have been cut inside a character */

        return json_string(valid);
}

void
changes_append_json(const Changes *changes, GString *out)
{
        json_t *rows = json_array();

        for (const GList *link = changes->list.head; link; link = link->next) {
                const Change *change = link->data;

                json_array_append_new(
                    rows, json_pack("{s:I, s:I, s:s, s:s, s:o, s:o}", "number", (json_int_t)change->number,
                                    "at", (json_int_t)change->at_unix, "kind", kinds[change->kind].code,
                                    "tone", kinds[change->kind].tone, "subject",
                                    valid_string(change->subject), "text", valid_string(change->text)));
        }

        char *text = json_dumps(rows, JSON_COMPACT);
        g_string_append(out, text);
        free(text);
        json_decref(rows);
}
