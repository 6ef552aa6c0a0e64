/* SPDX-License-Identifier: MIT */
#include "cluster/backoff.h"

#include <glib.h>

void
backoff_init(Backoff *backoff, int64_t first_ms, int64_t max_ms)
{
        backoff->first_ms = MAX(first_ms, 1);
        backoff->max_ms = MAX(max_ms, backoff->first_ms);
        backoff_reset(backoff);
}

int64_t
backoff_next_ms(Backoff *backoff)
{
        int64_t step_ms = backoff->step_ms;
        backoff->step_ms = step_ms > backoff->max_ms / 2 ? backoff->max_ms : step_ms * 2;
        int64_t least_ms = (step_ms + 1) / 2;
        return least_ms + (int64_t)(g_random_double() * (double)(step_ms - least_ms + 1));
}

void
backoff_reset(Backoff *backoff)
{
        backoff->step_ms = backoff->first_ms;
}
