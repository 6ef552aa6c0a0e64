/* SPDX-License-Identifier: MIT */
#include "cluster/change_log.h"

#include "cluster/log.h"

#include <string.h>

struct ChangeLog {
        GHashTable *warnings; /* origin -> GHashTable: set of texts */
        LogBudget budget;
};

ChangeLog *
change_log_new(void)
{
        ChangeLog *log = g_new0(ChangeLog, 1);
        log->warnings =
            g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_hash_table_unref);
        return log;
}

void
change_log_free(ChangeLog *log)
{
        if (log == NULL)
                return;
        g_hash_table_unref(log->warnings);
        g_free(log);
}

void
change_log_line(ChangeLog *log, const char *cluster, const char *format, ...)
{
        if (!log_budget_take(&log->budget))
                return;
        va_list arguments;
        va_start(arguments, format);
        g_autofree char *text = g_strdup_vprintf(format, arguments);
        va_end(arguments);
        log_line(G_LOG_LEVEL_MESSAGE, &(LogPlace){.cluster = cluster}, "%s", text);
}

void
change_log_warnings(ChangeLog *log, const char *origin, GPtrArray *warnings)
{
        GHashTable *before = g_hash_table_lookup(log->warnings, origin);
        GHashTable *now = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        for (guint i = 0; i < warnings->len; i++) {
                const char *text = warnings->pdata[i];
                bool known = before != NULL && g_hash_table_contains(before, text);
                if (g_hash_table_add(now, g_strdup(text)) && !known && log_budget_take(&log->budget))
                        g_warning("%s", text);
        }
        g_hash_table_insert(log->warnings, g_strdup(origin), now);
}

static void
log_cluster(ChangeLog *log, const ViewCluster *before, const ViewCluster *after)
{
        guint usable_before = before != NULL ? before->usable->len : 0;
        if (before != NULL && before->drained != after->drained)
                change_log_line(log, after->name, "cluster %s is %s%s%s", after->name,
                                after->drained ? "drained" : "no longer drained",
                                after->drain_reason != NULL ? ": " : "",
                                after->drain_reason != NULL ? after->drain_reason : "");
        if (before != NULL && usable_before == after->usable->len)
                return;
        const char *what = "has";
        if (before == NULL)
                what = "is new:";
        else if (after->usable->len == 0)
                what = "is down:";
        else if (usable_before == 0)
                what = "is up:";
        change_log_line(log, after->name, "cluster %s %s %u of %u hosts usable", after->name, what,
                        after->usable->len, after->hosts->len);
}

void
change_log_views(ChangeLog *log, const View *before, const View *after)
{
        if (before == NULL)
                change_log_line(log, NULL, "%u clusters, %" G_GUINT64_FORMAT " usable hosts",
                                after->clusters->len, after->usable_total);
        for (guint i = 0; before != NULL && i < after->clusters->len; i++) {
                const ViewCluster *cluster = after->clusters->pdata[i];
                log_cluster(log, view_find(before, cluster->name, strlen(cluster->name)), cluster);
        }
        for (guint i = 0; before != NULL && i < before->clusters->len; i++) {
                const ViewCluster *cluster = before->clusters->pdata[i];
                if (view_find(after, cluster->name, strlen(cluster->name)) == NULL)
                        change_log_line(log, cluster->name, "cluster %s is gone", cluster->name);
        }
}
