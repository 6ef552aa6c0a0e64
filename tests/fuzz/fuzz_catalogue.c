/* SPDX-License-Identifier: MIT */
#include "cluster/merge.h"
#include "conf/name.h"

#include <string.h>

/*
 * Rows of the catalogue that anybody may have written: whatever stands in them, a view comes out, with legal
 * names only, each once, and warnings that can be logged. A line of the input is a row; its fields are parted
 * by tabs: name, deleted (if not empty), drained (if not empty), reason, drain_to, hosts that are taken out.
 * Of the clusters that come of it, hosts are known by all sorts of evidence.
 */

enum { NAME, DELETED, DRAINED, REASON, DRAIN_TO, HOSTS, FIELDS };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char file[] = "[mysql]\nurl = mysql://router@127.0.0.1/clusters\n"
                           "[east]\ncluster_member_ips = 10.0.0.1,10.0.0.2\naliases = zone\n"
                           "[west]\ncluster_member_ips = 10.0.1.1\n"
                           "[route:work]\nqueue = work\ncluster_from = header:cluster\n"
                           "destination = queue:{queue}.{cluster}\n";

static Conf *
read_file(void)
{
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        Conf *conf = conf_parse("f", file, strlen(file), errors);

        if (!conf)
                g_error("%s", (const char *)g_ptr_array_index(errors, 0));
        return conf;
}

static void
free_row(void *row)
{
        catalogue_cluster_free(row);
}

static void
add_row(GPtrArray *rows, const char *line)
{
        g_auto(GStrv) fields = g_strsplit(line, "\t", FIELDS);
        unsigned count = g_strv_length(fields);
        CatalogueCluster *row = catalogue_cluster_new(rows->len + 1, count > NAME ? fields[NAME] : "");

        row->deleted = count > DELETED && *fields[DELETED];
        row->drained = count > DRAINED && *fields[DRAINED];
        row->state.reason = count > REASON ? g_strdup(fields[REASON]) : NULL;
        row->drain_to = count > DRAIN_TO ? g_strdup(fields[DRAIN_TO]) : NULL;
        if (count > HOSTS) {
                g_auto(GStrv) hosts = g_strsplit(fields[HOSTS], ",", -1);

                for (char **host = hosts; *host; host++)
                        catalogue_add_host(row, *host, &row->state);
        }
        g_ptr_array_add(rows, row);
}

/* A poll finds every second member alive; what another host says of itself is there from an earlier run. */
static void
learn_hosts(Damping *damping, GPtrArray *questions)
{
        static const DampingRules rules = {
            .rise = 1, .fall = 1, .brake_percent = 30, .ttl_us = 1000000, .window_us = 1000000};

        for (unsigned i = 0; i < questions->len; i++) {
                LivenessCluster *cluster = g_ptr_array_index(questions, i);

                damping_restore(damping, cluster->name, "10.0.0.9", true, 1);
                damping_set_members(damping, cluster->name, (const char *const[]){"10.0.0.8", NULL}, true, 1);
                for (unsigned h = 0; h < cluster->hosts->len; h++)
                        ((LivenessHost *)g_ptr_array_index(cluster->hosts, h))->alive = h % 2 == 0;
                cluster->known = i % 2 == 0;
        }
        g_assert_true(damping_update(damping, &rules, questions, false, 2));
}

static void
check_view(const View *view)
{
        for (unsigned i = 0; i < view->clusters->len; i++) {
                const ViewCluster *cluster = g_ptr_array_index(view->clusters, i);

                g_assert_true(name_is_cluster(cluster->name, strlen(cluster->name)));
                g_assert_true(view_find(view, cluster->name, strlen(cluster->name)) == cluster);
                for (unsigned h = 0; h < cluster->hosts->len; h++) {
                        const ViewHost *host = g_ptr_array_index(cluster->hosts, h);

                        g_assert_true(name_is_host(host->name, strlen(host->name)));
                }
        }
        for (uint64_t ticket = 0; ticket < view->usable_total; ticket++)
                g_assert_true(view_cluster_is_usable(view_pick(view, ticket)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        g_autoptr(Conf) conf = read_file();
        g_autofree char *text = size > 0 ? g_strndup((const char *)data, size) : g_strdup("");
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
        g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func(free_row);
        g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(Damping) damping = damping_new();

        for (char **line = lines; *line; line++)
                add_row(rows, *line);

        g_autoptr(GPtrArray) selected = merge_select_rows(conf, rows, warnings);
        g_autoptr(GPtrArray) questions = merge_questions(conf, selected);

        learn_hosts(damping, questions);

        g_autoptr(View) view = merge_view(conf, selected, damping, NULL);
        g_autoptr(View) again = merge_view(conf, selected, damping, view);

        g_assert_cmpuint(questions->len, >=, conf->clusters->len);
        check_view(view);
        check_view(again);
        for (unsigned i = 0; i < warnings->len; i++)
                g_assert_true(g_utf8_validate(g_ptr_array_index(warnings, i), -1, NULL));
        return 0;
}
