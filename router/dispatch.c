/* SPDX-License-Identifier: MIT */

/*
 * Nothing here knows of connections or of flow states: a lane may still put the message behind others in a
 * parking queue, and the broker may still return it.
 */

#include "router/dispatch.h"
#include "cluster/rendezvous.h"
#include "router/answer.h"
#include "router/flow.h"

#include <amqp_framing.h>
#include <string.h>

void
dispatch_read(Delivery *delivery, EnvelopeReader *reader, const View *view, Envelope *out_envelope,
              SourceAnswer *out_answers)
{
        const amqp_basic_properties_t *properties = delivery->message->properties;
        EnvelopeInput input = {.exchange = delivery->provenance.exchange,
                               .key = delivery->provenance.key,
                               .body = delivery->message->body};

        if (properties->_flags & AMQP_BASIC_HEADERS_FLAG)
                input.headers = &properties->headers;
        if (properties->_flags & AMQP_BASIC_REPLY_TO_FLAG)
                input.reply_to = properties->reply_to;
        envelope_explain(reader, view, &input, out_envelope, out_answers);
        delivery->has_affinity = out_envelope->has_affinity;
        delivery->affinity = out_envelope->affinity;
        if (out_envelope->kind == ENVELOPE_UNKNOWN &&
            g_utf8_validate_len(out_envelope->value, out_envelope->value_length, NULL))
                delivery->claimed = g_strndup(out_envelope->value, out_envelope->value_length);
}

void
dispatch_choose_host(Delivery *delivery, const ConfRoute *route, const ViewCluster *cluster)
{
        if (!cluster)
                return;
        if (route->mode == CONF_MODE_TAG)
                delivery->tag_hosts = g_strdup(cluster->usable_text);
        if (cluster->usable->len > 0 && (strstr(route->exchange, "{host}") || strstr(route->key, "{host}"))) {
                const ViewHost *host =
                    delivery->has_affinity
                        ? rendezvous_pick(cluster, delivery->affinity)
                        : g_ptr_array_index(cluster->usable, delivery->arrival % cluster->usable->len);

                delivery->host = g_strdup(host->name);
        }
}

bool
dispatch_answer(Delivery *delivery, const Envelope *envelope, const char *cluster, Reason reason,
                int64_t now_unix_ms)
{
        g_autofree char *address = answer_address(envelope, delivery->message);

        if (!address)
                return false;

        Message *answer = answer_new(envelope, delivery->message, address, cluster, reason);

        answer->tag = delivery->message->tag;
        message_free(delivery->message);
        delivery->message = answer;
        provenance_read(answer, false, now_unix_ms, &delivery->provenance);
        delivery->expires_us = 0;
        delivery->unique_id = (JsonValue){0}; /* it pointed into the request */
        return true;
}

bool
dispatch_is_tagged(const Delivery *delivery, const ConfRoute *route)
{
        return route->mode == CONF_MODE_TAG && delivery->target->kind == TARGET_DESTINATION &&
               delivery->tag_hosts;
}

/* For people who look into a parking or dead queue. */
static const char *
cluster_note(const Delivery *delivery)
{
        const Flow *flow = delivery->target->flow ? delivery->target->flow : delivery->origin;

        if (flow && *flow->name)
                return flow->name;
        return delivery->claimed;
}

PublicationNotes
dispatch_notes(const Delivery *delivery, const ConfRoute *route, uint64_t seq, int64_t now_us,
               int64_t now_unix_ms)
{
        const Target *target = delivery->target;
        bool tagged = dispatch_is_tagged(delivery, route);

        return (PublicationNotes){.seq = seq,
                                  .possible_duplicate = delivery->doubtful,
                                  .ttl_ms = delivery_ttl_ms(delivery, now_us),
                                  .stored = target->kind == TARGET_PARKING || target->kind == TARGET_DEAD,
                                  .reason = delivery->reason,
                                  .route = route,
                                  .cluster = cluster_note(delivery),
                                  .tag_cluster = tagged ? target->cluster : NULL,
                                  .tag_hosts = tagged ? delivery->tag_hosts : NULL,
                                  .now_unix_ms = now_unix_ms,
                                  .to_host = target->kind == TARGET_DESTINATION &&
                                             conf_route_has_host_queues(route)};
}
