/* SPDX-License-Identifier: MIT */
#include "tests/bench/steps.h"

#include <stdio.h>
#include <stdlib.h>

/*
 * How long it takes to read a message of 512 bytes and decide, with ever more clusters. Prints for each
 * number of clusters the nanoseconds per message in the median of the rounds, twice: if only two of them are
 * ever named, and if all are in turn, so that none of what is known of them stays in the processor's caches.
 */

enum { ROUNDS = 15, MESSAGES = 20000, FEW = 2 };

static const unsigned CLUSTERS[] = {2, 100, 10000};

static int
compare_doubles(const void *a, const void *b)
{
        double x = *(const double *)a;
        double y = *(const double *)b;

        return (x > y) - (x < y);
}

static double
round_ns(const Steps *steps)
{
        int64_t begin_us = g_get_monotonic_time();

        for (unsigned i = 0; i < MESSAGES; i++)
                steps_take(steps, i);
        return 1000.0 * (double)(g_get_monotonic_time() - begin_us) / MESSAGES;
}

static double
median(double *numbers)
{
        qsort(numbers, ROUNDS, sizeof(*numbers), compare_doubles);
        return numbers[ROUNDS / 2];
}

int
main(void)
{
        enum { CASES = G_N_ELEMENTS(CLUSTERS) };
        double few_ns[CASES][ROUNDS], all_ns[CASES][ROUNDS];
        Steps few[CASES], all[CASES];

        for (size_t c = 0; c < CASES; c++) {
                steps_init(&few[c], NULL, CLUSTERS[c], FEW);
                steps_init(&all[c], NULL, CLUSTERS[c], CLUSTERS[c]);
        }
        for (int i = 0; i < ROUNDS; i++) {
                for (size_t c = 0; c < CASES; c++) {
                        few_ns[c][i] = round_ns(&few[c]);
                        all_ns[c][i] = round_ns(&all[c]);
                }
        }
        for (size_t c = 0; c < CASES; c++) {
                printf("%u %.0f %.0f\n", CLUSTERS[c], median(few_ns[c]), median(all_ns[c]));
                steps_clear(&few[c]);
                steps_clear(&all[c]);
        }
        return 0;
}
