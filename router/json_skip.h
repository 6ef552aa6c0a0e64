/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/*
 * How the scanner steps over characters, strings, numbers and words. For json_scan.c alone.
 *
 * Each function takes the text from @p on and gives the place after what it skipped, or NULL if that is
 * broken. @inner says that the text is that of the string "oslo.message": its characters are read through the
 * escapes of the string that holds it, and it ends at that string's quote. It is a constant wherever a
 * function is inlined. What is rare stands in json_skip.c, not inlined.
 */

#define JSON_INLINE static inline __attribute__((always_inline))

enum { JSON_NO_TOKEN = -1 };

/* Skips white space and takes one character: JSON_NO_TOKEN, and nothing taken, at the end of the text. */
int json_next_token_slow(const char **p, const char *end, bool inner);

/* At a special character of a string: an escape, or an escaped closing quote, which sets @out_closed. */
const char *json_skip_special(const char *p, const char *end, bool inner, bool *out_closed);

/* Exactly those characters, which may be spelled with escapes. */
const char *json_skip_rest(const char *p, const char *end, bool inner, const char *rest);

/* A number whose first character was @c; those words, too, that Python writes for what JSON cannot say. */
const char *json_skip_number(const char *p, const char *end, bool inner, int c);

/* The first quote, backslash or control character, or @end. */
JSON_INLINE const char *
json_find_special(const char *p, const char *end)
{
#ifdef __SSE2__
        while (end - p >= 16) {
                __m128i bytes = _mm_loadu_si128((const __m128i *)p);
                __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
                __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
                __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
                int mask = _mm_movemask_epi8(_mm_or_si128(control, _mm_or_si128(quote, backslash)));
                if (mask)
                        return p + __builtin_ctz((unsigned)mask);
                p += 16;
        }
#endif
        while (p < end && (unsigned char)*p >= 0x20 && *p != '"' && *p != '\\')
                p++;
        return p;
}

JSON_INLINE int
json_next_token(const char **p, const char *end, const bool inner)
{
        const char *q = *p;
        if (q < end && *q == ' ')
                q++;
        if (G_LIKELY(end - q >= 2)) {
                unsigned char c = (unsigned char)*q;
                if (inner && c == '\\' && q[1] == '"') {
                        *p = q + 2;
                        return '"';
                }
                if (G_LIKELY(c > ' ' && !(inner && (c == '\\' || c == '"')))) {
                        *p = q + 1;
                        return c;
                }
        }
        const char *slow = q;
        int c = json_next_token_slow(&slow, end, inner);
        *p = slow;
        return c;
}

/* From after the opening quote to after the closing one, which is @out_close; NULL if broken. */
JSON_INLINE const char *
json_skip_string(const char *p, const char *end, const bool inner, const char **out_close, bool *out_escaped)
{
        bool escaped = false;
        for (;;) {
                p = json_find_special(p, end);
                *out_close = p;
                *out_escaped = escaped;
                if (!inner && p < end && *p == '"')
                        return p + 1;
                if (inner && end - p >= 2 && *p == '\\' && p[1] == '"')
                        return p + 2;
                bool closed = false;
                p = json_skip_special(p, end, inner, &closed);
                if (!p || closed)
                        return p;
                escaped = true;
        }
}

/* Whether those four bytes stand at @p. */
JSON_INLINE bool
json_is_at(const char *p, const char *end, const char four[4])
{
        return end - p >= 4 && memcmp(p, four, 4) == 0;
}

/* A number: a short way for plain digits before a comma or bracket. */
JSON_INLINE const char *
json_skip_digits(const char *p, const char *end, const bool inner, int c)
{
        const char *q = p;
        while (q < end && *q >= '0' && *q <= '9')
                q++;
        if (G_LIKELY(q < end && (*q == ',' || *q == '}' || *q == ']') && (c != '0' || q == p)))
                return q;
        return json_skip_number(p, end, inner, c);
}

/* A value that is neither string nor bracket, and whose first character was @c. */
JSON_INLINE const char *
json_skip_scalar(const char *p, const char *end, const bool inner, int c)
{
        if (c == 'n' || c == 't') {
                if (G_LIKELY(json_is_at(p - 1, end, c == 'n' ? "null" : "true")))
                        return p + 3;
                return json_skip_rest(p, end, inner, c == 'n' ? "ull" : "rue");
        }
        if (c == 'f')
                return G_LIKELY(json_is_at(p, end, "alse")) ? p + 4 : json_skip_rest(p, end, inner, "alse");
        if (c >= '0' && c <= '9')
                return json_skip_digits(p, end, inner, c);
        if (c == 'N')
                return json_skip_rest(p, end, inner, "aN");
        return json_skip_number(p, end, inner, c);
}
