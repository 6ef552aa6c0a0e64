/* SPDX-License-Identifier: MIT */

/* What a lane tells people. A message is told by its sender's name for it, never by what stands in it. */

#include "router/lane_state.h"

void
lane_log(const Lane *lane, GLogLevelFlags level, const char *cluster, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        g_autofree char *text = g_strdup_vprintf(format, arguments);
        va_end(arguments);
        log_line(level, &(LogPlace){.route = lane->route->name, .cluster = cluster}, "route %s: %s",
                 lane->route->name, text);
}

void
lane_log_message(Lane *lane, const Delivery *delivery, Reason reason, const char *what)
{
        const amqp_basic_properties_t *properties = delivery->message->properties;
        bool has_id = properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG;
        g_autofree char *id =
            has_id ? g_strndup(properties->message_id.bytes, properties->message_id.len) : NULL;
        g_autofree char *shown = id ? g_strescape(id, NULL) : NULL;
        const Flow *flow =
            delivery->target && delivery->target->flow ? delivery->target->flow : delivery->origin;

        if (!log_budget_take(&lane->log_budget))
                return;
        log_line(G_LOG_LEVEL_WARNING,
                 &(LogPlace){.route = lane->route->name,
                             .cluster = flow && *flow->name ? flow->name : NULL,
                             .reason = reason_code(reason),
                             .message_id = id},
                 "route %s: %s (%s)%s%s%s", lane->route->name, what, reason_code(reason),
                 shown ? " [message " : "", shown ? shown : "", shown ? "]" : "");
}
