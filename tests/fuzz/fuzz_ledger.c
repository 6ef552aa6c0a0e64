/* SPDX-License-Identifier: MIT */
#include "tests/support/ledger_model.h"

#include <glib.h>

/* The input is a schedule of events, see ledger_model.h. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        enum { SCHEDULE_MAX = 1000 };

        g_assert_cmpstr(ledger_model_run(data, MIN(size, SCHEDULE_MAX)), ==, NULL);
        return 0;
}
