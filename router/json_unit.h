/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/json_scan.h"

#include <glib.h>
#include <stdint.h>

/*
 * One character of a JSON string as spelled: undoes the escapes of one level, or of both. Pure; any thread.
 */

/* Set in a unit that is a byte of the text as it stands (maybe a part of a UTF-8 sequence) and not ASCII. */
#define JSON_UNIT_RAW (UINT32_C(1) << 31)

/*
 * Reads the character at @p (below @end): a byte, or the UTF-16 unit that an escape stands for. With
 * JSON_INNER the character of a string inside the inner text, which may be escaped twice. Quotes and control
 * characters that are not escaped are given as they are with JSON_OUTER, and refused with JSON_INNER, since
 * they end or break the string that holds the inner text. Returns the place after it; NULL if an escape is
 * wrong or cut off.
 */
const char *json_unit_read(const char *p, const char *end, JsonLevel level,
                           uint32_t *out_unit) G_GNUC_WARN_UNUSED_RESULT;

/* True if the string spelled there is @expected. */
bool json_spelling_equals(const char *spelling, size_t spelling_length, JsonLevel level, const char *expected,
                          size_t expected_length);
