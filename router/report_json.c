/* SPDX-License-Identifier: MIT */
/*
 * Every string passes through report_text(), since an error from a library need not be UTF-8 and jansson
 * would drop the whole document for it.
 */
#include "router/report_json.h"

#include <glib.h>

json_t *
report_text(const char *string_or_null)
{
        if (string_or_null == NULL)
                return json_null();
        g_autofree char *valid = g_utf8_make_valid(string_or_null, -1);
        return json_string(valid);
}

json_t *
report_number(uint64_t value)
{
        return json_integer((json_int_t)value);
}

json_t *
report_age_s(int64_t now_us, int64_t then_us)
{
        if (then_us == 0)
                return json_null();
        return json_real((double)(MAX(now_us - then_us, 0) / 1000) / 1000);
}

static int
append(const char *buffer, size_t size, void *text)
{
        g_string_append_len(text, buffer, (gssize)size);
        return 0;
}

void
report_append(GString *text, json_t *part)
{
        int status = json_dump_callback(part, append, text, JSON_COMPACT | JSON_REAL_PRECISION(15));

        g_assert(status == 0);
        json_decref(part);
}

char *
report_finish(json_t *document)
{
        GString *text = g_string_new(NULL);

        report_append(text, document);
        g_string_append_c(text, '\n');
        return g_string_free(text, FALSE);
}
