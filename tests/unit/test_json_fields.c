/* SPDX-License-Identifier: MIT */
#include "router/json_scan.h"

#include <string.h>

/*
 * What pointers find, however keys and values are spelled, in the body and inside "oslo.message".
 */

/* A body whose "oslo.message" is spelled so, and the same in a C string. */
#define ENVELOPE(inner) "{\"oslo.version\": \"2.0\", \"oslo.message\": \"" inner "\"}"

static void
scan(const char *text, size_t length, JsonLevel level, const char *pointer, JsonResult *out_result)
{
        g_autoptr(JsonFields) fields = json_fields_new();
        g_autoptr(JsonScratch) scratch = json_scratch_new();
        g_assert_cmpint(json_fields_add(fields, level, pointer), ==, 0);
        /* A block of just that size lets the address sanitizer see a byte read too far. */
        g_autofree char *exact = g_malloc(length + 1);
        memcpy(exact + 1, text, length);
        json_scan(fields, scratch, exact + 1, length, out_result);
        if (out_result->values[0].kind == JSON_VALUE_STRING)
                out_result->values[0].text = text + (out_result->values[0].text - (exact + 1));
}

typedef struct {
        JsonLevel level;
        const char *pointer;
        const char *text;
        const char *expect; /* the string; or "-" absent, "?" other kind, "!" ambiguous */
} Row;

#define OUTER JSON_OUTER
#define INNER JSON_INNER

static const Row rows[] = {
    {OUTER, "/cluster", "{\"cluster\":\"east\"}", "east"},
    {OUTER, "/cluster", "{\"cluster\":\"east\",\"z\":{\"cluster\":\"west\"},\"y\":[\"cluster\"]}", "east"},
    {OUTER, "/cluster", "{\"z\":{\"cluster\":\"west\"}}", "-"},
    {OUTER, "/cluster", "{\"cluster\":null}", "-"},
    {OUTER, "/cluster", "{\"cluster\":\"\"}", ""},
    {OUTER, "/cluster", "{\"cluster\":7}", "?"},
    {OUTER, "/cluster", "{\"cluster\":true}", "?"},
    {OUTER, "/cluster", "{\"cluster\":{}}", "?"},
    {OUTER, "/cluster", "{\"cluster\":[\"east\"]}", "?"},
    {OUTER, "/cluster", "[\"cluster\"]", "-"},
    {OUTER, "", "{}", "?"},
    {OUTER, "", "[1]", "?"},
    {OUTER, "/", "{\"\":\"east\"}", "east"},
    {OUTER, "/a//b", "{\"a\":{\"\":{\"b\":\"east\"}}}", "east"},
    {OUTER, "/a/b/c", "{\"a\":{\"x\":{\"c\":1},\"b\":{\"a\":{},\"c\":\"east\"}}}", "east"},
    {OUTER, "/a/b", "{\"a\":\"b\"}", "-"},
    {OUTER, "/a/b", "{\"a\":[\"b\"]}", "-"},
    {OUTER, "/a~1b~0c", "{\"a/b~c\":\"east\"}", "east"},
    {OUTER, "/a~01", "{\"a~1\":\"east\"}", "east"},
    {OUTER, "/1", "[\"a\",\"east\",\"c\"]", "east"},
    {OUTER, "/3", "[\"a\",\"b\",\"c\"]", "-"},
    {OUTER, "/01", "[\"a\",\"b\"]", "-"},
    {OUTER, "/-", "[\"a\"]", "-"},
    {OUTER, "/1", "{\"1\":\"east\"}", "east"},
    {OUTER, "/a/1/0", "{\"a\":[[\"x\"],[\"east\"],[\"y\"]]}", "east"},
    {OUTER, "/a/1/b", "{\"a\":[{\"b\":1},{\"b\":\"east\"}]}", "east"},
    {OUTER, "/18446744073709551616", "[\"a\"]", "-"},
    /* spelling */
    {OUTER, "/cluster", "{\"clus\\u0074er\":\"east\"}", "east"},
    {OUTER, "/cluster", "{\"cluster\":\"e\\u0061st\"}", "east"},
    {OUTER, "/a/b", "{\"a\\/b\":\"west\",\"\\u0061\":{\"\\u0062\":\"east\"}}", "east"},
    {OUTER, "/caf\xc3\xa9", "{\"caf\\u00e9\":\"\\ud83d\\ude00\\n\"}", "\xf0\x9f\x98\x80\n"},
    {OUTER, "/x", "{\"x\":\"\\ud800\"}", "\xef\xbf\xbd"},
    {OUTER, "/x", "{\"x\":\"\\ud800\\ud83d\\ude00\"}", "\xef\xbf\xbd\xf0\x9f\x98\x80"},
    {OUTER, "/x", "{\"x\":\"\xff\\u0041\"}",
     "\xff"
     "A"},
    {OUTER, "/cluster", "{\"cluster\\u0000\":\"east\"}", "-"},
    {OUTER, "/0123456789abcdef0123456789abcdef",
     "{\"0123456789abcdef0123456789abcdef\":\"0123456789abcdef\\\"\"}", "0123456789abcdef\""},
    /* two keys of one name */
    {OUTER, "/cluster", "{\"cluster\":\"east\",\"cluster\":\"west\"}", "!"},
    {OUTER, "/cluster", "{\"cluster\":\"east\",\"clus\\u0074er\":\"east\"}", "!"},
    {OUTER, "/cluster", "{\"cluster\":null,\"cluster\":\"west\"}", "!"},
    {OUTER, "/a/b", "{\"a\":{\"b\":\"east\"},\"a\":{}}", "!"},
    {OUTER, "/a/b", "{\"a\":1,\"a\":{\"b\":\"east\"}}", "!"},
    {OUTER, "/a/b", "{\"a\":{\"b\":\"east\",\"c\":1,\"c\":2},\"d\":1,\"d\":2}", "east"},
    {OUTER, "/a/0/b", "{\"a\":[{\"b\":\"east\"},{\"b\":\"west\"}]}", "east"},
    /* the oslo envelope */
    {INNER, "/a/b", ENVELOPE("{\\\"a\\\": {\\\"b\\\": \\\"east\\\"}}"), "east"},
    {INNER, "/a", ENVELOPE("{\\\"a\\\": \\\"caf\\\\u00e9 \\\\\\\"q\\\\\\\"\\\"}"), "caf\xc3\xa9 \"q\""},
    {INNER, "/a", ENVELOPE("{\\\"a\\\": \\\"caf\\u00e9 \xc3\xa9\\\"}"), "caf\xc3\xa9 \xc3\xa9"},
    {INNER, "/a", ENVELOPE("{\\\"a\\\": \\\"\\\\\\\\ \\\\/ \\/ \\\\n\\\"}"), "\\ / / \n"},
    {INNER, "/a", ENVELOPE("{\\\"a\\\": \\\"\\ud83d\\ude00 \\\\ud83d\\\\ude00\\\"}"),
     "\xf0\x9f\x98\x80 \xf0\x9f\x98\x80"},
    {INNER, "/a", ENVELOPE("\\u007b\\u0022a\\u0022\\u003a\\u0022east\\u0022\\u007d"), "east"},
    {INNER, "/a", ENVELOPE("{\\\"a\\\": \\\"\\u005cu0065ast\\\"}"), "east"},
    {INNER, "/a", ENVELOPE("{\\\"a\\\": \\\"\\u005c\\u0075\\u0030065ast\\\"}"), "east"},
    {INNER, "/a", ENVELOPE("{\\n\\t\\\"\\\\u0061\\\"\\r\\n:\\u0020 \\\"east\\\"\\n}\\n"), "east"},
    {INNER, "/a/1", ENVELOPE("{\\\"a\\\": [-1.5e3, \\\"east\\\", null]}"), "east"},
    {INNER, "/a", ENVELOPE("{\\\"a\\\": null}"), "-"},
    {INNER, "/a", ENVELOPE("{\\\"a\\\": -1\\u0032.5}"), "?"},
    {INNER, "/a", ENVELOPE("{\\\"a\\\": \\u006eull, \\\"b\\\": t\\u0072ue}"), "-"},
    {INNER, "/a", ENVELOPE("{\\\"a\\\": \\\"east\\\", \\\"a\\\": \\\"east\\\"}"), "!"},
    {INNER, "", ENVELOPE("[1, NaN, -Infinity]"), "?"},
    {INNER, "/a", "{\"oslo\\u002emessage\":\"{\\\"a\\\":\\\"east\\\"}\",\"oslo.version\":\"2.0\"}", "east"},
    {OUTER, "/oslo.message", ENVELOPE("{\\\"a\\\":1}"), "{\"a\":1}"},
};

static void
test_row(gconstpointer data)
{
        const Row *row = data;
        JsonResult result;
        char buffer[64];
        scan(row->text, strlen(row->text), row->level, row->pointer, &result);
        g_assert_cmpint(row->level == JSON_OUTER ? result.outer : result.inner, ==, JSON_TEXT_OK);
        const JsonValue *value = &result.values[0];
        if (value->kind != JSON_VALUE_STRING) {
                static const char marks[] = "- ?!";
                g_assert_true(row->expect[0] == marks[value->kind]);
                return;
        }
        size_t length = json_value_copy(value, buffer, sizeof(buffer));
        g_assert_cmpmem(buffer, length, row->expect, strlen(row->expect));
        g_assert_cmpint(value->escaped, ==, memchr(value->text, '\\', value->length) != NULL);
}

static void
test_outer_and_inner_together(void)
{
        g_autoptr(JsonFields) fields = json_fields_new();
        g_autoptr(JsonScratch) scratch = json_scratch_new();
        const char *body = "{\"oslo.message\":\"{\\\"a\\\":\\\"in\\\"}\",\"a\":\"out\"}";
        g_assert_cmpint(json_fields_add(fields, JSON_OUTER, "/a"), ==, 0);
        g_assert_cmpint(json_fields_add(fields, JSON_INNER, "/a"), ==, 1);
        g_assert_cmpint(json_fields_add(fields, JSON_OUTER, "/oslo.message"), ==, 2);
        g_assert_cmpint(json_fields_add(fields, JSON_INNER, "/a"), ==, 3);
        JsonResult result;
        json_scan(fields, scratch, body, strlen(body), &result);
        g_assert_cmpmem(result.values[0].text, result.values[0].length, "out", 3);
        g_assert_cmpmem(result.values[1].text, result.values[1].length, "in", 2);
        g_assert_cmpmem(result.values[3].text, result.values[3].length, "in", 2);
        g_assert_cmpint(result.values[2].kind, ==, JSON_VALUE_STRING);
        g_assert_true(result.values[2].escaped);
}

static void
test_copy_is_cut_not_overrun(void)
{
        JsonValue value = {
            .kind = JSON_VALUE_STRING, .text = "a\\ud83d\\ude00", .length = 13, .escaped = true};
        char buffer[8] = "XXXXXXX";
        g_assert_cmpuint(json_value_copy(&value, buffer, 3), ==, 5);
        g_assert_cmpmem(buffer, 4, "a\xf0\x9fX", 4);
}

static void
test_refuses_bad_pointers(void)
{
        g_autoptr(JsonFields) fields = json_fields_new();
        g_assert_cmpint(json_fields_add(fields, JSON_OUTER, "a"), ==, -1);
        g_assert_cmpint(json_fields_add(fields, JSON_OUTER, "/a~"), ==, -1);
        g_assert_cmpint(json_fields_add(fields, JSON_OUTER, "/a~2"), ==, -1);
        g_autoptr(GString) deep = g_string_new("");
        for (int i = 0; i < JSON_DEPTH_MAX; i++)
                g_string_append(deep, "/a");
        for (int i = 0; i < JSON_FIELDS_MAX; i++)
                g_assert_cmpint(json_fields_add(fields, JSON_INNER, deep->str), ==, i);
        g_assert_cmpint(json_fields_add(fields, JSON_INNER, "/b"), ==, -1);
        g_autoptr(JsonFields) others = json_fields_new();
        g_string_append(deep, "/a");
        g_assert_cmpint(json_fields_add(others, JSON_OUTER, deep->str), ==, -1);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
                g_autofree char *name = g_strdup_printf("/json_fields/finds/row_%02zu", i);
                g_test_add_data_func(name, &rows[i], test_row);
        }
        g_test_add_func("/json_fields/finds_outer_and_inner_fields_in_one_scan",
                        test_outer_and_inner_together);
        g_test_add_func("/json_fields/copy_is_cut_not_overrun", test_copy_is_cut_not_overrun);
        g_test_add_func("/json_fields/refuses_bad_pointers", test_refuses_bad_pointers);
        return g_test_run();
}
