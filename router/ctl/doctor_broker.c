/* SPDX-License-Identifier: MIT */
/*
 * What a broker would refuse is learnt by asking for something that changes nothing even if it is granted:
 *
 *   read a queue     consume with an argument of a wrong type: 403 without the permission, else 406
 *   arguments        declare the queue that is there as the router would: 406 names one that differs;
 * declared with that one too, the next, until it is granted exchanges        unbind what was never bound
 *   write, confirms  publish to a queue of our own, which is gone when we leave
 *
 * A refusal closes the channel, which is opened again.
 */
#include "conf/conf_url.h"
#include "router/ctl/doctor.h"
#include "router/dial.h"
#include "router/target.h"
#include "router/topology.h"

#include <amqp_framing.h>
#include <string.h>
#include <unistd.h>

enum { SETTINGS_MAX = 16, CONFIRM_MS = 10000 };
#define NO_KEY "cluster-router.doctor"

typedef struct {
        Doctor *doctor;
        amqp_connection_state_t connection;
        char *url; /* masked */
        char *vhost;
} Bench;

typedef enum { ANSWER_OK, ANSWER_FORBIDDEN, ANSWER_ABSENT, ANSWER_DIFFERENT, ANSWER_LOST } Answer;

/* The answer to the last call, and what it says (new). */
static Answer
read_answer(Bench *bench, char **out_text)
{
        amqp_rpc_reply_t reply = amqp_get_rpc_reply(bench->connection);
        amqp_channel_close_ok_t ok = {0};

        if (reply.reply_type == AMQP_RESPONSE_NORMAL)
                return ANSWER_OK;
        g_free(*out_text);
        *out_text = dial_describe_reply(reply);
        if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION || reply.reply.id != AMQP_CHANNEL_CLOSE_METHOD)
                return ANSWER_LOST;

        int code = ((amqp_channel_close_t *)reply.reply.decoded)->reply_code;

        amqp_send_method(bench->connection, LINK_CHANNEL, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
        amqp_channel_open(bench->connection, LINK_CHANNEL);
        if (amqp_get_rpc_reply(bench->connection).reply_type != AMQP_RESPONSE_NORMAL)
                return ANSWER_LOST;
        return code == AMQP_ACCESS_REFUSED ? ANSWER_FORBIDDEN
               : code == AMQP_NOT_FOUND    ? ANSWER_ABSENT
                                           : ANSWER_DIFFERENT;
}

static void
forbid(Bench *bench, Severity severity, const char *subject, const char *text, const char *meaning,
       const char *permission)
{
        g_autofree char *remedy =
            g_strdup_printf("give its user the permission to %s this (rabbitmqctl set_permissions -p %s USER "
                            "CONFIGURE WRITE READ)",
                            permission, bench->vhost);

        doctor_add(bench->doctor, severity, "permissions", subject, text, meaning, remedy);
}

/* ---- one queue ---- */

static bool
is_there(Bench *bench, const char *queue)
{
        g_autofree char *text = NULL;

        amqp_queue_declare(bench->connection, LINK_CHANNEL, amqp_cstring_bytes(queue), 1, 0, 0, 0,
                           amqp_empty_table);
        return read_answer(bench, &text) == ANSWER_OK;
}

static void
try_reading(Bench *bench, const char *queue)
{
        amqp_table_entry_t wrong = {
            .key = amqp_cstring_bytes("x-priority"),
            .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("none")}};
        amqp_table_t arguments = {.num_entries = 1, .entries = &wrong};
        g_autofree char *subject = g_strdup_printf("queue %s", queue);
        g_autofree char *text = NULL;

        amqp_basic_consume(bench->connection, LINK_CHANNEL, amqp_cstring_bytes(queue), amqp_empty_bytes, 0, 0,
                           0, arguments);
        if (read_answer(bench, &text) == ANSWER_FORBIDDEN)
                forbid(bench, FINDING_ERROR, subject, text, "the router cannot consume it", "read");
}

/* What the queue is declared with, as far as the broker has told. */
typedef struct {
        GHashTable *settings; /* name without "x-" -> value */
        amqp_table_entry_t entries[SETTINGS_MAX];
        char *texts[2 * SETTINGS_MAX];
        unsigned count;
        bool transient;
        bool auto_delete;
} Declaration;

static void
declaration_clear(Declaration *declaration)
{
        g_hash_table_unref(declaration->settings);
        for (unsigned i = 0; i < G_N_ELEMENTS(declaration->texts); i++)
                g_free(declaration->texts[i]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Declaration, declaration_clear)

/* The part of @text between the first @before and the next @after; new, or NULL. */
static char *
cut_out(const char *text, const char *before, const char *after)
{
        const char *start = strstr(text, before);
        const char *end = start ? strstr(start + strlen(before), after) : NULL;

        return end ? g_strndup(start + strlen(before), (gsize)(end - start) - strlen(before)) : NULL;
}

/* Takes in "inequivalent arg 'NAME' ... current is the value 'VALUE' of type 'TYPE'", or "... current is
 * 'false'"; false if it says anything else. */
static bool
learn_setting(Declaration *declaration, const char *text)
{
        g_autofree char *name = cut_out(text, "inequivalent arg '", "'");
        g_autofree char *value = cut_out(text, "current is the value '", "'");
        bool is_text = strstr(text, "of type 'longstr'") != NULL;

        if (name && strcmp(name, "durable") == 0)
                declaration->transient = true;
        else if (name && strcmp(name, "auto_delete") == 0)
                declaration->auto_delete = true;
        else if (name == NULL || value == NULL || declaration->count == SETTINGS_MAX)
                return false;
        if (!g_str_has_prefix(name, "x-")) {
                g_hash_table_insert(declaration->settings, g_strdup(name),
                                    g_strdup(declaration->transient && name[0] == 'd' ? "false" : "true"));
                return true;
        }
        g_hash_table_insert(declaration->settings, g_strdup(name + 2), g_strdup(value));

        amqp_table_entry_t *entry = &declaration->entries[declaration->count++];

        declaration->texts[2 * declaration->count - 2] = g_strdup(name);
        declaration->texts[2 * declaration->count - 1] = g_strdup(value);
        entry->key = amqp_cstring_bytes(declaration->texts[2 * declaration->count - 2]);
        entry->value.kind = is_text ? AMQP_FIELD_KIND_UTF8 : AMQP_FIELD_KIND_I64;
        if (is_text)
                entry->value.value.bytes = amqp_cstring_bytes(declaration->texts[2 * declaration->count - 1]);
        else
                entry->value.value.i64 = g_ascii_strtoll(value, NULL, 10);
        return true;
}

static void
try_declaring(Bench *bench, const char *queue, QueueRole role)
{
        g_auto(Declaration)
            found = {.settings = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free)};
        g_autofree char *subject = g_strdup_printf("queue %s", queue);
        g_autofree char *text = NULL;
        Answer answer;

        do {
                amqp_table_t arguments = {.num_entries = (int)found.count, .entries = found.entries};

                amqp_queue_declare(bench->connection, LINK_CHANNEL, amqp_cstring_bytes(queue), 0,
                                   !found.transient, 0, found.auto_delete, arguments);
                answer = read_answer(bench, &text);
        } while (answer == ANSWER_DIFFERENT && g_hash_table_size(found.settings) < SETTINGS_MAX &&
                 learn_setting(&found, text));
        if (g_hash_table_lookup(found.settings, "queue-type") == NULL)
                g_hash_table_insert(found.settings, g_strdup("queue-type"), g_strdup("classic"));
        if (answer == ANSWER_FORBIDDEN)
                forbid(
                    bench, FINDING_NOTE, subject, text,
                    "the router uses it as it is, but cannot make it again if it is deleted; its arguments "
                    "cannot be seen",
                    "configure");
        else if (answer != ANSWER_OK)
                doctor_add(bench->doctor, FINDING_NOTE, "queues", subject, text,
                           "the router uses it as it is",
                           "compare its arguments with rabbitmqctl list_queues name arguments");
        if (answer != ANSWER_FORBIDDEN)
                doctor_judge_settings(bench->doctor, queue, role, "its arguments", found.settings);
}

static void
look_at_queue(Bench *bench, const char *queue, QueueRole role)
{
        unsigned before = bench->doctor->findings->len;
        g_autofree char *subject = g_strdup_printf("queue %s", queue);

        doctor_judge_policy(bench->doctor, bench->vhost, queue, role);
        if (!is_there(bench, queue)) {
                doctor_ok(bench->doctor, "queues", subject, "is not there yet: the router makes it");
                return;
        }
        if (role != QUEUE_DESTINATION)
                try_reading(bench, queue);
        try_declaring(bench, queue, role);
        if (bench->doctor->findings->len == before)
                doctor_ok(bench->doctor, "queues", subject, "as the router needs it");
}

/* ---- exchanges ---- */

static void
judge_exchange(Bench *bench, const char *exchange, const char *permission)
{
        g_autofree char *subject = g_strdup_printf("exchange %s", exchange);
        g_autofree char *text = NULL;
        Answer answer = read_answer(bench, &text);

        if (answer == ANSWER_OK)
                doctor_ok(bench->doctor, "permissions", subject, "%s is granted", permission);
        else if (answer == ANSWER_FORBIDDEN)
                forbid(bench, FINDING_ERROR, subject, text, "the router cannot use it", permission);
        else
                doctor_add(bench->doctor, FINDING_WARNING, "queues", subject, text,
                           "messages for it are returned, and parked",
                           "declare it, or correct the name in the file");
}

static void
look_at_exchanges(Bench *bench, const ConfRoute *route)
{
        for (unsigned i = 0; i < route->binds->len; i++) {
                const ConfBind *bind = g_ptr_array_index(route->binds, i);

                amqp_queue_unbind(bench->connection, LINK_CHANNEL, amqp_cstring_bytes(route->queue),
                                  amqp_cstring_bytes(bind->exchange), amqp_cstring_bytes(NO_KEY),
                                  amqp_empty_table);
                judge_exchange(bench, bind->exchange, "read");
        }
        if (route->to_queue || strchr(route->exchange, '{') || !route->exchange[0])
                return;
        amqp_exchange_unbind(bench->connection, LINK_CHANNEL, amqp_cstring_bytes(route->exchange),
                             amqp_cstring_bytes("amq.direct"), amqp_cstring_bytes(NO_KEY), amqp_empty_table);
        judge_exchange(bench, route->exchange, "write");
}

/* ---- a test publish ---- */

/* Reads on until the publish has its outcome. */
static Answer
await_confirm(Bench *bench, char **out_text)
{
        int64_t deadline_us = g_get_monotonic_time() + (int64_t)CONFIRM_MS * 1000;
        int64_t left_us;
        amqp_frame_t frame;

        while ((left_us = deadline_us - g_get_monotonic_time()) > 0) {
                struct timeval wait = {.tv_sec = left_us / G_USEC_PER_SEC,
                                       .tv_usec = left_us % G_USEC_PER_SEC};

                if (amqp_simple_wait_frame_noblock(bench->connection, &frame, &wait) != AMQP_STATUS_OK)
                        break;
                if (frame.frame_type != AMQP_FRAME_METHOD)
                        continue;
                if (frame.payload.method.id == AMQP_BASIC_ACK_METHOD)
                        return ANSWER_OK;
                if (frame.payload.method.id == AMQP_CONNECTION_BLOCKED_METHOD) {
                        *out_text = g_strdup("the broker blocks those who publish");
                        return ANSWER_LOST;
                }
                *out_text = dial_describe_reply((amqp_rpc_reply_t){
                    .reply_type = AMQP_RESPONSE_SERVER_EXCEPTION, .reply = frame.payload.method});
                return frame.payload.method.id == AMQP_CHANNEL_CLOSE_METHOD ? ANSWER_FORBIDDEN
                                                                            : ANSWER_DIFFERENT;
        }
        *out_text = g_strdup_printf("no confirm within %d s", CONFIRM_MS / 1000);
        return ANSWER_LOST;
}

static Answer
publish_and_read(Bench *bench, const char *queue, char **out_text)
{
        amqp_bytes_t name = amqp_cstring_bytes(queue);
        amqp_basic_properties_t persistent = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = 2};

        amqp_confirm_select(bench->connection, LINK_CHANNEL);
        amqp_basic_publish(bench->connection, LINK_CHANNEL, amqp_empty_bytes, name, 1, 0, &persistent,
                           amqp_cstring_bytes("doctor"));

        Answer answer = await_confirm(bench, out_text);

        if (answer != ANSWER_OK)
                return answer;
        amqp_rpc_reply_t reply = amqp_basic_get(bench->connection, LINK_CHANNEL, name, 1);

        if (reply.reply_type != AMQP_RESPONSE_NORMAL)
                return read_answer(bench, out_text);
        return ANSWER_OK;
}

/* The last thing on a connection: a refusal leaves it of no more use. */
static void
try_publishing(Bench *bench)
{
        g_autofree char *queue = g_strdup_printf("cluster-router.doctor.%d", (int)getpid());
        g_autofree char *text = NULL;
        int64_t began_us = g_get_monotonic_time();

        amqp_queue_declare(bench->connection, LINK_CHANNEL, amqp_cstring_bytes(queue), 0, 0, 1, 1,
                           amqp_empty_table);
        if (read_answer(bench, &text) != ANSWER_OK) {
                forbid(bench, FINDING_ERROR, bench->url, text,
                       "the router cannot make its parking and dead queues, whose names begin with "
                       "cluster-router.",
                       "configure");
                return;
        }
        switch (publish_and_read(bench, queue, &text)) {
        case ANSWER_OK:
                doctor_ok(bench->doctor, "publish", bench->url,
                          "published, confirmed and read back within %.1f ms",
                          (double)(g_get_monotonic_time() - began_us) / 1000);
                return;
        case ANSWER_FORBIDDEN:
                forbid(
                    bench, FINDING_ERROR, bench->url, text,
                    "the router cannot publish to queues: it would park and dead-letter nothing",
                    "write amq.default, and to read and write what begins with cluster-router., instead of");
                return;
        default:
                doctor_add(
                    bench->doctor, FINDING_ERROR, "publish", bench->url, text,
                    "nothing is routed until it takes messages again: perhaps an alarm of memory or disk",
                    "rabbitmq-diagnostics alarms");
        }
}

/* ---- brokers ---- */

static void
look_at_shared(Bench *bench)
{
        const Conf *conf = bench->doctor->conf;

        for (unsigned i = 0; i < conf->routes->len; i++) {
                const ConfRoute *route = g_ptr_array_index(conf->routes, i);
                g_autofree char *dead = topology_dead_queue(route);
                g_autofree char *common = topology_parking_queue(route, NULL);

                look_at_queue(bench, route->queue, QUEUE_SHARED);
                look_at_queue(bench, dead, QUEUE_STORE);
                look_at_queue(bench, common, QUEUE_STORE);
                for (unsigned c = 0; c < bench->doctor->clusters->len; c++) {
                        g_autofree char *parked =
                            topology_parking_queue(route, g_ptr_array_index(bench->doctor->clusters, c));

                        look_at_queue(bench, parked, QUEUE_STORE);
                }
                look_at_exchanges(bench, route);
        }
}

/* The queues of that cluster, or in single-cluster mode (NULL) the one of each route. */
static void
look_at_destinations(Bench *bench, const char *cluster)
{
        const Conf *conf = bench->doctor->conf;

        for (unsigned i = 0; i < conf->routes->len; i++) {
                const ConfRoute *route = g_ptr_array_index(conf->routes, i);
                bool is_fixed = route->to_queue && target_name_is_fixed(route->key);
                g_autofree char *queue = conf_expand(route->key, route->queue, "", "", cluster, "");

                if (is_fixed)
                        look_at_queue(bench, queue, QUEUE_DESTINATION);
        }
}

static bool
has_own_broker(const Conf *conf, const char *cluster)
{
        const ConfCluster *known = conf_find_cluster(conf, cluster);

        return known && known->amqp_urls[0];
}

static void
look_inside(Bench *bench, const ConfCluster *own)
{
        GPtrArray *clusters = bench->doctor->clusters;

        if (own) {
                look_at_destinations(bench, own->name);
        } else {
                look_at_shared(bench);
                for (unsigned i = 0; i < clusters->len; i++)
                        if (!has_own_broker(bench->doctor->conf, g_ptr_array_index(clusters, i)))
                                look_at_destinations(bench, g_ptr_array_index(clusters, i));
                if (conf_is_single_cluster(bench->doctor->conf))
                        look_at_destinations(bench, NULL);
        }
        look_at_queue(bench, "cluster-router.control", QUEUE_CONTROL);
        try_publishing(bench);
}

/* Every URL must do, since any may be used one day; the queues are looked at through the first that does. */
static void
look_at_broker(Doctor *doctor, const char *const *urls, const ConfTls *tls, const ConfCluster *own)
{
        bool looked = false;

        for (; *urls; urls++) {
                g_autoptr(GError) error = NULL;
                g_autoptr(ConfUrl) parts = conf_url_parse(*urls, CONF_URL_AMQP, NULL);
                g_autofree char *url = conf_mask_url(*urls);
                Bench bench = {.doctor = doctor, .url = url, .vhost = parts ? parts->name : NULL};

                bench.connection = dial(*urls, tls, doctor->conf->broker_heartbeat_s, "clusterctl", &error);
                if (bench.connection == NULL) {
                        doctor_add(doctor, FINDING_ERROR, "broker", url, error->message,
                                   own ? "what goes to this cluster is parked" : "the router cannot work",
                                   "start the broker, or correct the URL, its user or its certificates");
                        continue;
                }
                doctor_ok(doctor, "broker", url, "connects and logs in");
                if (!looked)
                        look_inside(&bench, own);
                looked = true;
                amqp_connection_close(bench.connection, AMQP_REPLY_SUCCESS);
                dial_discard(bench.connection);
        }
}

void
doctor_look_at_brokers(Doctor *doctor)
{
        const Conf *conf = doctor->conf;

        look_at_broker(doctor, (const char *const *)conf->broker_urls, &conf->broker_tls, NULL);
        for (unsigned i = 0; i < conf->clusters->len; i++) {
                const ConfCluster *cluster = g_ptr_array_index(conf->clusters, i);

                if (cluster->amqp_urls[0])
                        look_at_broker(doctor, (const char *const *)cluster->amqp_urls, &cluster->tls,
                                       cluster);
        }
}
