/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdint.h>

/* What the files report*.c build their documents of. */

json_t *report_text(const char *string_or_null);
json_t *report_number(uint64_t value);
/* Seconds since a monotonic moment; null if it never came (0). */
json_t *report_age_s(int64_t now_us, int64_t then_us);
/* Writes a part of a document behind @text; takes it over. */
void report_append(GString *text, json_t *part);
/* The document as one line of text, new; takes it over. */
char *report_finish(json_t *document);
