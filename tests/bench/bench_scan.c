/* SPDX-License-Identifier: MIT */
#include "router/json_scan.h"

#include <glib.h>
#include <jansson.h>
#include <stdio.h>

/*
 * How fast the scanner reads each message given on the command line (files as in tests/data): time per
 * message in the best and in the median of several rounds, bytes per second by the median. Not a test; run it
 * on a quiet machine.
 */

enum { ROUNDS = 15, ROUND_US = 20000 };

/* The pointers of a route that looks for the cluster of a volume request, and what makes it a call. */
static const char *const pointers[] = {
    "/args/filter_properties/scheduler_hints/cluster",
    "/args/volume/versioned_object.data/availability_zone",
    "/_msg_id",
    "/_reply_q",
    "/_unique_id",
};

static int
compare_doubles(const void *a, const void *b)
{
        double x = *(const double *)a;
        double y = *(const double *)b;
        return (x > y) - (x < y);
}

static double
round_ns(const JsonFields *fields, JsonScratch *scratch, const char *body, size_t length)
{
        JsonResult result;
        unsigned count = 0;
        int64_t begin_us = g_get_monotonic_time();
        int64_t spent_us;
        do {
                for (int i = 0; i < 100; i++)
                        json_scan(fields, scratch, body, length, &result);
                count += 100;
                spent_us = g_get_monotonic_time() - begin_us;
        } while (spent_us < ROUND_US);
        return 1000.0 * (double)spent_us / count;
}

static void
measure(const JsonFields *fields, JsonScratch *scratch, const char *path)
{
        json_error_t error;
        json_t *message = json_load_file(path, 0, &error);
        const char *body = json_string_value(json_object_get(message, "body"));
        size_t length = json_string_length(json_object_get(message, "body"));
        if (!body) {
                fprintf(stderr, "%s: no message with a body\n", path);
                json_decref(message);
                return;
        }
        double ns[ROUNDS];
        for (int i = 0; i < ROUNDS; i++)
                ns[i] = round_ns(fields, scratch, body, length);
        qsort(ns, ROUNDS, sizeof(ns[0]), compare_doubles);
        g_autofree char *name = g_path_get_basename(path);
        printf("%-56s %6zu bytes %7.0f ns best %7.0f ns median %6.2f GB/s\n", name, length, ns[0],
               ns[ROUNDS / 2], (double)length / ns[ROUNDS / 2]);
        json_decref(message);
}

int
main(int argc, char **argv)
{
        g_autoptr(JsonFields) fields = json_fields_new();
        g_autoptr(JsonScratch) scratch = json_scratch_new();
        for (size_t i = 0; i < G_N_ELEMENTS(pointers); i++) {
                if (json_fields_add(fields, JSON_INNER, pointers[i]) < 0)
                        g_error("the scanner refuses pointer %s", pointers[i]);
        }
        for (int i = 1; i < argc; i++)
                measure(fields, scratch, argv[i]);
        return 0;
}
