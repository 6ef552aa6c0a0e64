/* SPDX-License-Identifier: MIT */
#include "router/key_template.h"

#include <string.h>

/*
 * The template is cut at its wildcards (stars and the placeholder) into literals. The first literal must
 * stand at the beginning of the key, the last at its end, and each one between is taken where it is found
 * first after the one before it. Taking the first place never spoils a match, since the wildcard after it can
 * swallow what is left over; so nothing is ever tried twice.
 */

struct KeyTemplate {
        GPtrArray *literals;  /* of char *; one more than there are wildcards */
        unsigned placeholder; /* which wildcard it is */
};

/* The length of the wildcard at @text, 0 if there is none; tells whether it is the placeholder. */
static size_t
wildcard_length(const char *text, bool *out_placeholder)
{
        *out_placeholder = *text == '{';
        if (*text == '*')
                return 1;
        if (g_str_has_prefix(text, "{cluster}"))
                return strlen("{cluster}");
        return g_str_has_prefix(text, "{host}") ? strlen("{host}") : 0;
}

KeyTemplate *
key_template_new(const char *text)
{
        g_autoptr(KeyTemplate) key_template = g_new0(KeyTemplate, 1);
        key_template->literals = g_ptr_array_new_with_free_func(g_free);
        unsigned placeholders = 0;
        const char *begin = text;
        const char *p = text;
        while (*p) {
                bool placeholder;
                size_t length = wildcard_length(p, &placeholder);
                if (length == 0) {
                        p++;
                        continue;
                }
                if (placeholder) {
                        key_template->placeholder = key_template->literals->len;
                        placeholders++;
                }
                g_ptr_array_add(key_template->literals, g_strndup(begin, (size_t)(p - begin)));
                p += length;
                begin = p;
        }
        g_ptr_array_add(key_template->literals, g_strdup(begin));
        return placeholders == 1 ? g_steal_pointer(&key_template) : NULL;
}

void
key_template_free(KeyTemplate *key_template)
{
        if (!key_template)
                return;
        g_ptr_array_unref(key_template->literals);
        g_free(key_template);
}

/* Where @literal stands first in [@from, @end), or, if it is the @last one, at the end; NULL if not there. */
static const char *
find_literal(const char *from, const char *end, const char *literal, bool last)
{
        size_t length = strlen(literal);
        if (from > end || length > (size_t)(end - from))
                return NULL;
        if (last)
                return memcmp(end - length, literal, length) == 0 ? end - length : NULL;
        return memmem(from, (size_t)(end - from), literal, length);
}

bool
key_template_match(const KeyTemplate *key_template, const char *key, size_t length, const char **out_value,
                   size_t *out_value_length)
{
        const char *end = key + length;
        const char *first = key_template->literals->pdata[0];
        const char *value = NULL;
        size_t value_length = 0;
        if (length < strlen(first) || memcmp(key, first, strlen(first)) != 0)
                return false;
        const char *p = key + strlen(first);
        unsigned n_wildcards = key_template->literals->len - 1;
        for (unsigned i = 0; i < n_wildcards; i++) {
                bool placeholder = i == key_template->placeholder;
                const char *literal = key_template->literals->pdata[i + 1];
                const char *found =
                    find_literal(p + (placeholder ? 1 : 0), end, literal, i + 1 == n_wildcards);
                if (!found)
                        return false;
                if (placeholder) {
                        value = p;
                        value_length = (size_t)(found - p);
                }
                p = found + strlen(literal);
        }
        *out_value = value;
        *out_value_length = value_length;
        return true;
}
