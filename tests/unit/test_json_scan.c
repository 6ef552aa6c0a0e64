/* SPDX-License-Identifier: MIT */
#include "router/json_scan.h"

#include <string.h>

/*
 * What is JSON and what is not, in the body and in the text inside "oslo.message". What pointers find is in
 * test_json_fields.c; real messages and mutations are in test_json_messages.c.
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

/* ---- what is JSON ---- */

static JsonText
judge(const char *text)
{
        JsonResult result;
        scan(text, strlen(text), JSON_OUTER, "/x", &result);
        return result.outer;
}

static JsonText
judge_inner(const char *spelling)
{
        JsonResult result;
        g_autofree char *body = g_strdup_printf(ENVELOPE("%s"), spelling);
        scan(body, strlen(body), JSON_INNER, "/x", &result);
        g_assert_cmpint(result.outer, ==, JSON_TEXT_OK);
        return result.inner;
}

static void
expect_all(JsonText (*judge_text)(const char *text), const char *const *texts, JsonText expected)
{
        for (; *texts; texts++) {
                JsonText judged = judge_text(*texts);
                if (judged != expected)
                        g_error("%s is judged %d instead of %d", *texts, judged, expected);
        }
}

static void
test_accepts_json(void)
{
        static const char *const texts[] = {"{}",
                                            "[]",
                                            " \t\r\n{ } \n",
                                            "[1]",
                                            "[-0, 0.5, 1e5, 1E+05, 1.25e-7, 10, 123456789012345678901234]",
                                            "[1e999999, -1E400]",
                                            "{\"a\":{\"b\":[{},[],\"\",null,true,false]}}",
                                            "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"]",
                                            "{\"\":\"\"}",
                                            "[\"\x7f\"]",
                                            "[[[[]],[[]]],{}]",
                                            "{\"a\" : 1 , \"b\" : 2 }",
                                            "{\n        \"a\":                 1\n         }\n        ",
                                            NULL};
        expect_all(judge, texts, JSON_TEXT_OK);
}

static void
test_documented_leniences(void)
{
        static const char *const texts[] = {"[NaN, Infinity, -Infinity]",
                                            "[\"\\ud800\", \"\\udc00x\", \"\\ud800\\u0041\"]",
                                            "[\"\\u0000\"]",
                                            "{\"\\u0000\":1}",
                                            "[\"\xff\xc0\x80\xed\xa0\x80\"]",
                                            "{\"x\":1,\"x\":2}",
                                            NULL};
        expect_all(judge, texts, JSON_TEXT_OK);
}

static const char *const broken_texts[] = {"{",
                                           "{                \n        ",
                                           "{\"a\":1}         2",
                                           "[",
                                           "{\"",
                                           "{\"a",
                                           "{\"a\"",
                                           "{\"a\":",
                                           "{\"a\":1",
                                           "{\"a\":1,",
                                           "{\"a\":1,}",
                                           "[1,]",
                                           "[,1]",
                                           "[1 2]",
                                           "{\"a\" 1}",
                                           "{\"a\":1 \"b\":2}",
                                           "{a:1}",
                                           "{'a':1}",
                                           "{1:1}",
                                           "[}",
                                           "{]",
                                           "[1}",
                                           "{\"a\":1]",
                                           "{}}",
                                           "[]]",
                                           "{} {}",
                                           "[]x",
                                           "{},",
                                           "[01]",
                                           "[-]",
                                           "[+1]",
                                           "[.5]",
                                           "[1.]",
                                           "[1e]",
                                           "[1e+]",
                                           "[1.e5]",
                                           "[--1]",
                                           "[0x10]",
                                           "[1a]",
                                           "[nul]",
                                           "[nulll]",
                                           "[True]",
                                           "[tru",
                                           "[NAN]",
                                           "[+Infinity]",
                                           "[-NaN]",
                                           "[-Infinit]",
                                           "[\"\\x\"]",
                                           "[\"\\u12\"]",
                                           "[\"\\u12g4\"]",
                                           "[\"\\",
                                           "[\"\\u",
                                           "[\"\n\"]",
                                           "[\"\t\"]",
                                           "[\"\x01\"]",
                                           "[\"]",
                                           "[1]\x0b",
                                           "[/**/1]",
                                           "[1\\n]",
                                           "\xef\xbb\xbf{}",
                                           "\xef\xbb\xbf []",
                                           "{\"a\":,}",
                                           "{:1}",
                                           "{,}",
                                           "[\"a\",]",
                                           "{\"a\":1,\"b\"}",
                                           "[\v1]",
                                           NULL};

static void
test_refuses_broken_json(void)
{
        expect_all(judge, broken_texts, JSON_TEXT_BROKEN);
}

static void
test_not_json(void)
{
        static const char *const texts[] = {"",
                                            " ",
                                            "\n",
                                            "null",
                                            "1",
                                            "\"x\"",
                                            "\"{}\"",
                                            "hello",
                                            "<xml/>",
                                            "\xef\xbb\xbf",
                                            "\xef\xbb",
                                            "}",
                                            "\xef\xbb\xbfhello",
                                            "\x80\x04\x95",
                                            "\x1f\x8b",
                                            NULL};
        expect_all(judge, texts, JSON_TEXT_ABSENT);
}

static void
test_raw_nul_is_broken(void)
{
        JsonResult result;
        scan("{\"x\":\"a\0b\"}", 11, JSON_OUTER, "/x", &result);
        g_assert_cmpint(result.outer, ==, JSON_TEXT_BROKEN);
        scan("{}\0", 3, JSON_OUTER, "/x", &result);
        g_assert_cmpint(result.outer, ==, JSON_TEXT_BROKEN);
        scan("\0{}", 3, JSON_OUTER, "/x", &result);
        g_assert_cmpint(result.outer, ==, JSON_TEXT_ABSENT);
}

static void
test_tells_where_it_broke(void)
{
        JsonResult result;
        scan("{\"x\": 1, \"y\": !}", 16, JSON_OUTER, "/x", &result);
        g_assert_cmpint(result.outer, ==, JSON_TEXT_BROKEN);
        g_assert_cmpuint(result.broken_at, >=, 13);
        g_assert_cmpuint(result.broken_at, <=, 15);
        /* Also behind members that are skipped in one go. */
        static const char cut[] = "{\"a\": null, \"b\": \"some text\", \"c\": true, \"d\": false, \"cut";
        scan(cut, strlen(cut), JSON_OUTER, "/long", &result);
        g_assert_cmpint(result.outer, ==, JSON_TEXT_BROKEN);
        g_assert_cmpuint(result.broken_at, ==, strlen(cut) - strlen("cut"));
}

/* ---- depth ---- */

static void
test_any_depth(void)
{
        static const size_t depths[] = {1, 63, 64, 65, 127, 128, 129, 200000, 1000000};
        for (size_t i = 0; i < G_N_ELEMENTS(depths); i++) {
                size_t n = depths[i];
                JsonResult result;
                g_autofree char *text = g_malloc(2 * n);
                for (size_t k = 0; k < n; k++) {
                        text[k] = '[';
                        text[2 * n - 1 - k] = ']';
                }
                scan(text, 2 * n, JSON_OUTER, "/x", &result);
                g_assert_cmpint(result.outer, ==, JSON_TEXT_OK);
                scan(text, 2 * n - 1, JSON_OUTER, "/x", &result);
                g_assert_cmpint(result.outer, ==, JSON_TEXT_BROKEN);
                text[2 * n - 1 - n / 2] = '}';
                scan(text, 2 * n, JSON_OUTER, "/x", &result);
                g_assert_cmpint(result.outer, ==, JSON_TEXT_BROKEN);
        }
}

static void
test_kinds_of_deep_brackets(void)
{
        g_autoptr(GString) text = g_string_new("{\"x\":\"east\",\"y\":");
        g_autoptr(GString) tail = g_string_new("");
        for (int i = 0; i < 1000; i++) {
                bool object = i % 3 == 0 || i % 7 == 0;
                g_string_append(text, object ? "{\"x\":" : "[0,");
                g_string_prepend_c(tail, object ? '}' : ']');
        }
        g_string_append(text, "1");
        g_string_append(text, tail->str);
        g_string_append(text, "}");
        JsonResult result;
        scan(text->str, text->len, JSON_OUTER, "/x", &result);
        g_assert_cmpint(result.outer, ==, JSON_TEXT_OK);
        g_assert_cmpint(result.values[0].kind, ==, JSON_VALUE_STRING);
        text->str[text->len - 500] ^= '}' ^ ']';
        scan(text->str, text->len, JSON_OUTER, "/x", &result);
        g_assert_cmpint(result.outer, ==, JSON_TEXT_BROKEN);
}

/* ---- the inner text ---- */

static void
test_inner_accepts_json(void)
{
        static const char *const texts[] = {"{}", "[]", " {} ", "\\n{}\\t", "\\u0020[\\u005d", NULL};
        expect_all(judge_inner, texts, JSON_TEXT_OK);
}

static void
test_inner_refuses_broken_json(void)
{
        static const char *const texts[] = {"{",
                                            "{\\\"",
                                            "{\\\"a\\\":1,}",
                                            "{}x",
                                            "{} {}",
                                            "[\\\"\\n\\\"]",
                                            "[\\\"\\u0001\\\"]",
                                            "[\\\"\\\\x\\\"]",
                                            "[\\\"\\\\u12\\\"]",
                                            "[\\\"\\\\",
                                            "[1\\/2]",
                                            "\\ufeff{}",
                                            "\xef\xbb\xbf[]",
                                            "[\\\"a\\\\\\\"]",
                                            "{}\\\"",
                                            "[\\b]",
                                            "[01]",
                                            "[nu\\nll]",
                                            "[\\\"a\\\\",
                                            NULL};
        expect_all(judge_inner, texts, JSON_TEXT_BROKEN);
}

static void
test_inner_not_json(void)
{
        static const char *const texts[] = {"",     "hello",   "1",         "\\\"{}\\\"",
                                            "null", "\\ufeff", "\\u0000{}", NULL};
        expect_all(judge_inner, texts, JSON_TEXT_ABSENT);
}

static void
test_envelope_shapes(void)
{
        static const struct {
                const char *body;
                JsonText inner;
        } shapes[] = {
            {"{\"a\":1}", JSON_TEXT_ABSENT},
            {"[\"oslo.message\"]", JSON_TEXT_ABSENT},
            {"{\"a\":{\"oslo.message\":\"{}\"}}", JSON_TEXT_ABSENT},
            {"[{\"oslo.message\":\"{}\"}]", JSON_TEXT_ABSENT},
            {"{\"oslo.message\":\"{}\"}", JSON_TEXT_OK},
            {"{\"oslo.message\":7}", JSON_TEXT_BROKEN},
            {"{\"oslo.message\":{}}", JSON_TEXT_BROKEN},
            {"{\"oslo.message\":null}", JSON_TEXT_BROKEN},
            {"{\"oslo.message\":\"{}\",\"oslo.message\":\"{}\"}", JSON_TEXT_BROKEN},
            {"{\"oslo.message\":\"x\",\"oslo.message\":\"{}\"}", JSON_TEXT_BROKEN},
            {"{\"oslo.message\":\"{}\"", JSON_TEXT_BROKEN},
            {"{\"a\":1", JSON_TEXT_BROKEN},
            {"hello", JSON_TEXT_ABSENT},
        };
        for (size_t i = 0; i < G_N_ELEMENTS(shapes); i++) {
                JsonResult result;
                scan(shapes[i].body, strlen(shapes[i].body), JSON_INNER, "/x", &result);
                if (result.inner != shapes[i].inner)
                        g_error("%s: inner is %d", shapes[i].body, result.inner);
        }
}

static void
test_inner_is_ignored_unless_asked_for(void)
{
        JsonResult result;
        const char *body = ENVELOPE("{broken");
        scan(body, strlen(body), JSON_OUTER, "/x", &result);
        g_assert_cmpint(result.outer, ==, JSON_TEXT_OK);
        g_assert_cmpint(result.inner, ==, JSON_TEXT_ABSENT);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/json_scan/accepts_all_of_json", test_accepts_json);
        g_test_add_func("/json_scan/is_lenient_only_where_documented", test_documented_leniences);
        g_test_add_func("/json_scan/refuses_broken_json", test_refuses_broken_json);
        g_test_add_func("/json_scan/leaves_alone_what_does_not_begin_as_json", test_not_json);
        g_test_add_func("/json_scan/a_raw_nul_is_not_the_end", test_raw_nul_is_broken);
        g_test_add_func("/json_scan/tells_where_it_broke", test_tells_where_it_broke);
        g_test_add_func("/json_scan/any_depth_is_quick_and_safe", test_any_depth);
        g_test_add_func("/json_scan/remembers_the_kind_of_every_open_bracket", test_kinds_of_deep_brackets);
        g_test_add_func("/json_scan/inner/accepts_json", test_inner_accepts_json);
        g_test_add_func("/json_scan/inner/refuses_broken_json", test_inner_refuses_broken_json);
        g_test_add_func("/json_scan/inner/leaves_alone_what_does_not_begin_as_json", test_inner_not_json);
        g_test_add_func("/json_scan/inner/wants_one_string_at_the_top", test_envelope_shapes);
        g_test_add_func("/json_scan/inner/is_ignored_unless_asked_for",
                        test_inner_is_ignored_unless_asked_for);
        return g_test_run();
}
