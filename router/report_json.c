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

char *
report_finish(json_t *document)
{
        char *raw = json_dumps(document, JSON_COMPACT | JSON_REAL_PRECISION(15));
        char *line = g_strconcat(raw, "\n", NULL);

        free(raw);
        json_decref(document);
        return line;
}
