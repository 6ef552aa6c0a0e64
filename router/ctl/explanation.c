/* SPDX-License-Identifier: MIT */
/*
 * The envelope tells only the value that decided. To show what every source holds, each is asked once more
 * as if it were the route's only one: the same reader, the same answers.
 */
#include "router/ctl/explanation.h"

#include "conf/conf_policy.h"
#include "router/ctl/fields.h"
#include "router/dispatch.h"
#include "router/flow.h"
#include "router/publication.h"
#include "router/topology.h"

#include <amqp_framing.h>
#include <string.h>

/* What is needed while one message is gone through. */
typedef struct {
        Explanation *out;
        const Conf *conf;
        const ConfRoute *route;
        const View *view;
        Delivery *delivery;
        Flow *flow;     /* of its cluster, or the common one */
        Flow *common;   /* also stands for the queue that a stored message came from */
        Target other;   /* the dead queue, one that a policy names, or the caller's */
        json_t *before; /* headers as received */
        int64_t now_us;
        int64_t now_unix_ms;
} Walk;

/* ---- sources ---- */

static ExplainedSource
ask_alone(const Walk *walk, unsigned number, const EnvelopeInput *input)
{
        ConfRoute alone = *walk->route;
        g_autoptr(GPtrArray) sources = g_ptr_array_new();
        ExplainedSource source = {.asked = true};
        Envelope envelope;

        g_ptr_array_add(sources, walk->route->sources->pdata[number]);
        alone.sources = sources;

        g_autoptr(EnvelopeReader) reader = envelope_reader_new(&alone, true);

        envelope_explain(reader, walk->view, input, &envelope, &source.says);
        source.source = ((ConfSource *)sources->pdata[0])->spelling;
        source.why = envelope.why;
        if (envelope.value_length > 0)
                source.value = g_utf8_make_valid(envelope.value, (gssize)envelope.value_length);
        return source;
}

static void
explain_sources(Walk *walk)
{
        Explanation *out = walk->out;
        const amqp_basic_properties_t *properties = walk->delivery->message->properties;
        EnvelopeInput input = {.exchange = walk->delivery->provenance.exchange,
                               .key = walk->delivery->provenance.key,
                               .body = walk->delivery->message->body};

        if (properties->_flags & AMQP_BASIC_HEADERS_FLAG)
                input.headers = &properties->headers;
        for (unsigned i = 0; i < walk->route->sources->len; i++) {
                bool over = out->envelope.kind == ENVELOPE_CLUSTER && (int)i > out->envelope.source;
                ExplainedSource source = {.source = ((ConfSource *)walk->route->sources->pdata[i])->spelling};

                if (!walk->view->single && !over)
                        source = ask_alone(walk, i, &input);
                g_array_append_val(out->sources, source);
        }
}

/* ---- the policy ---- */

static const ConfPolicy *
first_policy(const Walk *walk)
{
        switch (walk->out->envelope.kind) {
        case ENVELOPE_NO_CLUSTER:
                return &walk->route->on_no_cluster;
        case ENVELOPE_UNKNOWN:
                return &walk->route->on_unknown_cluster;
        case ENVELOPE_CLUSTER:
        case ENVELOPE_BAD:
                break;
        }
        return NULL;
}

/* The operator drained the cluster to that one, so no policy was asked. */
static bool
is_substituted(const Walk *walk, const ConfPolicy *first_or_null)
{
        const Decision *decision = &walk->out->decision;
        const ViewCluster *named = walk->out->envelope.cluster;

        if (!named && first_or_null && first_or_null->name)
                named = view_find(walk->view, first_or_null->name, strlen(first_or_null->name));
        return decision->kind == DECIDE_DELIVER && decision->reason == REASON_CLUSTER_DRAINED && named &&
               named->drain_to &&
               view_find(walk->view, named->drain_to, strlen(named->drain_to)) == decision->cluster;
}

/* As router/decide.c goes: a policy may lead to a cluster, and one more away from it if it is down. */
static void
explain_policy(Walk *walk)
{
        Explanation *out = walk->out;
        const ConfPolicy *first = walk->view->single ? NULL : first_policy(walk);
        bool call = out->envelope.is_call;
        const ConfPolicy *down = call ? &walk->route->on_down_call : &walk->route->on_down_cast;
        bool is_down =
            out->decision.reason == REASON_CLUSTER_DOWN || out->decision.reason == REASON_CLUSTER_DRAINED;
        bool down_applied = is_down && (first == NULL || first->kind == CONF_POLICY_CLUSTER);
        GString *text = g_string_new(NULL);

        if (first) {
                g_autofree char *spelled = conf_policy_spell(first);

                g_string_append_printf(
                    text, "%s = %s",
                    out->envelope.kind == ENVELOPE_UNKNOWN ? "on_unknown_cluster" : "on_no_cluster", spelled);
        }
        if (down_applied && out->decision.cluster && is_substituted(walk, first)) {
                g_string_append_printf(text, "%sdrained to %s", first ? ", then " : "",
                                       out->decision.cluster->name);
        } else if (down_applied) {
                g_autofree char *spelled = conf_policy_spell(down);

                g_string_append_printf(text, "%son_cluster_down = %s:%s", first ? ", then " : "",
                                       call ? "call" : "cast", spelled);
        }
        out->spread =
            out->decision.kind == DECIDE_DELIVER &&
            ((first && first->kind == CONF_POLICY_ANY) || (down_applied && down->kind == CONF_POLICY_ANY));
        out->policy = g_string_free(text, text->len == 0);
}

/* ---- the target ---- */

static Target *
set_other(Walk *walk, TargetKind kind, const char *queue)
{
        target_clear(&walk->other);
        target_init(&walk->other, kind, NULL, NULL, "", queue, "", true, walk->conf);
        return &walk->other;
}

static Target *
dead_target(Walk *walk)
{
        g_autofree char *queue = topology_dead_queue(walk->route);

        walk->out->outcome = "dead";
        return set_other(walk, TARGET_DEAD, queue);
}

static Target *
choose_target(Walk *walk)
{
        const Decision *decision = &walk->out->decision;

        switch (decision->kind) {
        case DECIDE_DELIVER:
                dispatch_choose_host(walk->delivery, walk->route, decision->cluster);
                walk->out->in_turn = walk->delivery->host && !walk->delivery->has_affinity;
                walk->out->outcome = "deliver";
                return &walk->flow->destination;
        case DECIDE_QUEUE:
                walk->out->outcome = "queue";
                return set_other(walk, TARGET_QUEUE, decision->queue);
        case DECIDE_DEAD:
                return dead_target(walk);
        case DECIDE_FAIL:
                if (!dispatch_answer(walk->delivery, &walk->out->envelope, walk->flow->name, decision->reason,
                                     walk->now_unix_ms))
                        break;
                walk->out->outcome = "fail";
                return set_other(walk, TARGET_CALLER, "{key}");
        case DECIDE_PARK:
                break;
        }
        walk->out->outcome = "park";
        return &walk->flow->parking;
}

static void
explain_address(Walk *walk)
{
        g_autoptr(GString) scratch = g_string_new(NULL);
        Delivery *delivery = walk->delivery;
        amqp_bytes_t exchange, key;

        delivery->target = choose_target(walk);
        delivery->reason = walk->out->decision.reason;
        if (!target_address(delivery->target, delivery, walk->route, scratch, &exchange, &key)) {
                delivery->target = dead_target(walk);
                delivery->reason = REASON_UNROUTABLE;
                if (!target_address(delivery->target, delivery, walk->route, scratch, &exchange, &key))
                        exchange = key = amqp_empty_bytes;
        }
        walk->out->reason = delivery->reason;
        walk->out->exchange = g_utf8_make_valid(exchange.len ? exchange.bytes : "", (gssize)exchange.len);
        walk->out->key = g_utf8_make_valid(key.len ? key.bytes : "", (gssize)key.len);

        const ViewCluster *cluster = walk->out->decision.cluster;
        const ConfCluster *conf = cluster ? conf_find_cluster(walk->conf, cluster->name) : NULL;

        if (delivery->target->kind == TARGET_DESTINATION && conf && conf->amqp_urls)
                walk->out->broker = conf->amqp_urls[0];
}

/* ---- the publication ---- */

static void
compare_headers(Explanation *out, const json_t *before)
{
        const char *name;
        json_t *value;

        json_object_foreach(out->headers, name, value)
        {
                if (!json_equal(value, json_object_get(before, name)))
                        g_ptr_array_add(out->added, g_strdup(name));
        }
        json_object_foreach((json_t *)before, name, value)
        {
                if (!json_object_get(out->headers, name))
                        g_ptr_array_add(out->removed, g_strdup(name));
        }
}

static void
explain_headers(Walk *walk)
{
        g_autoptr(Publication) publication = publication_new();
        const Message *message = walk->delivery->message;
        PublicationNotes notes =
            dispatch_notes(walk->delivery, walk->route, 1, walk->now_us, walk->now_unix_ms);
        const amqp_basic_properties_t *after =
            publication_build(publication, message, &walk->delivery->provenance, &notes);

        walk->out->headers = fields_to_json(&after->headers);
        walk->out->is_bare = publication_is_bare(message, notes.tag_hosts);
        compare_headers(walk->out, walk->before);
}

/* ---- the whole ---- */

static void
clear_source(gpointer data)
{
        g_free(((ExplainedSource *)data)->value);
}

static void
walk_through(Walk *walk, uint64_t ticket)
{
        Explanation *out = walk->out;
        const amqp_basic_properties_t *properties = walk->delivery->message->properties;
        bool has_headers = properties->_flags & AMQP_BASIC_HEADERS_FLAG;
        g_autoptr(EnvelopeReader) reader = envelope_reader_new(walk->route, true);

        walk->before = has_headers ? fields_to_json(&properties->headers) : json_object();
        dispatch_read(walk->delivery, reader, walk->view, &out->envelope, NULL);
        out->decision = decide(&out->envelope, walk->route, walk->view, ticket);

        const ViewCluster *cluster = out->decision.cluster;

        walk->flow = flow_new(walk->conf, walk->route, cluster ? cluster->name : "", 0, NULL, NULL);
        if (cluster || walk->view->single)
                flow_set_destination(walk->flow, walk->conf, walk->route, NULL);
        explain_sources(walk);
        explain_policy(walk);
        explain_address(walk);
        explain_headers(walk);
}

Explanation *
explanation_new(const Conf *conf, const ConfRoute *route, const View *view, Message *message, bool stored,
                uint64_t ticket)
{
        Explanation *out = g_new0(Explanation, 1);
        Walk walk = {.out = out,
                     .conf = conf,
                     .route = route,
                     .view = view,
                     .now_us = g_get_monotonic_time(),
                     .now_unix_ms = g_get_real_time() / 1000};

        out->sources = g_array_new(FALSE, TRUE, sizeof(ExplainedSource));
        g_array_set_clear_func(out->sources, clear_source);
        out->added = g_ptr_array_new_with_free_func(g_free);
        out->removed = g_ptr_array_new_with_free_func(g_free);
        message->received_us = walk.now_us;
        walk.common = flow_new(conf, route, "", 0, NULL, NULL);
        walk.delivery = delivery_new(message, stored ? walk.common : NULL, stored, ticket, walk.now_unix_ms);
        walk_through(&walk, ticket);

        out->envelope.reply_q = out->envelope.msg_id = out->envelope.unique_id = (JsonValue){0};
        json_decref(walk.before);
        delivery_free(walk.delivery);
        target_clear(&walk.other);
        flow_free(walk.flow);
        flow_free(walk.common);
        return out;
}

void
explanation_free(Explanation *explanation)
{
        if (explanation == NULL)
                return;
        g_array_unref(explanation->sources);
        g_ptr_array_unref(explanation->added);
        g_ptr_array_unref(explanation->removed);
        json_decref(explanation->headers);
        g_free(explanation->policy);
        g_free(explanation->exchange);
        g_free(explanation->key);
        g_free(explanation);
}
