/* SPDX-License-Identifier: MIT */
/*
 * AMQP shows the arguments of a queue to who declares it anew, but neither policies nor the broker's own
 * settings. So these are given by the operator, in the form in which rabbitmqctl prints them, and the pattern
 * of a policy is applied here as the broker does: the matching one of the highest priority alone counts.
 */
#include "router/ctl/doctor.h"

#include <string.h>

static const char BY_HAND[] =
    "rabbitmqctl list_policies -p VHOST --formatter json >FILE, then doctor --policies FILE";

/* ---- single settings ---- */

typedef struct {
        const char *name;
        Severity store; /* on a queue that keeps what must not be lost */
        Severity other;
        const char *meaning;
        const char *remedy;
} Rule;

static const Rule rules[] = {
    {"message-ttl", FINDING_ERROR, FINDING_WARNING,
     "messages that wait longer vanish without a trace, unless it has a dead-letter-exchange",
     "take the setting off this queue; park_ttl of the route moves old messages to the dead queue instead"},
    {"expires", FINDING_ERROR, FINDING_WARNING,
     "the broker deletes the queue and all that is in it when nobody has used it for that long",
     "take the setting off this queue"},
    {"delivery-limit", FINDING_WARNING, FINDING_WARNING,
     "a message that was delivered so often is dropped; each lost connection of a router counts",
     "take the setting off, or give the queue a dead-letter-exchange"},
    {"auto_delete", FINDING_ERROR, FINDING_WARNING,
     "the broker deletes the queue when its last consumer leaves, with all that is in it",
     "delete the queue when it is empty and let it be declared again without auto_delete"},
};

static void
add_setting(Doctor *doctor, Severity severity, const char *queue, const char *origin, const char *name,
            const char *value, const char *meaning, const char *remedy)
{
        g_autofree char *subject = g_strdup_printf("queue %s", queue);
        g_autofree char *found = g_strdup_printf("%s = %s by %s", name, value, origin);

        doctor_add(doctor, severity, "queues", subject, found, meaning, remedy);
}

static void
judge_length(Doctor *doctor, const char *queue, QueueRole role, const char *origin, GHashTable *settings)
{
        static const char *const names[] = {"max-length", "max-length-bytes"};
        const char *overflow = g_hash_table_lookup(settings, "overflow");
        bool refuses = overflow && g_str_has_prefix(overflow, "reject-publish");

        for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
                const char *value = g_hash_table_lookup(settings, names[i]);

                if (value && refuses)
                        add_setting(doctor, role == QUEUE_STORE ? FINDING_WARNING : FINDING_NOTE, queue,
                                    origin, names[i], value,
                                    role == QUEUE_STORE
                                        ? "a full queue refuses more, and the router then takes nothing new"
                                        : "a full queue refuses more; the router waits, then parks",
                                    "nothing is lost; raise the limit if that happens too early");
                else if (value)
                        add_setting(
                            doctor, role == QUEUE_STORE ? FINDING_ERROR : FINDING_WARNING, queue, origin,
                            names[i], value,
                            "a full queue drops its oldest messages without a trace (overflow = drop-head)",
                            "take the limit off, or set overflow to reject-publish: the router waits then");
        }
}

static void
judge_type(Doctor *doctor, const char *queue, QueueRole role, GHashTable *settings)
{
        const char *type = g_hash_table_lookup(settings, "queue-type");
        const char *durable = g_hash_table_lookup(settings, "durable");
        bool wanted = doctor->conf->quorum;

        if (durable && strcmp(durable, "false") == 0)
                add_setting(doctor, role == QUEUE_STORE ? FINDING_ERROR : FINDING_WARNING, queue,
                            "its declaration", "durable", durable,
                            "the queue and all that is in it is gone when the broker restarts",
                            "delete the queue when it is empty and let it be declared again as durable");
        if (type && (strcmp(type, "quorum") == 0) != wanted)
                add_setting(
                    doctor, FINDING_NOTE, queue, "its declaration", "queue-type", type,
                    "another type than queue_type of [broker]; the router uses it as it is",
                    "nothing need be done; to change the type, the queue must be made anew while empty");
}

static void
judge_consumer_timeout(Doctor *doctor, const char *subject, const char *origin, uint64_t timeout_ms)
{
        uint64_t hold_ms = (uint64_t)doctor->conf->hold_time_ms;
        uint64_t needed_ms = hold_ms + (uint64_t)doctor->conf->retry_max_ms + 60 * 1000;
        g_autofree char *found = g_strdup_printf("consumer_timeout %" G_GUINT64_FORMAT
                                                 " s by %s, hold_time %" G_GUINT64_FORMAT " s",
                                                 timeout_ms / 1000, origin, hold_ms / 1000);

        if (timeout_ms >= needed_ms)
                doctor_ok(doctor, "timeouts", subject, "%s", found);
        else
                doctor_add(
                    doctor, timeout_ms <= hold_ms ? FINDING_ERROR : FINDING_WARNING, "timeouts", subject,
                    found,
                    "the broker closes a channel whose messages wait that long for their ack, before the "
                    "router parks them: they come again and again",
                    "set hold_time in [broker] lower, or consumer_timeout of the broker higher");
}

void
doctor_judge_settings(Doctor *doctor, const char *queue, QueueRole role, const char *origin,
                      GHashTable *settings)
{
        g_autofree char *subject = g_strdup_printf("queue %s", queue);
        const char *timeout = g_hash_table_lookup(settings, "consumer-timeout");

        for (size_t i = 0; role != QUEUE_CONTROL && i < G_N_ELEMENTS(rules); i++) {
                const char *value = g_hash_table_lookup(settings, rules[i].name);

                if (value && strcmp(value, "false") != 0)
                        add_setting(doctor, role == QUEUE_STORE ? rules[i].store : rules[i].other, queue,
                                    origin, rules[i].name, value, rules[i].meaning, rules[i].remedy);
        }
        if (role != QUEUE_CONTROL)
                judge_length(doctor, queue, role, origin, settings);
        judge_type(doctor, queue, role, settings);
        if (timeout && role != QUEUE_DESTINATION)
                judge_consumer_timeout(doctor, subject, origin, g_ascii_strtoull(timeout, NULL, 10));
}

/* ---- policies ---- */

static bool
applies(const json_t *policy, const char *vhost, const char *queue)
{
        const char *pattern = json_string_value(json_object_get(policy, "pattern"));
        const char *to = json_string_value(json_object_get(policy, "apply-to"));
        const char *of = json_string_value(json_object_get(policy, "vhost"));

        return pattern && strcmp(of ? of : "/", vhost) == 0 && g_strcmp0(to, "exchanges") != 0 &&
               g_regex_match_simple(pattern, queue, 0, 0);
}

static const json_t *
find_policy(const json_t *policies, const char *vhost, const char *queue)
{
        const json_t *best = NULL, *policy;
        size_t i;

        json_array_foreach(policies, i, policy)
        {
                json_int_t priority = json_integer_value(json_object_get(policy, "priority"));

                if (applies(policy, vhost, queue) &&
                    (best == NULL || priority > json_integer_value(json_object_get(best, "priority"))))
                        best = policy;
        }
        return best;
}

/* rabbitmqctl gives the definition as JSON in a string, the management API as an object. */
static GHashTable *
read_definition(const json_t *policy)
{
        GHashTable *settings = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        json_t *definition = json_object_get(policy, "definition");
        json_t *parsed = json_is_string(definition) ? json_loads(json_string_value(definition), 0, NULL)
                                                    : json_incref(definition);
        const char *key;
        json_t *value;

        json_object_foreach(parsed, key, value)
        {
                char *text = json_is_string(value) ? g_strdup(json_string_value(value))
                                                   : json_dumps(value, JSON_ENCODE_ANY);

                g_hash_table_insert(settings, g_strdup(key), g_strdup(text));
                json_is_string(value) ? g_free(text) : free(text);
        }
        json_decref(parsed);
        return settings;
}

void
doctor_judge_policy(Doctor *doctor, const char *vhost, const char *queue, QueueRole role)
{
        const json_t *policy = find_policy(doctor->policies, vhost, queue);

        if (policy == NULL)
                return;
        g_autoptr(GHashTable) settings = read_definition(policy);
        g_autofree char *origin =
            g_strdup_printf("policy %s", json_string_value(json_object_get(policy, "name")));

        doctor_judge_settings(doctor, queue, role, origin, settings);
}

void
doctor_judge_unseen(Doctor *doctor)
{
        if (doctor->policies == NULL)
                doctor_add(doctor, FINDING_NOTE, "queues", "policies",
                           "not looked at: AMQP does not show them",
                           "a policy with message-ttl, expires or max-length can lose messages", BY_HAND);
        if (doctor->consumer_timeout_ms)
                judge_consumer_timeout(doctor, "brokers", "--consumer-timeout", doctor->consumer_timeout_ms);
        else
                doctor_add(
                    doctor, FINDING_NOTE, "timeouts", "consumer_timeout",
                    "not looked at: AMQP does not show it",
                    "below hold_time messages would come again and again; the broker's default, 30 minutes, "
                    "is well",
                    "rabbitmqctl eval 'application:get_env(rabbit, consumer_timeout).' prints milliseconds, "
                    "then doctor --consumer-timeout 1800000ms");
}
