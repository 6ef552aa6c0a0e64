/* SPDX-License-Identifier: MIT */
#include "tests/support/capture.h"
#include "tests/support/json_oracle.h"

/*
 * The scanner on real messages: captured ones as they are, cut off, and mutated at random, held against an
 * independent parser.
 */

enum { MUTATIONS = 100000, MUTANT_BYTES = 2600, CUT_BYTES = 4000 };

typedef struct {
        const char *capture;
        const char *pointer;
        const char *expect; /* NULL: absent or null */
} Row;

#define D "versioned_object.data"

static const Row rows[] = {
    {"01", "/args/request_spec/" D "/volume_properties/" D "/availability_zone", "east"},
    {"01", "/args/volume/" D "/availability_zone", "east"},
    {"01", "/args/request_spec/" D "/availability_zones/0", "east"},
    {"01", "/args/request_spec/" D "/volume_properties/" D "/metadata/cluster", "east"},
    {"01", "/args/volume/" D "/metadata/cluster", "east"},
    {"01", "/args/volume/" D "/metadata/note", "caf\xc3\xa9 \"q\""},
    {"01", "/args/filter_properties/scheduler_hints/cluster", "east"},
    {"01", "/args/request_spec/" D "/volume_type/" D "/extra_specs/router:cluster", "east"},
    {"01", "/args/volume/" D "/host", NULL},
    {"01", "/_msg_id", NULL},
    {"02", "/args/volume/" D "/availability_zone", "west"},
    {"02", "/args/filter_properties/scheduler_hints/cluster", NULL},
    {"04", "/args/backend", "east-node@rig#rig"},
    {"04", "/args/volume/" D "/host", "east-node@rig#rig"},
    {"05", "/args/volume/" D "/availability_zone", NULL},
    {"06", "/args/snapshot/" D "/volume/" D "/availability_zone", "east"},
    {"07", "/args/volume/" D "/availability_zone", "east"},
    {"08", "/args/request_spec/volume_properties/availability_zone", "west"},
    {"09", "/args/volume/" D "/host", "west-node@rig#rig"},
    {"10", "/args/volume/" D "/metadata/cluster", "east"},
    {"12", "/args/volume/" D "/metadata/cluster", NULL},
    {"14", "/args/vref/" D "/availability_zone", "east"},
    {"22", "/args/cleanup_request/" D "/host", "east-node@rig"},
    {"30", "/args/request_spec/" D "/resource_backend", "east-node@rig#rig"},
};

static GPtrArray *captures;

static void
test_row(gconstpointer data)
{
        const Row *row = data;
        const Capture *capture = captures_find(captures, row->capture);
        g_autoptr(JsonFields) fields = json_fields_new();
        g_autoptr(JsonScratch) scratch = json_scratch_new();
        JsonResult result;
        char buffer[64];
        g_assert_cmpint(json_fields_add(fields, JSON_INNER, row->pointer), ==, 0);
        json_scan(fields, scratch, capture->body, capture->length, &result);
        g_assert_cmpint(result.outer, ==, JSON_TEXT_OK);
        g_assert_cmpint(result.inner, ==, JSON_TEXT_OK);
        g_assert_cmpint(result.values[0].kind, ==, row->expect ? JSON_VALUE_STRING : JSON_VALUE_ABSENT);
        if (!row->expect)
                return;
        size_t length = json_value_copy(&result.values[0], buffer, sizeof(buffer));
        g_assert_cmpmem(buffer, length, row->expect, strlen(row->expect));
}

static void
test_as_jansson_reads_them(void)
{
        JsonOracle oracle;
        json_oracle_init(&oracle);
        for (unsigned i = 0; i < captures->len; i++) {
                const Capture *capture = captures->pdata[i];
                g_assert_true(json_oracle_check(&oracle, capture->body, capture->length));
        }
        json_oracle_clear(&oracle);
}

static void
test_cut_off(void)
{
        JsonOracle oracle;
        JsonResult result;
        json_oracle_init(&oracle);
        for (unsigned i = 0; i < captures->len; i++) {
                const Capture *capture = captures->pdata[i];
                for (size_t n = 0; n < capture->length && capture->length < CUT_BYTES; n++) {
                        g_autofree char *exact = g_memdup2(capture->body, n);
                        json_scan(oracle.fields, oracle.scratch, exact ? exact : "", n, &result);
                        g_assert_cmpint(result.outer, ==, n == 0 ? JSON_TEXT_ABSENT : JSON_TEXT_BROKEN);
                        g_assert_cmpint(result.inner, !=, JSON_TEXT_OK);
                }
        }
        json_oracle_clear(&oracle);
}

/* ---- mutations ---- */

static const char *const fragments[] = {
    "\"",       "\\",      "\\\"",      "\\\\",       "\\\\\\\"",
    "\\u0022",  "\\u005c", "\\\\u0022", "\\u00e9",    "\\\\n",
    "\\n",      "\\/",     "\\u000a",   "\\ud83d",    "\\ude00",
    "{",        "}",       "[",         "]",          ",",
    ":",        " ",       "null",      "true",       "-",
    "0",        "1e9",     "NaN",       "Infinity",   "\x80",
    "\xc3\xa9", "\n",      "\t",        "{}",         "[]",
    "\"a\":1,", "\"\"",    "\\\"\\\"",  "\\u007b",    "\\\"a\\\":",
    "1E400",    "\\u0000", "\\u0020",   "\\u006eull", "\xef\xbb\xbf",
};

static size_t
random_below(GRand *random, size_t n)
{
        return n == 0 ? 0 : g_rand_int(random) % n;
}

/* Spells one character as an escape, which leaves the meaning of the body as it was, most of the time. */
static void
respell(GString *text, size_t at)
{
        char spelling[8];
        unsigned char byte = (unsigned char)text->str[at];
        if (byte >= 0x80 || byte == '"' || byte == '\\' || (at > 0 && text->str[at - 1] == '\\'))
                return;
        g_snprintf(spelling, sizeof(spelling), "\\u%04x", byte);
        g_string_erase(text, (gssize)at, 1);
        g_string_insert(text, (gssize)at, spelling);
}

/* Copies some bytes of the text to another place of it. */
static void
transplant(GString *text, size_t at, GRand *random)
{
        size_t from = random_below(random, text->len);
        size_t length = random_below(random, MIN(text->len - from, 60) + 1);
        g_autofree char *piece = g_strndup(text->str + from, length);
        g_string_insert_len(text, (gssize)at, piece, (gssize)length);
}

static void
mutate(GString *text, GRand *random)
{
        size_t at = random_below(random, text->len);
        switch (random_below(random, 7)) {
        case 0:
                text->str[at] = (char)g_rand_int_range(random, 0, 256);
                break;
        case 1:
                g_string_erase(text, (gssize)at, (gssize)random_below(random, MIN(text->len - at, 8) + 1));
                break;
        case 2:
        case 3:
                g_string_insert(text, (gssize)at, fragments[random_below(random, G_N_ELEMENTS(fragments))]);
                break;
        case 4:
                transplant(text, at, random);
                break;
        default:
                respell(text, at);
        }
}

static void
test_mutations(void)
{
        JsonOracle oracle;
        unsigned accepted = 0;
        g_autoptr(GRand) random = g_rand_new_with_seed(20240);
        json_oracle_init(&oracle);
        for (unsigned i = 0; i < MUTATIONS; i++) {
                const Capture *capture = captures->pdata[random_below(random, captures->len)];
                if (capture->length > MUTANT_BYTES && i % 50 != 0)
                        capture = captures_find(captures, "11");
                g_autoptr(GString) text = g_string_new_len(capture->body, (gssize)capture->length);
                for (size_t n = 1 + random_below(random, 3); n > 0; n--)
                        mutate(text, random);
                g_autofree char *exact = g_memdup2(text->str, text->len);
                accepted += json_oracle_check(&oracle, exact, text->len);
        }
        json_oracle_clear(&oracle);
        /* Else the mutations are so rough that nothing is compared. */
        g_assert_cmpuint(accepted, >, MUTATIONS / 10);
        g_assert_cmpuint(accepted, <, MUTATIONS / 10 * 9);
}

int
main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        captures = captures_load();
        for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
                g_autofree char *name =
                    g_strdup_printf("/json_messages/finds/%s%s", rows[i].capture, rows[i].pointer);
                g_test_add_data_func(name, &rows[i], test_row);
        }
        g_test_add_func("/json_messages/reads_all_captures_as_jansson_does", test_as_jansson_reads_them);
        g_test_add_func("/json_messages/a_message_cut_off_anywhere_is_never_ok", test_cut_off);
        g_test_add_func("/json_messages/reads_mutated_captures_as_jansson_does", test_mutations);
        int status = g_test_run();
        g_ptr_array_unref(captures);
        return status;
}
