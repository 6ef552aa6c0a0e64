/* SPDX-License-Identifier: MIT */
#include "router/json_unit.h"

#include <string.h>

/*
 * A string of the body is a row of units: bytes and escapes. A string of the inner text is a row of units of
 * which each is made of units of the body: `\\u00e9` in the body is the inner escape `\u00e9`, and `\\\"` is
 * the inner `\"`. So the inner reader is the outer one, with the outer reader in the place of "next byte".
 */

enum { NOT_SIMPLE = 0 };

/* The character that a one-letter escape stands for. */
static uint32_t
simple_escape(uint32_t letter)
{
        switch (letter) {
        case '"':
        case '\\':
        case '/':
                return letter;
        case 'b':
                return '\b';
        case 'f':
                return '\f';
        case 'n':
                return '\n';
        case 'r':
                return '\r';
        case 't':
                return '\t';
        default:
                return NOT_SIMPLE;
        }
}

/* The next character of the text that holds a string of that level: a byte of the body, or an outer unit. */
static const char *
read_letter(const char *p, const char *end, JsonLevel level, uint32_t *out_letter)
{
        if (p == end)
                return NULL;
        unsigned char byte = (unsigned char)*p;
        if (level == JSON_INNER)
                return byte == '"' || byte < 0x20 ? NULL : json_unit_read(p, end, JSON_OUTER, out_letter);
        *out_letter = byte < 0x80 ? byte : byte | JSON_UNIT_RAW;
        return p + 1;
}

static const char *
read_hex(const char *p, const char *end, JsonLevel level, uint32_t *out_unit)
{
        uint32_t unit = 0;
        for (int i = 0; i < 4; i++) {
                uint32_t letter;
                p = read_letter(p, end, level, &letter);
                if (!p || letter > 'f' || !g_ascii_isxdigit((char)letter))
                        return NULL;
                unit = unit << 4 | (uint32_t)g_ascii_xdigit_value((char)letter);
        }
        *out_unit = unit;
        return p;
}

const char *
json_unit_read(const char *p, const char *end, JsonLevel level, uint32_t *out_unit)
{
        uint32_t letter;
        p = read_letter(p, end, level, &letter);
        if (!p)
                return NULL;
        if (letter != '\\') {
                *out_unit = letter;
                return p;
        }
        p = read_letter(p, end, level, &letter);
        if (!p)
                return NULL;
        if (letter == 'u')
                return read_hex(p, end, level, out_unit);
        uint32_t unit = simple_escape(letter);
        if (unit == NOT_SIMPLE)
                return NULL;
        *out_unit = unit;
        return p;
}

static bool
is_high_surrogate(uint32_t unit)
{
        return unit >= 0xd800 && unit <= 0xdbff;
}

static bool
is_low_surrogate(uint32_t unit)
{
        return unit >= 0xdc00 && unit <= 0xdfff;
}

/* Writes the character at @p as UTF-8 (or the one raw byte) to @utf8, its size to @out_size. */
static const char *
read_character(const char *p, const char *end, JsonLevel level, char utf8[6], size_t *out_size)
{
        uint32_t unit;
        p = json_unit_read(p, end, level, &unit);
        if (!p)
                return NULL;
        if (unit & JSON_UNIT_RAW || unit < 0x80) {
                utf8[0] = (char)(unit & 0xff);
                *out_size = 1;
                return p;
        }
        uint32_t low;
        const char *after_low =
            is_high_surrogate(unit) && p < end ? json_unit_read(p, end, level, &low) : NULL;
        if (after_low && is_low_surrogate(low)) {
                unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                p = after_low;
        }
        if (is_high_surrogate(unit) || is_low_surrogate(unit))
                unit = 0xfffd;
        *out_size = (size_t)g_unichar_to_utf8(unit, utf8);
        return p;
}

bool
json_spelling_equals(const char *spelling, size_t spelling_length, JsonLevel level, const char *expected,
                     size_t expected_length)
{
        const char *end = spelling + spelling_length;
        size_t done = 0;
        for (const char *p = spelling; p < end;) {
                char utf8[6];
                size_t size;
                p = read_character(p, end, level, utf8, &size);
                if (!p || size > expected_length - done || memcmp(utf8, expected + done, size) != 0)
                        return false;
                done += size;
        }
        return done == expected_length;
}

size_t
json_value_copy(const JsonValue *value, char *buffer, size_t size)
{
        const char *end = value->text + value->length;
        size_t length = 0;
        for (const char *p = value->text; p && p < end;) {
                char utf8[6];
                size_t utf8_size;
                p = read_character(p, end, value->level, utf8, &utf8_size);
                if (!p)
                        break;
                if (length < size)
                        memcpy(buffer + length, utf8, MIN(utf8_size, size - length));
                length += utf8_size;
        }
        return length;
}
