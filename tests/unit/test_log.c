/* SPDX-License-Identifier: MIT */
#include "cluster/log.h"

#include <glib.h>
#include <string.h>

/* Fields of log lines, as a writer gets them, and how many lines there may be. */

static char *
join(const GLogField *fields, gsize n_fields)
{
        GString *text = g_string_new(NULL);

        for (gsize i = 0; i < n_fields; i++) {
                const char *value = fields[i].value;

                g_string_append_printf(text, "%s=%s;", fields[i].key, value);
        }
        return g_string_free(text, FALSE);
}

static GLogWriterOutput
keep(GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer user_data)
{
        GPtrArray *lines = user_data;

        g_ptr_array_add(lines, join(fields, n_fields));
        return G_LOG_WRITER_HANDLED;
}

static void
test_line_has_the_fields_that_apply(gconstpointer data)
{
        GPtrArray *lines = (GPtrArray *)data;

        g_ptr_array_set_size(lines, 0);
        log_line(G_LOG_LEVEL_WARNING,
                 &(LogPlace){.route = "r", .cluster = "c", .reason = "dead", .message_id = "a\nb"}, "text %d",
                 1);
        log_line(G_LOG_LEVEL_MESSAGE, &(LogPlace){.cluster = "c"}, "other");
        g_assert_cmpuint(lines->len, ==, 2);
        g_assert_cmpstr(lines->pdata[0], ==,
                        "MESSAGE=text 1;PRIORITY=4;ROUTE=r;CLUSTER=c;REASON=dead;AMQP_MESSAGE_ID=a\\nb;");
        g_assert_cmpstr(lines->pdata[1], ==, "MESSAGE=other;PRIORITY=5;CLUSTER=c;");
}

static void
test_flood_is_cut_and_counted(gconstpointer data)
{
        GPtrArray *lines = (GPtrArray *)data;
        LogBudget budget = {0};
        unsigned taken = 0;

        g_ptr_array_set_size(lines, 0);
        for (unsigned i = 0; i < 100; i++)
                taken += log_budget_take(&budget);
        g_assert_cmpuint(taken, ==, 30);
        g_assert_cmpuint(lines->len, ==, 0);
        budget.began_us -= G_USEC_PER_SEC * 60;
        g_assert_true(log_budget_take(&budget));
        g_assert_cmpuint(lines->len, ==, 1);
        g_assert_nonnull(strstr(lines->pdata[0], "70 lines like those before were left out"));
}

int
main(int argc, char **argv)
{
        g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);

        g_test_init(&argc, &argv, NULL);
        g_log_set_writer_func(keep, lines, NULL);
        g_test_add_data_func("/log/line-has-the-fields-that-apply", lines,
                             test_line_has_the_fields_that_apply);
        g_test_add_data_func("/log/flood-is-cut-and-counted", lines, test_flood_is_cut_and_counted);
        return g_test_run();
}
