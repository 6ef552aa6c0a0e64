/* SPDX-License-Identifier: MIT */
/*
 * A table is kept as text until it is printed, since the width of a column is known only then.
 */
#include "router/ctl/print.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct Table {
        unsigned columns;
        GPtrArray *cells; /* of char *, row by row; the titles first */
};

/* --- table --- */

char *
print_printable(const char *text)
{
        g_autofree char *valid = g_utf8_make_valid(text, -1);
        GString *out = g_string_new(NULL);

        for (const char *c = valid; *c; c = g_utf8_next_char(c)) {
                gunichar letter = g_utf8_get_char(c);

                g_string_append_unichar(out, g_unichar_isprint(letter) ? letter : '?');
        }
        return g_string_free(out, FALSE);
}

Table *
table_new(const char *title, ...)
{
        Table *table = g_new0(Table, 1);
        va_list titles;

        table->cells = g_ptr_array_new_with_free_func(g_free);
        va_start(titles, title);
        for (; title; title = va_arg(titles, const char *))
                g_ptr_array_add(table->cells, g_strdup(title));
        va_end(titles);
        table->columns = table->cells->len;
        return table;
}

void
table_free(Table *table)
{
        if (table == NULL)
                return;
        g_ptr_array_unref(table->cells);
        g_free(table);
}

void
table_add(Table *table, const char *cell, ...)
{
        va_list cells;

        va_start(cells, cell);
        for (; cell; cell = va_arg(cells, const char *))
                g_ptr_array_add(table->cells, print_printable(cell[0] ? cell : "-"));
        va_end(cells);
        g_assert(table->cells->len % table->columns == 0);
}

static size_t
column_width(const Table *table, unsigned column)
{
        size_t width = 0;

        for (unsigned i = column; i < table->cells->len; i += table->columns)
                width = MAX(width, (size_t)g_utf8_strlen(table->cells->pdata[i], -1));
        return width;
}

/* A number, perhaps with a unit of time behind it. */
static bool
is_number(const char *cell)
{
        static const char *const units[] = {"", " us", " ms", " s", NULL};
        char *end = NULL;

        g_ascii_strtod(cell, &end);
        return end != cell && g_strv_contains(units, end);
}

/* Below the title stand only numbers, at least one, and "-" where there is none. */
static bool
is_numeric(const Table *table, unsigned column)
{
        bool any = false;

        for (unsigned i = column + table->columns; i < table->cells->len; i += table->columns) {
                const char *cell = table->cells->pdata[i];

                if (!is_number(cell) && strcmp(cell, "-") != 0)
                        return false;
                any = any || is_number(cell);
        }
        return any;
}

static void
append_cell(GString *out, const char *cell, size_t width, bool right, bool last)
{
        int padding = (int)(width - (size_t)g_utf8_strlen(cell, -1));

        if (right)
                g_string_append_printf(out, "%*s%s", padding, "", cell);
        else
                g_string_append_printf(out, "%s%*s", cell, last ? 0 : padding, "");
        g_string_append(out, last ? "\n" : "  ");
}

char *
table_text(const Table *table)
{
        g_autofree size_t *widths = g_new(size_t, table->columns);
        g_autofree bool *right = g_new(bool, table->columns);
        GString *out = g_string_new(NULL);

        for (unsigned column = 0; column < table->columns; column++) {
                widths[column] = column_width(table, column);
                right[column] = is_numeric(table, column);
        }
        for (unsigned i = 0; i < table->cells->len; i++) {
                unsigned column = i % table->columns;

                append_cell(out, table->cells->pdata[i], widths[column], right[column],
                            column + 1 == table->columns);
        }
        return g_string_free(out, FALSE);
}

void
table_print(const Table *table)
{
        g_autofree char *text = table_text(table);

        fputs(text, stdout);
}

/* --- JSON --- */

void
print_json(json_t *document)
{
        char *text = json_dumps(document, JSON_INDENT(2) | JSON_REAL_PRECISION(15));

        puts(text);
        free(text);
        json_decref(document);
}

json_t *
print_string(const char *text_or_null)
{
        if (text_or_null == NULL)
                return json_null();
        g_autofree char *valid = g_utf8_make_valid(text_or_null, -1);
        return json_string(valid);
}

char *
print_member(const json_t *object, const char *key)
{
        const json_t *value = json_object_get(object, key);

        switch (value ? json_typeof(value) : JSON_NULL) {
        case JSON_STRING:
                return g_strdup(json_string_value(value)[0] ? json_string_value(value) : "-");
        case JSON_INTEGER:
                return g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
        case JSON_REAL:
                return g_strdup_printf("%.1f", json_real_value(value));
        case JSON_TRUE:
                return g_strdup("yes");
        case JSON_FALSE:
                return g_strdup("no");
        default:
                return g_strdup("-");
        }
}

char *
print_duration_us(double us)
{
        if (us <= 0)
                return g_strdup("-");
        if (us < 1000)
                return g_strdup_printf("%.0f us", us);
        if (us < 1000 * 1000)
                return g_strdup_printf("%.1f ms", us / 1000);
        return g_strdup_printf("%.1f s", us / (1000 * 1000));
}
