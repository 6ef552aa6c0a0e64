/* SPDX-License-Identifier: MIT */
/*
 * What of a message may be shown.
 */
#include "router/ctl/mask.h"

#include "tests/support/capture.h"

#include <string.h>

static char *
shown(const char *body, bool raw)
{
        json_t *document = mask_body(body, strlen(body), raw);
        char *text = json_dumps(document, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
        char *copy = g_strdup(text);

        free(text);
        json_decref(document);
        return copy;
}

static const struct {
        const char *body;
        const char *masked;
        const char *raw; /* NULL: the same */
} rows[] = {
    {"{\"a\":1}", "{\"a\":1}", NULL},
    {"[1,\"x\",null]", "[1,\"x\",null]", NULL},
    {"\"text\"", "\"text\"", NULL},
    {"plain", "\"plain\"", NULL},
    {"", "\"\"", NULL},
    {"{\"Password\":\"x\"}", "{\"Password\":\"***\"}", "{\"Password\":\"x\"}"},
    {"{\"auth_token\":null}", "{\"auth_token\":null}", NULL},
    {"{\"a\":[{\"my_secret\":{\"b\":1}}]}", "{\"a\":[{\"my_secret\":\"***\"}]}",
     "{\"a\":[{\"my_secret\":{\"b\":1}}]}"},
    {"{\"m\":\"{\\\"token\\\": \\\"x\\\"}\"}", "{\"m\":{\"token\":\"***\"}}", "{\"m\":{\"token\":\"x\"}}"},
    {"{\"m\":\"{\\\"token\\\": \\\"x\"}", "{\"m\":\"*** (broken JSON that speaks of secrets)\"}",
     "{\"m\":\"{\\\"token\\\": \\\"x\"}"},
    {"{\"token\": \"x", "\"*** (12 bytes that are no JSON and speak of secrets; see --raw)\"",
     "\"{\\\"token\\\": \\\"x\""},
};

static void
test_rows(void)
{
        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
                g_autofree char *masked = shown(rows[i].body, false);
                g_autofree char *raw = shown(rows[i].body, true);

                g_assert_cmpstr(masked, ==, rows[i].masked);
                g_assert_cmpstr(raw, ==, rows[i].raw ? rows[i].raw : rows[i].masked);
        }
}

/* A marker in the place of every token and catalogue of the captured messages. */
static void
test_captures(void)
{
        g_autoptr(GPtrArray) captures = captures_load();
        unsigned planted = 0;

        for (unsigned i = 0; i < captures->len; i++) {
                const Capture *capture = captures->pdata[i];
                g_autoptr(GString) body = g_string_new(capture->body);

                planted += g_string_replace(body, "_context_auth_token\\\": null",
                                            "_context_auth_token\\\": \\\"LEAK\\\"", 0);
                planted += g_string_replace(body, "_context_service_catalog\\\": []",
                                            "_context_service_catalog\\\": [\\\"LEAK\\\"]", 0);
                g_autofree char *masked = shown(body->str, false);

                g_assert_null(strstr(masked, "LEAK"));
        }
        g_assert_cmpuint(planted, >, 10);
}

static void
test_hostile(void)
{
        g_autoptr(GString) deep = g_string_new(NULL);
        json_t *bytes = mask_body("\xff\xfe\0x", 4, false);

        g_assert_true(json_is_string(bytes));
        json_decref(bytes);
        for (unsigned i = 0; i < 200000; i++)
                g_string_append_c(deep, '[');
        g_autofree char *text = shown(deep->str, false);
        g_assert_nonnull(text);
        g_string_truncate(deep, 1000);
        for (unsigned i = 0; i < 1000; i++)
                g_string_append_c(deep, ']');
        g_autofree char *closed = shown(deep->str, false);
        g_assert_nonnull(strstr(closed, "nested too deep"));
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/mask/secrets_are_hidden_wherever_they_stand", test_rows);
        g_test_add_func("/mask/no_token_of_a_captured_message_is_shown", test_captures);
        g_test_add_func("/mask/hostile_bodies_are_shown_or_described", test_hostile);
        return g_test_run();
}
