/* SPDX-License-Identifier: MIT */
#include "router/json_scan.h"
#include "tests/bench/rivals.h"

#include <glib.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/*
 * How fast the scanner and general parsers read each message given on the command line (files as in
 * tests/data). Not a test; run it on a quiet machine. Prints for each message its name, its length, and for
 * each contender the nanoseconds per message in the median of the rounds, "-" for what is no oslo.messaging
 * envelope.
 */

enum { ROUNDS = 15, ROUND_US = 10000, BATCH = 20 };

/* The pointers of a route that looks for the cluster of a volume request, and what makes it a call. */
static const char *const pointers[] = {
    "/args/filter_properties/scheduler_hints/cluster",
    "/args/volume/versioned_object.data/availability_zone",
    "/_msg_id",
    "/_reply_q",
    "/_unique_id",
};

static JsonFields *fields;
static JsonScratch *scratch;

static int
find_with_scanner(const char *body, size_t length)
{
        JsonResult result;
        int found = 0;

        json_scan(fields, scratch, body, length, &result);
        for (size_t i = 0; i < G_N_ELEMENTS(pointers); i++)
                found += result.values[i].kind == JSON_VALUE_STRING;
        return result.inner == JSON_TEXT_OK ? found : -1;
}

static const Rival scanner = {"scanner", find_with_scanner};

static const Rival *const contenders[] = {
    &scanner,
    &rival_jansson,
    &rival_cjson,
    &rival_simdjson,
};

static int
compare_doubles(const void *a, const void *b)
{
        double x = *(const double *)a;
        double y = *(const double *)b;
        return (x > y) - (x < y);
}

static double
round_ns(const Rival *contender, const char *body, size_t length)
{
        unsigned count = 0;
        int64_t begin_us = g_get_monotonic_time();
        int64_t spent_us;
        do {
                for (int i = 0; i < BATCH; i++)
                        contender->find(body, length);
                count += BATCH;
                spent_us = g_get_monotonic_time() - begin_us;
        } while (spent_us < ROUND_US);
        return 1000.0 * (double)spent_us / count;
}

/* Contenders take turns, so that what disturbs the machine disturbs all. */
static void
measure(const char *name, const char *body, size_t length)
{
        double ns[G_N_ELEMENTS(contenders)][ROUNDS];
        int expected = find_with_scanner(body, length);
        printf("%s %zu", name, length);
        for (size_t c = 0; c < G_N_ELEMENTS(contenders); c++) {
                if (contenders[c]->find(body, length) != expected)
                        g_error("%s: %s finds other fields", name, contenders[c]->name);
        }
        for (int i = 0; i < ROUNDS; i++) {
                for (size_t c = 0; c < G_N_ELEMENTS(contenders); c++)
                        ns[c][i] = round_ns(contenders[c], body, length);
        }
        for (size_t c = 0; c < G_N_ELEMENTS(contenders); c++) {
                qsort(ns[c], ROUNDS, sizeof(ns[c][0]), compare_doubles);
                printf(c > 0 && expected < 0 ? " -" : " %.0f", ns[c][ROUNDS / 2]);
        }
        printf("\n");
        fflush(stdout);
}

static void
measure_file(const char *path)
{
        json_error_t error;
        json_t *message = json_load_file(path, 0, &error);
        const char *text = json_string_value(json_object_get(message, "body"));
        size_t length = json_string_length(json_object_get(message, "body"));
        if (!text)
                g_error("%s: no message with a body", path);
        g_autofree char *body = g_malloc0(length + RIVAL_PADDING_BYTES);
        g_autofree char *name = g_path_get_basename(path);
        memcpy(body, text, length);
        measure(name, body, length);
        json_decref(message);
}

int
main(int argc, char **argv)
{
        fields = json_fields_new();
        scratch = json_scratch_new();
        for (size_t i = 0; i < G_N_ELEMENTS(pointers); i++) {
                if (json_fields_add(fields, JSON_INNER, pointers[i]) < 0)
                        g_error("the scanner refuses pointer %s", pointers[i]);
        }
        printf("message bytes");
        for (size_t c = 0; c < G_N_ELEMENTS(contenders); c++)
                printf(" %s", contenders[c]->name);
        printf("\n");
        for (int i = 1; i < argc; i++)
                measure_file(argv[i]);
        json_fields_free(fields);
        json_scratch_free(scratch);
        return 0;
}
