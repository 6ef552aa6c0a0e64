/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
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

/*
 * Which bytes of one block of the text are quotes, backslashes or control characters. Found for 64 bytes at
 * once, so that from string to string no step waits for the memory. Zero bytes: no block yet.
 */
typedef struct {
        const char *block;
        uint64_t special;
} JsonMarks;

enum { JSON_BLOCK_BYTES = 64, JSON_STEP_BYTES = 16 };

JSON_INLINE bool
json_is_special(char c)
{
        return (unsigned char)c < 0x20 || c == '"' || c == '\\';
}

/* Of the bytes of one step; the first in bit 0. */
JSON_INLINE uint64_t
json_find_marks(const char *p)
{
#ifdef __SSE2__
        __m128i bytes = _mm_loadu_si128((const __m128i *)p);
        __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
        /* With one bit flipped, the quote stands next to the control characters. */
        __m128i flipped = _mm_xor_si128(bytes, _mm_set1_epi8('"' ^ 0x20));
        __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(flipped, _mm_set1_epi8(0x20)), flipped);
        return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, backslash));
#else
        uint64_t marks = 0;
        for (int i = 0; i < JSON_STEP_BYTES; i++)
                marks |= (uint64_t)json_is_special(p[i]) << i;
        return marks;
#endif
}

/* The first quote, backslash or control character, or @end. */
JSON_INLINE const char *
json_find_special(JsonMarks *marks, const char *p, const char *end)
{
        size_t offset = (uintptr_t)p - (uintptr_t)marks->block;
        if (G_LIKELY(offset < JSON_BLOCK_BYTES)) {
                uint64_t rest = marks->special >> offset;
                if (G_LIKELY(rest))
                        return p + __builtin_ctzll(rest);
                p = marks->block + JSON_BLOCK_BYTES;
        }
        for (; end - p >= JSON_BLOCK_BYTES; p += JSON_BLOCK_BYTES) {
                marks->block = p;
                marks->special = json_find_marks(p) | json_find_marks(p + 16) << 16 |
                                 json_find_marks(p + 32) << 32 | json_find_marks(p + 48) << 48;
                if (marks->special)
                        return p + __builtin_ctzll(marks->special);
        }
        for (; end - p >= JSON_STEP_BYTES; p += JSON_STEP_BYTES) {
                uint64_t special = json_find_marks(p);
                if (special)
                        return p + __builtin_ctzll(special);
        }
        while (p < end && !json_is_special(*p))
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
json_skip_string(JsonMarks *marks, const char *p, const char *end, const bool inner, const char **out_close,
                 bool *out_escaped)
{
        bool escaped = false;
        for (;;) {
                p = json_find_special(marks, p, end);
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

/* Whether the text goes on like that; as spelled in the body, and in the inner text. */
#define JSON_IS(p, inner, body, escaped)                                                                     \
        (memcmp(p, (inner) ? (escaped) : (body), (inner) ? sizeof(escaped) - 1 : sizeof(body) - 1) == 0)

/* From the closing quote of a key to after its value, if that is a word or a string without escapes, and
 * spelled as Python's json writes it; else NULL. */
JSON_INLINE const char *
json_skip_plain(JsonMarks *marks, const char *p, const char *end, const bool inner)
{
        enum { LONGEST = 16 };
        if (end - p < LONGEST)
                return NULL;
        if (JSON_IS(p, inner, "\": \"", "\\\": \\\"")) {
                p = json_find_special(marks, p + (inner ? 6 : 4), end);
                return end - p >= LONGEST && JSON_IS(p, inner, "\"", "\\\"") ? p + (inner ? 2 : 1) : NULL;
        }
        if (JSON_IS(p, inner, "\": null", "\\\": null") || JSON_IS(p, inner, "\": true", "\\\": true"))
                return p + (inner ? 8 : 7);
        return JSON_IS(p, inner, "\": false", "\\\": false") ? p + (inner ? 9 : 8) : NULL;
}

/*
 * Most of a message is members of objects that nobody looks for, with a plain value. From after the opening
 * quote of a key to that of the first member that is not such a one, or is the last of its object, or whose
 * key has one of @lengths (bit n % 64: n bytes) or an escape.
 */
JSON_INLINE const char *
json_skip_members(JsonMarks *marks, const char *p, const char *end, uint64_t lengths, const bool inner)
{
        for (;;) {
                const char *close = json_find_special(marks, p, end);
                if (lengths >> (close - p) % 64 & 1)
                        return p;
                const char *next = json_skip_plain(marks, close, end, inner);
                if (!next || !JSON_IS(next, inner, ", \"", ", \\\""))
                        return p;
                p = next + (inner ? 4 : 3);
        }
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
