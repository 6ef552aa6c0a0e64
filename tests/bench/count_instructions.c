/* SPDX-License-Identifier: MIT */
#include "tests/bench/steps.h"

#include <stdlib.h>
#include <string.h>

/*
 * One case for callgrind, which counts what happens inside measured(); see count_instructions.py.
 *
 *     count_instructions CLUSTERS [CAPTURE]
 */

enum { MESSAGES = 1000 };

void measured(const Steps *steps);

/* Not inlined, so that callgrind finds it. */
__attribute__((noinline)) void
measured(const Steps *steps)
{
        for (unsigned i = 0; i < MESSAGES; i++)
                steps_take(steps, i);
}

int
main(int argc, char **argv)
{
        Steps steps;

        if (argc < 2)
                return 64;

        unsigned clusters = (unsigned)strtoul(argv[1], NULL, 10);

        steps_init(&steps, argc > 2 ? argv[2] : NULL, clusters, clusters);
        measured(&steps);
        steps_clear(&steps);
        return 0;
}
