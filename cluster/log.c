/* SPDX-License-Identifier: MIT */

/*
 * The writer, which is GLib's unless the configuration asks for JSON, decides what becomes of the fields: on
 * a terminal only the text is shown.
 */

#include "cluster/log.h"

enum { FIELDS_MAX = 6, LINES_MAX = 30, PERIOD_US = 10 * G_USEC_PER_SEC };

/* As syslog counts; GLib adds it only to lines without fields. */
static const char *
priority(GLogLevelFlags level)
{
        if (level & G_LOG_LEVEL_WARNING)
                return "4";
        return level & G_LOG_LEVEL_MESSAGE ? "5" : "7";
}

void
log_line(GLogLevelFlags level, const LogPlace *place, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        g_autofree char *text = g_strdup_vprintf(format, arguments);
        va_end(arguments);

        g_autofree char *message_id = place->message_id ? g_strescape(place->message_id, NULL) : NULL;
        const GLogField all[FIELDS_MAX] = {
            {"MESSAGE", text, -1},         {"PRIORITY", priority(level), -1},
            {"ROUTE", place->route, -1},   {"CLUSTER", place->cluster, -1},
            {"REASON", place->reason, -1}, {"AMQP_MESSAGE_ID", message_id, -1},
        };
        GLogField fields[FIELDS_MAX];
        size_t count = 0;

        for (size_t i = 0; i < FIELDS_MAX; i++) {
                if (all[i].value)
                        fields[count++] = all[i];
        }
        g_log_structured_array(level, fields, count);
}

bool
log_budget_take(LogBudget *budget)
{
        int64_t now_us = g_get_monotonic_time();

        if (now_us - budget->began_us > PERIOD_US) {
                if (budget->left_out > 0)
                        g_message("%u lines like those before were left out", budget->left_out);
                *budget = (LogBudget){.began_us = now_us};
        }

        bool allowed = budget->lines < LINES_MAX;

        budget->lines += allowed;
        budget->left_out += !allowed;
        return allowed;
}
