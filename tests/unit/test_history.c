/* SPDX-License-Identifier: MIT */
#include "router/history.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

enum { STEP_S = 10, CAPACITY = 5 };

static json_t *
document_of(const History *history)
{
        g_autoptr(GString) text = g_string_new(NULL);
        json_error_t error;

        history_append_json(history, text);
        g_test_message("%s", text->str);
        json_t *document = json_loads(text->str, 0, &error);
        g_assert_nonnull(document);
        return document;
}

static json_t *
series_of(json_t *document, const char *owner, const char *name, const char *measure)
{
        json_t *series;
        size_t i;

        json_array_foreach(json_object_get(document, "series"), i, series)
        {
                const char *its = json_string_value(json_object_get(series, owner));

                if (its && strcmp(its, name) == 0 &&
                    strcmp(json_string_value(json_object_get(series, "measure")), measure) == 0)
                        return series;
        }
        return NULL;
}

/* NAN in @expected stands for null. */
static void
assert_values(const History *history, const char *owner, const char *name, const char *measure,
              const double *expected, size_t n)
{
        json_t *document = document_of(history);
        json_t *values = json_object_get(series_of(document, owner, name, measure), "values");

        g_assert_cmpuint(json_array_size(values), ==, n);
        for (size_t i = 0; i < n; i++) {
                json_t *value = json_array_get(values, i);

                if (isnan(expected[i]))
                        g_assert_true(json_is_null(value));
                else
                        g_assert_cmpfloat_with_epsilon(json_number_value(value), expected[i], 1e-3);
        }
        json_decref(document);
}

static void
step(History *history, double rate)
{
        history_advance(history, 1, 1000);
        history_put(history, HISTORY_ROUTE_IN, "volume", rate);
}

static void
test_keeps_the_newest_in_order(void)
{
        g_autoptr(History) history = history_new(STEP_S, CAPACITY);
        static const double first[] = {1, 2, 3}, later[] = {3, 4, 5, 6, 7};

        for (unsigned i = 1; i <= 3; i++)
                step(history, i);
        assert_values(history, "route", "volume", "in", first, G_N_ELEMENTS(first));
        for (unsigned i = 4; i <= 7; i++)
                step(history, i);
        assert_values(history, "route", "volume", "in", later, G_N_ELEMENTS(later));
}

static void
test_steps_that_were_missed_get_the_same_value(void)
{
        g_autoptr(History) history = history_new(STEP_S, CAPACITY);
        static const double three[] = {1, 9, 9, 9}, all[] = {2, 2, 2, 2, 2};

        step(history, 1);
        history_advance(history, 3, 1000);
        history_put(history, HISTORY_ROUTE_IN, "volume", 9);
        assert_values(history, "route", "volume", "in", three, G_N_ELEMENTS(three));
        history_advance(history, 1000000, 1000);
        history_put(history, HISTORY_ROUTE_IN, "volume", 2);
        assert_values(history, "route", "volume", "in", all, G_N_ELEMENTS(all));
}

static void
test_what_began_late_was_blank_before(void)
{
        g_autoptr(History) history = history_new(STEP_S, CAPACITY);
        static const double rates[] = {0, 0, 4, 0}, hops[] = {NAN, NAN, 250, NAN};

        step(history, 0);
        step(history, 0);
        step(history, 4);
        history_put(history, HISTORY_ROUTE_HOP_P99, "volume", 250);
        history_advance(history, 1, 1000); /* nothing put: blank */
        assert_values(history, "route", "volume", "in", rates, G_N_ELEMENTS(rates));
        assert_values(history, "route", "volume", "hop_p99", hops, G_N_ELEMENTS(hops));
}

static void
test_idle_series_take_nothing(void)
{
        g_autoptr(History) history = history_new(STEP_S, CAPACITY);

        step(history, 0);
        history_put(history, HISTORY_CLUSTER_PARKED, "east", 0);
        history_put(history, HISTORY_ROUTE_HOP_P50, "volume", NAN);
        json_t *document = document_of(history);
        g_assert_cmpint(json_integer_value(json_object_get(document, "points")), ==, 1);
        g_assert_cmpuint(json_array_size(json_object_get(document, "series")), ==, 0);
        json_decref(document);
}

static void
test_one_series_too_many_is_counted_once(void)
{
        g_autoptr(History) history = history_new(STEP_S, CAPACITY);

        for (unsigned turn = 0; turn < 2; turn++) {
                history_advance(history, 1, 1000);
                for (unsigned i = 0; i < HISTORY_SERIES_MAX + 3; i++) {
                        g_autofree char *name = g_strdup_printf("c%u", i);
                        history_put(history, HISTORY_CLUSTER_DELIVERED, name, 1);
                }
        }
        json_t *document = document_of(history);
        g_assert_cmpuint(json_array_size(json_object_get(document, "series")), ==, HISTORY_SERIES_MAX);
        g_assert_cmpint(json_integer_value(json_object_get(document, "left_out")), ==, 3);
        json_decref(document);
}

static void
test_names_of_any_bytes_stay_json(void)
{
        g_autoptr(History) history = history_new(STEP_S, CAPACITY);
        static const double expected[] = {1};

        history_advance(history, 1, 1000);
        history_put(history, HISTORY_CLUSTER_PARKED, "a\"b\n", 1);
        history_put(history, HISTORY_CLUSTER_PARKED, "\xff", 1);
        history_put(history, HISTORY_CLUSTER_PARKED, "", 1);
        assert_values(history, "cluster", "a\"b\n", "parked", expected, 1);
        assert_values(history, "cluster", "", "parked", expected, 1);
}

/* An independent model: a plain list of everything, of which the end is compared. */
static void
test_random_schedules_match_a_plain_list(void)
{
        g_autoptr(History) history = history_new(STEP_S, CAPACITY);
        g_autoptr(GArray) model = g_array_new(FALSE, FALSE, sizeof(double));

        step(history, 1); /* so that the series exists */
        g_array_append_vals(model, (const double[]){1}, 1);
        for (unsigned turn = 0; turn < 500; turn++) {
                unsigned steps = (unsigned)g_test_rand_int_range(1, 9);
                double value = g_test_rand_int_range(0, 1000);

                history_advance(history, steps, 1000);
                history_put(history, HISTORY_ROUTE_IN, "volume", value);
                for (unsigned i = 0; i < steps; i++)
                        g_array_append_val(model, value);
                unsigned shown = MIN(model->len, CAPACITY);
                assert_values(history, "route", "volume", "in",
                              &g_array_index(model, double, model->len - shown), shown);
        }
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/history/keeps_the_newest_in_order", test_keeps_the_newest_in_order);
        g_test_add_func("/history/missed_steps_get_the_same_value",
                        test_steps_that_were_missed_get_the_same_value);
        g_test_add_func("/history/what_began_late_was_blank_before", test_what_began_late_was_blank_before);
        g_test_add_func("/history/idle_series_take_nothing", test_idle_series_take_nothing);
        g_test_add_func("/history/one_series_too_many_is_counted_once",
                        test_one_series_too_many_is_counted_once);
        g_test_add_func("/history/names_of_any_bytes_stay_json", test_names_of_any_bytes_stay_json);
        g_test_add_func("/history/random_schedules_match_a_plain_list",
                        test_random_schedules_match_a_plain_list);
        return g_test_run();
}
