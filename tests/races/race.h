/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <stdbool.h>

/*
 * Whether the thread sanitizer reports a race in a test case of this program, which runs in a process of its
 * own: what is reported ends it. Fails the test if it ends otherwise.
 */
static inline bool
race_is_found(const char *subprocess)
{
        g_autofree char *options =
            g_strconcat(g_getenv("TSAN_OPTIONS") ?: "", ":halt_on_error=1:log_path=stderr", NULL);

        g_setenv("TSAN_OPTIONS", options, TRUE);
        g_test_trap_subprocess(subprocess, 0, G_TEST_SUBPROCESS_DEFAULT);
        if (g_test_trap_has_passed())
                return false;
        g_test_trap_assert_stderr("*WARNING: ThreadSanitizer: data race*");
        return true;
}
