/* SPDX-License-Identifier: MIT */
#include "router/json_skip.h"

#include "router/json_unit.h"

#include <string.h>

/*
 * The steps that are rare, each in its plain form: one character at a time, whatever its spelling.
 */

/* The next character of the text of a level, and the place after it; JSON_NO_TOKEN at the end of the text. */
static int
next_unit(const char **p, const char *end, bool inner)
{
        uint32_t unit;
        if (*p == end || (inner && **p == '"'))
                return JSON_NO_TOKEN;
        if (!inner)
                return (unsigned char)*(*p)++;
        const char *next = json_unit_read(*p, end, JSON_OUTER, &unit);
        if (!next || (unsigned char)**p < 0x20)
                return JSON_NO_TOKEN;
        *p = next;
        return (int)(unit & ~JSON_UNIT_RAW);
}

int
json_next_token_slow(const char **p, const char *end, bool inner)
{
        int c;
        do {
                while (end - *p >= 8 && memcmp(*p, "        ", 8) == 0)
                        *p += 8;
                c = next_unit(p, end, inner);
        } while (c == ' ' || c == '\n' || c == '\r' || c == '\t');
        return c;
}

/* An escape of one letter, in the spelling that every writer uses; NULL if it is another. */
static const char *
skip_common_escape(const char *p, const char *end, bool inner)
{
        if (end - p < 4 || (inner && p[1] != '\\'))
                return NULL;
        const char *letter = inner ? p + 2 : p + 1;
        if (*letter == 'n')
                return letter + 1;
        if (inner && *letter++ != '\\')
                return NULL;
        return *letter == '"' || *letter == '\\' ? letter + 1 : NULL;
}

const char *
json_skip_special(const char *p, const char *end, bool inner, bool *out_closed)
{
        uint32_t unit;
        if (p == end || *p != '\\')
                return NULL;
        const char *common = skip_common_escape(p, end, inner);
        if (common)
                return common;
        const char *next = json_unit_read(p, end, JSON_OUTER, &unit);
        if (!inner || !next)
                return next;
        if (unit == '\\')
                return json_unit_read(p, end, JSON_INNER, &unit);
        *out_closed = unit == '"';
        return unit < 0x20 ? NULL : next;
}

const char *
json_skip_rest(const char *p, const char *end, bool inner, const char *rest)
{
        for (; *rest; rest++) {
                if (next_unit(&p, end, inner) != *rest)
                        return NULL;
        }
        return p;
}

/* Skips digits, at least one. */
static const char *
skip_digits(const char *p, const char *end, bool inner)
{
        const char *begin = p;
        for (;;) {
                const char *next = p;
                int c = next_unit(&next, end, inner);
                if (c < '0' || c > '9')
                        return p == begin ? NULL : p;
                p = next;
        }
}

static const char *
skip_fraction(const char *p, const char *end, bool inner)
{
        const char *next = p;
        if (next_unit(&next, end, inner) != '.')
                return p;
        return skip_digits(next, end, inner);
}

static const char *
skip_exponent(const char *p, const char *end, bool inner)
{
        const char *next = p;
        int c = next_unit(&next, end, inner);
        if (c != 'e' && c != 'E')
                return p;
        const char *digits = next;
        c = next_unit(&next, end, inner);
        return skip_digits(c == '+' || c == '-' ? next : digits, end, inner);
}

const char *
json_skip_number(const char *p, const char *end, bool inner, int c)
{
        if (c == '-')
                c = next_unit(&p, end, inner);
        if (c == 'I')
                return json_skip_rest(p, end, inner, "nfinity");
        if (c < '0' || c > '9')
                return NULL;
        const char *more = c == '0' ? NULL : skip_digits(p, end, inner);
        p = skip_fraction(more ? more : p, end, inner);
        return p ? skip_exponent(p, end, inner) : NULL;
}
