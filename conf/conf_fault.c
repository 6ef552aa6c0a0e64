/* SPDX-License-Identifier: MIT */

/*
 * Parsers run in the order of the program, people read in the order of the file: so faults are kept with
 * their line and sorted when they are told. A list of sources that two routes share is read twice, hence each
 * text is told once. A file of a million mistakes must cost no more than time, hence the limit.
 */

#include "conf/conf_fault.h"

#include <stdarg.h>
#include <string.h>

enum { FAULTS_MAX = 1000, QUOTE_MAX_BYTES = 60 };

typedef struct {
        unsigned line;
        unsigned order;
        char *text;
} Fault;

static void
fault_free(gpointer data)
{
        Fault *fault = data;
        g_free(fault->text);
        g_free(fault);
}

ConfFaults *
conf_faults_new(const char *path)
{
        ConfFaults *faults = g_new0(ConfFaults, 1);
        faults->path = path;
        faults->errors = g_ptr_array_new_with_free_func(fault_free);
        faults->warnings = g_ptr_array_new_with_free_func(fault_free);
        return faults;
}

void
conf_faults_free(ConfFaults *faults)
{
        if (!faults)
                return;
        g_ptr_array_unref(faults->errors);
        g_ptr_array_unref(faults->warnings);
        g_free(faults);
}

static void
add(GPtrArray *gathered, unsigned line, char *text)
{
        Fault *fault = g_new0(Fault, 1);
        fault->line = line;
        fault->order = gathered->len;
        fault->text = text;
        g_ptr_array_add(gathered, fault);
}

void
conf_faults_error(ConfFaults *faults, unsigned line, const char *format, ...)
{
        va_list arguments;
        va_start(arguments, format);
        add(faults->errors, line, g_strdup_vprintf(format, arguments));
        va_end(arguments);
}

void
conf_faults_warn(ConfFaults *faults, unsigned line, const char *format, ...)
{
        va_list arguments;
        va_start(arguments, format);
        add(faults->warnings, line, g_strdup_vprintf(format, arguments));
        va_end(arguments);
}

bool
conf_place_error(const ConfPlace *place, const char *format, ...)
{
        va_list arguments;
        va_start(arguments, format);
        g_autofree char *text = g_strdup_vprintf(format, arguments);
        va_end(arguments);
        conf_faults_error(place->faults, place->line, "%s: %s", place->key, text);
        return false;
}

static int
compare(gconstpointer a, gconstpointer b)
{
        const Fault *left = *(const Fault *const *)a;
        const Fault *right = *(const Fault *const *)b;
        if (left->line != right->line)
                return left->line < right->line ? -1 : 1;
        return left->order < right->order ? -1 : left->order > right->order;
}

static char *
format_fault(const char *path, const Fault *fault)
{
        if (fault->line == 0)
                return g_strdup_printf("%s: %s", path, fault->text);
        return g_strdup_printf("%s:%u: %s", path, fault->line, fault->text);
}

void
conf_faults_append_to(const ConfFaults *faults, const GPtrArray *gathered, GPtrArray *lines)
{
        g_autoptr(GPtrArray) sorted = g_ptr_array_sized_new(gathered->len);
        for (unsigned i = 0; i < gathered->len; i++)
                g_ptr_array_add(sorted, gathered->pdata[i]);
        g_ptr_array_sort(sorted, compare);

        g_autoptr(GHashTable) told = g_hash_table_new(g_str_hash, g_str_equal);
        for (unsigned i = 0; i < sorted->len; i++) {
                g_autofree char *line = format_fault(faults->path, sorted->pdata[i]);
                if (g_hash_table_contains(told, line))
                        continue;
                if (g_hash_table_size(told) == FAULTS_MAX) {
                        g_ptr_array_add(lines,
                                        g_strdup_printf("%s: and %u more", faults->path, sorted->len - i));
                        return;
                }
                g_hash_table_add(told, line);
                g_ptr_array_add(lines, g_steal_pointer(&line));
        }
}

char *
conf_quote(const char *text)
{
        size_t length = strlen(text);
        bool cut = length > QUOTE_MAX_BYTES;
        const char *end = text + length;
        if (cut)
                end = g_utf8_find_prev_char(text, text + QUOTE_MAX_BYTES + 1);

        GString *quoted = g_string_new("\"");
        for (const char *at = text; at && at < end; at = g_utf8_next_char(at)) {
                gunichar c = g_utf8_get_char(at);
                if (g_unichar_isprint(c) || c == ' ')
                        g_string_append_unichar(quoted, c);
                else
                        g_string_append_printf(quoted, "\\u%04x", c);
        }
        g_string_append(quoted, cut ? "...\"" : "\"");
        return g_string_free(quoted, FALSE);
}
