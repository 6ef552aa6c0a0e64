/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Finds a few fields in a JSON text: one pass to the end, no recursion, no copy, no allocation (but for texts
 * nested deeper than any that is meant well). Strict about structure, lenient about what it skips: any
 * number, any depth.
 *
 * It also looks into the oslo.messaging envelope, {"oslo.version": "2.0", "oslo.message": "<JSON as a
 * string>"}, where it reads the inner text through the escapes of the outer one, in the same pass.
 *
 * Pure. A JsonFields may be read by many threads; a JsonScratch belongs to one.
 */

enum { JSON_FIELDS_MAX = 64, JSON_DEPTH_MAX = 32 }; /* fields of one set; tokens of one pointer */

typedef enum { JSON_OUTER, JSON_INNER } JsonLevel; /* in the body; in the text of its "oslo.message" */

typedef enum {
        JSON_VALUE_ABSENT = 0, /* not there, null, or the way leads through what is no object or array */
        JSON_VALUE_STRING,
        JSON_VALUE_OTHER,     /* number, true, false, object or array */
        JSON_VALUE_AMBIGUOUS, /* two keys of one name in one object on the way to it */
} JsonKind;

/* One field found. @text points into the scanned bytes: the string as spelled there, without its quotes. */
typedef struct {
        JsonKind kind;
        const char *text;
        size_t length;
        bool escaped; /* the spelling holds escapes: json_value_copy() undoes them */
        JsonLevel level;
} JsonValue;

/* The compiled set of pointers to look for. */
typedef struct JsonFields JsonFields;

JsonFields *json_fields_new(void);
void json_fields_free(JsonFields *fields); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonFields, json_fields_free)

/* Adds an RFC 6901 pointer; returns its index in the results, or -1 if it is malformed, too deep or one too
 * many. */
int json_fields_add(JsonFields *fields, JsonLevel level, const char *pointer) G_GNUC_WARN_UNUSED_RESULT;

/* Memory for texts nested deeper than usual; reused from text to text. */
typedef struct JsonScratch JsonScratch;
JsonScratch *json_scratch_new(void);
void json_scratch_free(JsonScratch *scratch); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonScratch, json_scratch_free)

typedef enum {
        JSON_TEXT_ABSENT, /* does not begin as a JSON object or array (for INNER: also no "oslo.message") */
        JSON_TEXT_OK,
        JSON_TEXT_BROKEN, /* begins as JSON, maybe after a byte order mark, and is broken somewhere (for
                             INNER: also an "oslo.message" that is no string, or two, or a broken body) */
} JsonText;

typedef struct {
        JsonText outer;
        JsonText inner;                    /* ABSENT if no pointer of level JSON_INNER was added */
        size_t broken_at;                  /* offset of the first error, if any is BROKEN */
        JsonValue values[JSON_FIELDS_MAX]; /* by index; meaningless for a level that is not OK */
} JsonResult;

/* Scans @text (not NULL) to its end. @out_result is filled for exactly as many values as @fields has. */
void json_scan(const JsonFields *fields, JsonScratch *scratch, const char *text, size_t length,
               JsonResult *out_result);

/*
 * Writes the string with its escapes undone, as UTF-8, to @buffer (no terminating NUL), at most @size bytes.
 * Returns the full length, which is larger than @size if it did not fit. A lone surrogate becomes U+FFFD.
 */
size_t json_value_copy(const JsonValue *value, char *buffer, size_t size) G_GNUC_WARN_UNUSED_RESULT;
