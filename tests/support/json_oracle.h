/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/json_scan.h"

#include <glib.h>
#include <jansson.h>
#include <string.h>

/*
 * Holds the scanner against jansson, an independent parser: whatever jansson accepts, the scanner must
 * accept, with the same values; where only the scanner accepts, it must be for one of the reasons it
 * documents. In a header, because unit tests and fuzz targets are programs of one file.
 */

static const char *const json_oracle_outer[] = {
    "", "/a", "/cluster", "/a/b", "/a/0", "/a/1/b", "/0", "/oslo.version", "/oslo.message", "/a~1b", "/",
};

#define ORACLE_DATA "versioned_object.data"

static const char *const json_oracle_inner[] = {
    "",
    "/method",
    "/_msg_id",
    "/_reply_q",
    "/_unique_id",
    "/result",
    "/failure",
    "/args",
    "/args/cluster",
    "/args/host",
    "/args/volume/" ORACLE_DATA "/availability_zone",
    "/args/volume/" ORACLE_DATA "/host",
    "/args/volume/" ORACLE_DATA "/metadata/cluster",
    "/args/volume/" ORACLE_DATA "/metadata/note",
    "/args/request_spec/" ORACLE_DATA "/availability_zones/0",
    "/args/request_spec/" ORACLE_DATA "/volume_type/" ORACLE_DATA "/extra_specs/router:cluster",
    "/args/filter_properties/scheduler_hints/cluster",
    "/_context_roles/0",
    "/result/0/name",
    "/a",
    "/a/b",
    "/a/1",
};

enum {
        ORACLE_OUTER = G_N_ELEMENTS(json_oracle_outer),
        ORACLE_ALL = ORACLE_OUTER + G_N_ELEMENTS(json_oracle_inner),
};

typedef struct {
        JsonFields *fields;
        JsonScratch *scratch;
} JsonOracle;

static inline void
json_oracle_init(JsonOracle *oracle)
{
        oracle->fields = json_fields_new();
        oracle->scratch = json_scratch_new();
        for (int i = 0; i < ORACLE_ALL; i++) {
                bool outer = i < ORACLE_OUTER;
                const char *pointer = outer ? json_oracle_outer[i] : json_oracle_inner[i - ORACLE_OUTER];
                if (json_fields_add(oracle->fields, outer ? JSON_OUTER : JSON_INNER, pointer) != i)
                        g_error("the scanner refuses pointer \"%s\"", pointer);
        }
}

static inline void
json_oracle_clear(JsonOracle *oracle)
{
        json_fields_free(oracle->fields);
        json_scratch_free(oracle->scratch);
}

static inline json_t *
json_oracle_step(json_t *value, const char *token)
{
        if (json_is_object(value))
                return json_object_get(value, token);
        char *end;
        guint64 index = g_ascii_strtoull(token, &end, 10);
        bool is_index = g_ascii_isdigit(*token) && *end == '\0' && (*token != '0' || !token[1]);
        return json_is_array(value) && is_index ? json_array_get(value, index) : NULL;
}

/* What stands in a jansson value at that pointer; NULL if nothing does. */
static inline json_t *
json_oracle_find(json_t *root, const char *pointer)
{
        json_t *value = root;
        while (value && *pointer == '/') {
                size_t length = strcspn(++pointer, "/");
                g_autofree char *spelled = g_strndup(pointer, length);
                g_autoptr(GString) token = g_string_new(spelled);
                g_string_replace(token, "~1", "/", 0);
                g_string_replace(token, "~0", "~", 0);
                value = json_oracle_step(value, token->str);
                pointer += length;
        }
        return value;
}

static inline void
json_oracle_compare(const JsonValue *ours, json_t *theirs, bool duplicates, const char *pointer)
{
        if (ours->kind == JSON_VALUE_AMBIGUOUS) {
                if (!duplicates)
                        g_error("\"%s\" is called ambiguous, but no key is there twice", pointer);
                return;
        }
        JsonKind expected = json_is_string(theirs)            ? JSON_VALUE_STRING
                            : !theirs || json_is_null(theirs) ? JSON_VALUE_ABSENT
                                                              : JSON_VALUE_OTHER;
        if (ours->kind != expected)
                g_error("\"%s\" is of kind %d, expected %d", pointer, ours->kind, expected);
        if (expected != JSON_VALUE_STRING)
                return;
        size_t length = json_value_copy(ours, NULL, 0);
        g_autofree char *text = g_malloc(length + 1);
        size_t again = json_value_copy(ours, text, length);
        if (again != length || length != json_string_length(theirs) ||
            memcmp(text, json_string_value(theirs), length) != 0)
                g_error("\"%s\" has another value than \"%s\"", pointer, json_string_value(theirs));
        if (!ours->escaped && ours->length != length)
                g_error("\"%s\" is called unescaped, but is not", pointer);
}

/* Whether some object of the text has two keys of one name. */
static inline bool
json_oracle_has_duplicates(const char *text, size_t length)
{
        json_error_t error;
        json_t *strict = json_loadb(text, length, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
        json_decref(strict);
        return !strict;
}

static inline bool
json_oracle_holds(const char *text, size_t length, const char *word)
{
        return memmem(text, length, word, strlen(word)) != NULL;
}

/* Whether the scanner may accept what jansson refused with that error. */
static inline bool
json_oracle_may_differ(const json_error_t *error, const char *text, size_t length)
{
        switch (json_error_code(error)) {
        case json_error_invalid_utf8:
        case json_error_null_byte_in_key:
        case json_error_stack_overflow:
        case json_error_numeric_overflow:
                return true;
        default:
                return g_str_has_prefix(error->text, "invalid Unicode") ||
                       json_oracle_holds(text, length, "NaN") || json_oracle_holds(text, length, "Infinity");
        }
}

/* Compares one text of one level; returns what jansson made of it, or NULL. */
static inline json_t *
json_oracle_check_level(const JsonResult *result, JsonLevel level, const char *text, size_t length)
{
        JsonText ours = level == JSON_OUTER ? result->outer : result->inner;
        json_error_t error;
        json_t *root = json_loadb(text, length, JSON_ALLOW_NUL, &error);
        if (!root) {
                if (ours == JSON_TEXT_OK && !json_oracle_may_differ(&error, text, length))
                        g_error("accepted, but jansson says: %s at %d of: %.*s", error.text, error.position,
                                (int)length, text);
                return NULL;
        }
        if (ours != JSON_TEXT_OK && memchr(text, '\0', length)) {
                json_decref(root); /* jansson loses a NUL that stands right after a number or a word */
                return NULL;
        }
        if (ours != JSON_TEXT_OK)
                g_error("refused at %zu, but jansson accepts: %.*s", result->broken_at, (int)length, text);
        bool duplicates = json_oracle_has_duplicates(text, length);
        int from = level == JSON_OUTER ? 0 : ORACLE_OUTER;
        int to = level == JSON_OUTER ? ORACLE_OUTER : ORACLE_ALL;
        for (int i = from; i < to; i++) {
                const char *pointer =
                    i < ORACLE_OUTER ? json_oracle_outer[i] : json_oracle_inner[i - ORACLE_OUTER];
                json_oracle_compare(&result->values[i], json_oracle_find(root, pointer), duplicates, pointer);
        }
        return root;
}

static inline void
json_oracle_check_inner(const JsonResult *result, json_t *outer, bool duplicates)
{
        json_t *message = json_object_get(outer, "oslo.message");
        if (duplicates && result->inner == JSON_TEXT_BROKEN)
                return; /* maybe two of them */
        if (!message && result->inner != JSON_TEXT_ABSENT)
                g_error("an oslo.message is seen where none is");
        if (message && !json_is_string(message) && result->inner != JSON_TEXT_BROKEN)
                g_error("an oslo.message that is no string is not refused");
        if (json_is_string(message))
                json_decref(json_oracle_check_level(result, JSON_INNER, json_string_value(message),
                                                    json_string_length(message)));
}

/* Aborts, saying why, if the scanner and jansson differ on @text. Returns whether jansson accepted it. */
static inline bool
json_oracle_check(const JsonOracle *oracle, const char *text, size_t length)
{
        JsonResult result;
        json_scan(oracle->fields, oracle->scratch, text, length, &result);
        if (result.broken_at > length)
                g_error("broken at %zu of %zu", result.broken_at, length);
        json_t *outer = json_oracle_check_level(&result, JSON_OUTER, text, length);
        if (outer)
                json_oracle_check_inner(&result, outer, json_oracle_has_duplicates(text, length));
        json_decref(outer);
        return outer != NULL;
}
