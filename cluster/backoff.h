/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

/*
 * How long to wait before the next attempt: doubles from @first_ms to @max_ms, each time with 50 to 100 % of
 * that, so that many clients of one lost server do not come back in step. Plain value, one thread.
 */
typedef struct {
        int64_t first_ms;
        int64_t max_ms;
        int64_t step_ms;
} Backoff;

void backoff_init(Backoff *backoff, int64_t first_ms, int64_t max_ms);

/* The wait before the next attempt; the one after it will be longer. */
int64_t backoff_next_ms(Backoff *backoff);

/* After a success: the next wait is the first one again. */
void backoff_reset(Backoff *backoff);
