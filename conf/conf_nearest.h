/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * Of @words, the one that @word was probably meant to be: few letters wrong, missing, too many or swapped; or
 * NULL if none is near. The result is borrowed.
 */
const char *conf_nearest(const char *word, const char *const *words);

/* What to say after "X is unknown": `; did you mean "Y"?`, else the words there are, else "". New. */
char *conf_suggest(const char *word, const char *const *words) G_GNUC_WARN_UNUSED_RESULT;
