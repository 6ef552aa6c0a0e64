/* SPDX-License-Identifier: MIT */
#include "router/reason.h"

static const struct {
        const char *code;
        const char *meaning;
} reasons[REASON_COUNT] = {
#define REASON_ROW(id, code, meaning) [REASON_##id] = {code, meaning},
    REASONS(REASON_ROW)
#undef REASON_ROW
};

const char *
reason_code(Reason reason)
{
        return reasons[reason].code;
}

const char *
reason_meaning(Reason reason)
{
        return reasons[reason].meaning;
}
