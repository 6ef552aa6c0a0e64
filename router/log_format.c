/* SPDX-License-Identifier: MIT */

/* Keys are those that people search for; fields of GLib's own are left out. */

#include "router/log_format.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const struct {
        const char *field;
        const char *key;
} keys[] = {
    {"MESSAGE", "message"},
    {"ROUTE", "route"},
    {"CLUSTER", "cluster"},
    {"REASON", "reason"},
    {"AMQP_MESSAGE_ID", "message_id"},
};

static const char *
level_name(GLogLevelFlags level)
{
        if (level & G_LOG_LEVEL_ERROR)
                return "error";
        if (level & G_LOG_LEVEL_CRITICAL)
                return "critical";
        if (level & G_LOG_LEVEL_WARNING)
                return "warning";
        return level & (G_LOG_LEVEL_MESSAGE | G_LOG_LEVEL_INFO) ? "info" : "debug";
}

static void
set_text(json_t *line, const char *key, const GLogField *field)
{
        g_autofree char *valid = g_utf8_make_valid(field->value, field->length);

        json_object_set_new(line, key, json_string(valid));
}

static void
add_field(json_t *line, const GLogField *field)
{
        for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
                if (strcmp(field->key, keys[i].field) == 0)
                        set_text(line, keys[i].key, field);
        }
}

static GLogWriterOutput
write_json(GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer user_data)
{
        if (g_log_writer_default_would_drop(level, NULL))
                return G_LOG_WRITER_HANDLED;

        g_autoptr(GDateTime) now = g_date_time_new_now_utc();
        g_autofree char *time = g_date_time_format_iso8601(now);
        json_t *line = json_pack("{s:s, s:s}", "time", time, "level", level_name(level));

        for (gsize i = 0; i < n_fields; i++)
                add_field(line, &fields[i]);

        char *text = json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER);

        fprintf(stderr, "%s\n", text);
        free(text);
        json_decref(line);
        return G_LOG_WRITER_HANDLED;
}

void
log_format_use(ConfLogFormat format)
{
        if (format == CONF_LOG_JSON)
                g_log_set_writer_func(write_json, NULL, NULL);
}
