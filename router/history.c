/* SPDX-License-Identifier: MIT */
/*
 * All rings turn together, so where the newest value stands is known once for all of them. A value is a
 * float: seven digits are more than a chart shows.
 *
 * The document is written by hand, not with jansson, which would allocate each of some ten thousand numbers.
 */
#include "router/history.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

typedef struct {
        HistoryMeasure measure;
        char *owner;
        float *values; /* ring */
} Series;

struct History {
        unsigned step_s;
        unsigned capacity;
        unsigned points; /* filled, up to capacity */
        unsigned next;   /* where the next step goes */
        unsigned fresh;  /* steps of the last advance */
        int64_t end_unix;
        GPtrArray *series; /* of Series *, sorted by measure and owner */
        GHashTable *left_out;
};

static const struct {
        const char *owner;
        const char *name;
        const char *unit;
        bool nullable;
} measures[HISTORY_MEASURE_COUNT] = {
#define MEASURE_ROW(id, owner, name, unit, nullable) [HISTORY_##id] = {owner, name, unit, nullable},
    HISTORY_MEASURES(MEASURE_ROW)
#undef MEASURE_ROW
};

static void
series_free(gpointer data)
{
        Series *series = data;

        g_free(series->owner);
        g_free(series->values);
        g_free(series);
}

History *
history_new(unsigned step_s, unsigned capacity)
{
        History *history = g_new0(History, 1);

        history->step_s = step_s;
        history->capacity = capacity;
        history->series = g_ptr_array_new_with_free_func(series_free);
        history->left_out = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        return history;
}

void
history_free(History *history)
{
        if (history == NULL)
                return;
        g_ptr_array_unref(history->series);
        g_hash_table_unref(history->left_out);
        g_free(history);
}

unsigned
history_step_s(const History *history)
{
        return history->step_s;
}

static float
blank_of(HistoryMeasure measure)
{
        return measures[measure].nullable ? NAN : 0;
}

/* Fills the last @count steps of a ring. */
static void
fill(const History *history, Series *series, unsigned count, float value)
{
        for (unsigned i = 1; i <= count; i++)
                series->values[(history->next + history->capacity - i) % history->capacity] = value;
}

void
history_advance(History *history, unsigned steps, int64_t end_unix)
{
        history->fresh = MIN(steps, history->capacity);
        history->next = (history->next + history->fresh) % history->capacity;
        history->points = MIN(history->points + history->fresh, history->capacity);
        history->end_unix = end_unix;
        for (unsigned i = 0; i < history->series->len; i++) {
                Series *series = history->series->pdata[i];

                fill(history, series, history->fresh, blank_of(series->measure));
        }
}

static int
compare_series(gconstpointer a, gconstpointer b)
{
        const Series *left = *(Series *const *)a, *right = *(Series *const *)b;

        if (left->measure != right->measure)
                return left->measure < right->measure ? -1 : 1;
        return strcmp(left->owner, right->owner);
}

static Series *
find(const History *history, HistoryMeasure measure, const char *owner)
{
        for (unsigned i = 0; i < history->series->len; i++) {
                Series *series = history->series->pdata[i];

                if (series->measure == measure && strcmp(series->owner, owner) == 0)
                        return series;
        }
        return NULL;
}

/* NULL, and counted, if there are too many. The names left out are bounded too. */
static Series *
add(History *history, HistoryMeasure measure, const char *owner)
{
        if (history->series->len >= HISTORY_SERIES_MAX) {
                if (g_hash_table_size(history->left_out) < HISTORY_SERIES_MAX)
                        g_hash_table_add(history->left_out,
                                         g_strdup_printf("%s %s", measures[measure].name, owner));
                return NULL;
        }

        Series *series = g_new0(Series, 1);
        series->measure = measure;
        series->owner = g_strdup(owner);
        series->values = g_new(float, history->capacity);
        fill(history, series, history->capacity, blank_of(measure));
        g_ptr_array_add(history->series, series);
        g_ptr_array_sort(history->series, compare_series);
        return series;
}

void
history_put(History *history, HistoryMeasure measure, const char *owner, double value)
{
        Series *series = find(history, measure, owner);
        bool blank = measures[measure].nullable ? isnan(value) : value == 0;

        if (series == NULL && !blank)
                series = add(history, measure, owner);
        if (series)
                fill(history, series, history->fresh, (float)value);
}

/* --- JSON --- */

static void
append_text(GString *out, const char *text)
{
        g_autofree char *valid = g_utf8_make_valid(text, -1);
        json_t *string = json_string(valid);
        char *quoted = json_dumps(string, JSON_ENCODE_ANY);

        g_string_append(out, quoted);
        free(quoted);
        json_decref(string);
}

static void
append_values(const History *history, const Series *series, GString *out)
{
        unsigned first = history->next + history->capacity - history->points;
        char number[G_ASCII_DTOSTR_BUF_SIZE];

        for (unsigned i = 0; i < history->points; i++) {
                float value = series->values[(first + i) % history->capacity];

                if (i > 0)
                        g_string_append_c(out, ',');
                if (isnan(value))
                        g_string_append(out, "null");
                else
                        g_string_append(out, g_ascii_formatd(number, sizeof(number), "%.5g", (double)value));
        }
}

static void
append_series(const History *history, const Series *series, GString *out)
{
        g_string_append_printf(out, "{\"%s\":", measures[series->measure].owner);
        append_text(out, series->owner);
        g_string_append_printf(out, ",\"measure\":\"%s\",\"unit\":\"%s\",\"values\":[",
                               measures[series->measure].name, measures[series->measure].unit);
        append_values(history, series, out);
        g_string_append(out, "]}");
}

void
history_append_json(const History *history, GString *out)
{
        g_string_append_printf(
            out, "{\"step_s\":%u,\"end\":%" G_GINT64_FORMAT ",\"points\":%u,\"left_out\":%u,\"series\":[",
            history->step_s, history->end_unix, history->points, g_hash_table_size(history->left_out));
        for (unsigned i = 0; i < history->series->len; i++) {
                if (i > 0)
                        g_string_append_c(out, ',');
                append_series(history, history->series->pdata[i], out);
        }
        g_string_append(out, "]}");
}
