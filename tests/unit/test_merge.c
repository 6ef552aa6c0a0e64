/* SPDX-License-Identifier: MIT */
#include "cluster/merge.h"

#include <string.h>

/* Which clusters there are when file and catalogue disagree. The file has east, with the host e1. */

static Conf *
make_conf(void)
{
        static const char text[] = "[east]\ncluster_member_ips = e1\n[mysql]\nurl = mysql://u@127.0.0.1/d\n";
        g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
        Conf *conf = conf_parse("f", text, strlen(text), errors);

        if (!conf)
                g_error("%s", (char *)errors->pdata[0]);
        return conf;
}

typedef struct {
        const char *name;
        bool deleted;
} Row;

/*
 * The names that count, separated by blanks, of rows with the ids 1, 2, ...; @warning (or NULL): what the one
 * warning must say.
 */
static void
expect(const Row *given, size_t count, const char *expected, const char *warning)
{
        g_autoptr(Conf) conf = make_conf();
        g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)catalogue_cluster_free);
        g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GString) found = g_string_new(NULL);

        for (size_t i = 0; i < count; i++) {
                CatalogueCluster *row = catalogue_cluster_new((int64_t)i + 1, given[i].name);

                row->deleted = given[i].deleted;
                g_ptr_array_add(rows, row);
        }

        g_autoptr(GPtrArray) selected = merge_select_rows(conf, rows, warnings);

        for (unsigned i = 0; i < selected->len; i++)
                g_string_append_printf(found, "%s%s", i > 0 ? " " : "",
                                       ((CatalogueCluster *)selected->pdata[i])->name);
        g_assert_cmpstr(found->str, ==, expected);
        g_assert_cmpuint(warnings->len, ==, warning ? 1 : 0);
        if (warning && !strstr(warnings->pdata[0], warning))
                g_error("\"%s\" does not say \"%s\"", (char *)warnings->pdata[0], warning);
}

static void
test_illegal_name_is_ignored_and_named(void)
{
        expect((const Row[]){{"no good", false}, {"west", false}}, 2, "west",
               "row 1 is ignored: the name \"no good\"");
        expect((const Row[]){{"", false}, {"west", false}}, 2, "west", "row 1 is ignored");
        expect((const Row[]){{"a\nb", false}}, 1, "", "\"a\\nb\"");
}

static void
test_reserved_group_is_no_cluster(void)
{
        static const char *const reserved[] = {"DEFAULT", "default", "broker", "Redis", "mysql", "http"};

        for (size_t i = 0; i < G_N_ELEMENTS(reserved); i++)
                expect((const Row[]){{reserved[i], false}, {"west", false}}, 2, "west", "is not legal");
}

static void
test_second_row_of_a_name_is_ignored_and_named(void)
{
        expect((const Row[]){{"west", false}, {"west", false}, {"south", false}}, 3, "west south",
               "row 2 is ignored: it is the second cluster west");
        expect((const Row[]){{"west", true}, {"west", false}}, 2, "west", NULL);
}

static void
test_cluster_of_the_file_outlives_its_row(void)
{
        expect((const Row[]){{"east", true}, {"west", true}}, 2, "",
               "cluster east is deleted in the catalogue");
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/merge/illegal-name-is-ignored-and-named", test_illegal_name_is_ignored_and_named);
        g_test_add_func("/merge/reserved-group-is-no-cluster", test_reserved_group_is_no_cluster);
        g_test_add_func("/merge/second-row-of-a-name-is-ignored-and-named",
                        test_second_row_of_a_name_is_ignored_and_named);
        g_test_add_func("/merge/cluster-of-the-file-outlives-its-row",
                        test_cluster_of_the_file_outlives_its_row);
        return g_test_run();
}
