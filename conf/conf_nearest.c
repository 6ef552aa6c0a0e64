/* SPDX-License-Identifier: MIT */

/*
 * Edit distance with swapped neighbours counting as one mistake, case counting as none. Only short words are
 * compared: a long one is no slip of the finger.
 */

#include "conf/conf_nearest.h"

#include "conf/conf_fault.h"

#include <string.h>

enum { WORD_MAX_BYTES = 64, LISTED_MAX = 16 };

static unsigned
distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
        unsigned rows[3][WORD_MAX_BYTES + 1];
        unsigned *before = rows[0], *above = rows[1], *here = rows[2];
        for (size_t j = 0; j <= b_length; j++)
                above[j] = (unsigned)j;
        for (size_t i = 1; i <= a_length; i++) {
                here[0] = (unsigned)i;
                for (size_t j = 1; j <= b_length; j++) {
                        char left = g_ascii_tolower(a[i - 1]), right = g_ascii_tolower(b[j - 1]);
                        here[j] = MIN(MIN(above[j], here[j - 1]) + 1, above[j - 1] + (left != right));
                        if (i > 1 && j > 1 && left == g_ascii_tolower(b[j - 2]) &&
                            right == g_ascii_tolower(a[i - 2]))
                                here[j] = MIN(here[j], before[j - 2] + 1);
                }
                unsigned *oldest = before;
                before = above;
                above = here;
                here = oldest;
        }
        return above[b_length];
}

const char *
conf_nearest(const char *word, const char *const *words)
{
        size_t length = strlen(word);
        if (length > WORD_MAX_BYTES)
                return NULL;
        const char *best = NULL;
        unsigned best_distance = (unsigned)(length + 5) / 4;
        for (; *words; words++) {
                size_t other = strlen(*words);
                if (other > WORD_MAX_BYTES)
                        continue;
                unsigned found = distance(word, length, *words, other);
                if (found >= MAX(length, other) || found > best_distance || (found == best_distance && best))
                        continue;
                best = *words;
                best_distance = found;
        }
        return best;
}

char *
conf_suggest(const char *word, const char *const *words)
{
        const char *nearest = conf_nearest(word, words);
        if (nearest) {
                g_autofree char *quoted = conf_quote(nearest);
                return g_strdup_printf("; did you mean %s?", quoted);
        }
        if (!*words)
                return g_strdup("");
        GString *list = g_string_new("; there is ");
        for (size_t i = 0; i < LISTED_MAX && words[i]; i++)
                g_string_append_printf(list, "%s%s", i ? ", " : "", words[i]);
        if (g_strv_length((char **)words) > LISTED_MAX)
                g_string_append(list, ", ...");
        return g_string_free(list, FALSE);
}
