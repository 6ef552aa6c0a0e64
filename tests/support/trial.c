/* SPDX-License-Identifier: MIT */
#include "tests/support/trial.h"
#include "tests/support/live.h"

enum { DEADLINE_MS = 30000 };

const char *const TRIAL_BOTH[] = {"east", "west", NULL};

typedef struct {
        Stage *stage;
        Checker *checker;
} Trial;

bool
trial_set_up(Stage **out_stage, Checker **out_checker, const char *name, const char *conf)
{
        *out_stage = stage_new(name);
        if (*out_stage == NULL)
                return false;
        stage_run(*out_stage, conf);
        *out_checker = checker_new((*out_stage)->url, (*out_stage)->name);
        return true;
}

static bool
has_all(void *data)
{
        Trial *trial = data;
        g_autofree char *east = stage_text(trial->stage, "$N.east");
        g_autofree char *west = stage_text(trial->stage, "$N.west");

        checker_collect(trial->checker, east, "east");
        checker_collect(trial->checker, west, "west");
        return checker_verdict(trial->checker).lost == 0;
}

void
trial_collect(Stage *stage, Checker *checker)
{
        Trial trial = {stage, checker};

        if (!live_wait(DEADLINE_MS, has_all, &trial)) {
                g_autofree char *stats = NULL;
                g_autofree char *log = program_log(stage->router);

                stage_get(stage, "/api/v1/stats", &stats);
                g_error("%" G_GUINT64_FORMAT " messages do not arrive: %s\n%s", checker_verdict(checker).lost,
                        stats, log);
        }
        stage_wait_count(stage, "$N", 0);
        stage_wait_number(stage, "$N", "in_flight", 0);
        stage_wait_number(stage, "$N", "parked_now", 0);
        g_assert_true(stage_balances(stage, "$N"));
        has_all(&trial); /* copies that came last */
}

void
trial_expect_once(Stage *stage, Checker *checker)
{
        trial_collect(stage, checker);
        stage_wait_number(stage, "$N", "delivered", (int64_t)checker_confirmed(checker));
        checker_assert_safe(checker);
        g_assert_cmpuint(checker_verdict(checker).duplicated_marked, ==, 0);
        g_assert_cmpuint(checker_verdict(checker).delivered, ==, checker_confirmed(checker));
}

void
trial_expect_perfect(Stage *stage, Checker *checker)
{
        trial_expect_once(stage, checker);
        checker_assert_perfect(checker);
}
