/* SPDX-License-Identifier: MIT */

/*
 * The committed sample file is what the table gives, and everything in it is true. After a change of the
 * table: test_conf_sample --print >conf/cluster-router.conf
 */

#include "conf/conf.h"
#include "conf/conf_sample.h"
#include "conf/conf_table.h"

#include <glib.h>
#include <stdio.h>
#include <string.h>

static char *
committed_path(void)
{
        return g_build_filename(g_getenv("PROJECT_ROOT"), "conf", "cluster-router.conf", NULL);
}

static Conf *
parse(const char *text)
{
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        Conf *conf = conf_parse("sample", text, strlen(text), errors);
        if (!conf)
                g_error("%s", (char *)errors->pdata[0]);
        return conf;
}

static void
test_committed_is_generated(void)
{
        g_autofree char *path = committed_path();
        g_autofree char *committed = NULL;
        g_autoptr(GError) error = NULL;
        g_autofree char *sample = conf_sample();
        g_assert_true(g_file_get_contents(path, &committed, NULL, &error));
        g_assert_no_error(error);
        g_assert_cmpstr(committed, ==, sample);
}

static void
test_loads_without_a_word(void)
{
        g_autofree char *sample = conf_sample();
        g_autoptr(Conf) conf = parse(sample);
        g_assert_cmpuint(conf->warnings->len, ==, 0);
        g_assert_cmpuint(conf->clusters->len, ==, 2);
        g_assert_cmpuint(conf->routes->len, ==, 1);
        g_assert_nonnull(conf_find_cluster(conf, "east"));
        g_assert_nonnull(conf_find_cluster(conf, "west"));
        g_assert_nonnull(conf_find_route(conf, "volume"));
}

/* What a person gets who removes every "#" in front of a key. */
static void
test_every_comment_is_legal_too(void)
{
        g_autofree char *sample = conf_sample();
        g_auto(GStrv) lines = g_strsplit(sample, "\n", -1);
        for (char **line = lines; *line; line++)
                if ((*line)[0] == '#' && (*line)[1] && (*line)[1] != ' ')
                        memmove(*line, *line + 1, strlen(*line));
        g_autofree char *all = g_strjoinv("\n", lines);
        g_autoptr(Conf) conf = parse(all);
        g_assert_cmpint(conf->heartbeat_interval_ms, ==, 5000);
        g_assert_cmpstr(conf->broker_tls.ca, ==, "/etc/cluster-router/ca.pem");
}

static void
test_shows_every_key(void)
{
        g_autofree char *sample = conf_sample();
        size_t count;
        const ConfRow *rows = conf_table(&count);
        for (size_t i = 0; i < count; i++) {
                g_autofree char *set = g_strdup_printf("\n%s = ", rows[i].key);
                g_autofree char *comment = g_strdup_printf("\n#%s = ", rows[i].key);
                if (!strstr(sample, set) && !strstr(sample, comment))
                        g_error("%s does not stand in the sample", rows[i].key);
                g_assert_true(g_str_has_suffix(rows[i].sentence, "."));
        }
}

int
main(int argc, char **argv)
{
        if (argc == 2 && strcmp(argv[1], "--print") == 0) {
                g_autofree char *sample = conf_sample();
                return fputs(sample, stdout) < 0;
        }
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/conf_sample/committed_is_generated", test_committed_is_generated);
        g_test_add_func("/conf_sample/loads_without_a_word", test_loads_without_a_word);
        g_test_add_func("/conf_sample/every_comment_is_legal_too", test_every_comment_is_legal_too);
        g_test_add_func("/conf_sample/shows_every_key", test_shows_every_key);
        return g_test_run();
}
