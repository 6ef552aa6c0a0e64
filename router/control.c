/* SPDX-License-Identifier: MIT */

/*
 * Plain blocking calls, since nothing waits for this thread. It shares only what stands under the lock with
 * its owner, who clears it when leaving: so a broker that hangs cannot hold up the end of the program.
 */
#include "router/control.h"

#include "cluster/backoff.h"
#include "router/control_request.h"
#include "router/dial.h"
#include "router/topology.h"

#include <string.h>
#include <sys/time.h>

enum {
        PREFETCH = 100,
        LOOK_EVERY_MS = 250,
        RETRY_FIRST_MS = 500,
        GOODBYE_US = 1000 * 1000,
        ADDRESS_BYTES = 255
};

struct Control {
        gatomicrefcount refs; /* the owner and the thread: who is last frees */
        Conf *conf;
        const ConfCluster *cluster; /* or NULL */

        GMutex lock; /* for what follows */
        GCond wake;
        Registry *registry; /* NULL: time to end */
        Stats *stats;
        bool done;

        /* The thread's own. */
        amqp_connection_state_t connection;
        unsigned next_url;
        Backoff backoff;
        char *reported; /* the error last logged, NULL: all well */
};

static void
control_unref(Control *control)
{
        if (!g_atomic_ref_count_dec(&control->refs))
                return;
        g_mutex_clear(&control->lock);
        g_cond_clear(&control->wake);
        conf_unref(control->conf);
        g_free(control->reported);
        g_free(control);
}

static const char *
place(const Control *control)
{
        return control->cluster ? control->cluster->name : "the shared broker";
}

static void
report(Control *control, const char *error)
{
        if (error && !control->reported)
                g_warning("control queue of %s: %s; trying again", place(control), error);
        else if (!error && control->reported)
                g_message("control queue of %s: consuming", place(control));
        g_free(control->reported);
        control->reported = g_strdup(error);
}

/* ---- one request ---- */

static bool
publish(Control *control, const char *address, const amqp_basic_properties_t *request, const char *body)
{
        amqp_basic_properties_t properties = {._flags = AMQP_BASIC_CONTENT_TYPE_FLAG |
                                                        AMQP_BASIC_CONTENT_ENCODING_FLAG |
                                                        AMQP_BASIC_DELIVERY_MODE_FLAG,
                                              .content_type = amqp_cstring_bytes("application/json"),
                                              .content_encoding = amqp_cstring_bytes("utf-8"),
                                              .delivery_mode = 1};

        if (request->_flags & AMQP_BASIC_CORRELATION_ID_FLAG) {
                properties._flags |= AMQP_BASIC_CORRELATION_ID_FLAG;
                properties.correlation_id = request->correlation_id;
        }
        return amqp_basic_publish(control->connection, LINK_CHANNEL, amqp_empty_bytes,
                                  amqp_cstring_bytes(address), false, false, &properties,
                                  amqp_cstring_bytes(body)) == AMQP_STATUS_OK;
}

/* False if the owner has left. */
static bool
carry_out(Control *control, amqp_bytes_t body, ControlAnswer *out_answer)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&control->lock);

        if (!control->registry)
                return false;
        *out_answer =
            control_request_serve(control->registry, control->cluster ? control->cluster->name : NULL, body);
        stats_count_control(control->stats, out_answer->refused);
        return true;
}

static bool
serve(Control *control, const amqp_envelope_t *delivery)
{
        const amqp_basic_properties_t *properties = &delivery->message.properties;
        g_auto(ControlAnswer) answer = {0};

        if (!carry_out(control, delivery->message.body, &answer))
                return false;
        if (!answer.address && properties->_flags & AMQP_BASIC_REPLY_TO_FLAG)
                answer.address = g_strndup(properties->reply_to.bytes, properties->reply_to.len);
        bool fine = !answer.address || strlen(answer.address) > ADDRESS_BYTES ||
                    publish(control, answer.address, properties, answer.body);
        return fine && amqp_basic_ack(control->connection, LINK_CHANNEL, delivery->delivery_tag, false) ==
                           AMQP_STATUS_OK;
}

/* ---- the connection ---- */

static bool
check(amqp_connection_state_t connection, GError **error)
{
        amqp_rpc_reply_t reply = amqp_get_rpc_reply(connection);

        if (reply.reply_type == AMQP_RESPONSE_NORMAL)
                return true;
        g_autofree char *why = dial_describe_reply(reply);
        g_set_error_literal(error, DIAL_ERROR, DIAL_ERROR_SETUP, why);
        return false;
}

static bool
set_up(Control *control, GError **error)
{
        amqp_connection_state_t connection = control->connection;

        if (topology_ensure_queue(connection, LINK_CHANNEL, CONTROL_QUEUE, control->conf->quorum, NULL,
                                  error) != TOPOLOGY_OK)
                return false;
        amqp_basic_qos(connection, LINK_CHANNEL, 0, PREFETCH, false);
        if (!check(connection, error))
                return false;
        amqp_basic_consume(connection, LINK_CHANNEL, amqp_cstring_bytes(CONTROL_QUEUE), amqp_empty_bytes,
                           false, false, false, amqp_empty_table);
        return check(connection, error);
}

static bool
open_connection(Control *control, GError **error)
{
        const Conf *conf = control->conf;
        char **urls = control->cluster ? control->cluster->amqp_urls : conf->broker_urls;
        const ConfTls *tls = control->cluster ? &control->cluster->tls : &conf->broker_tls;
        const char *url = urls[control->next_url++ % g_strv_length(urls)];

        control->connection = dial(url, tls, conf->broker_heartbeat_s, "cluster-router control", error);
        return control->connection && set_up(control, error);
}

static void
drop_connection(Control *control)
{
        if (control->connection)
                dial_discard(control->connection);
        control->connection = NULL;
}

/* A frame that is no delivery: the broker tells of memory, of a closed channel, of a queue that is gone. */
static bool
take_other_frame(Control *control)
{
        struct timeval none = {0};
        amqp_frame_t frame;
        int status = amqp_simple_wait_frame_noblock(control->connection, &frame, &none);

        if (status == AMQP_STATUS_TIMEOUT)
                return true;
        return status == AMQP_STATUS_OK && frame.frame_type == AMQP_FRAME_METHOD &&
               (frame.payload.method.id == AMQP_CONNECTION_BLOCKED_METHOD ||
                frame.payload.method.id == AMQP_CONNECTION_UNBLOCKED_METHOD);
}

static bool
is_stopped(Control *control)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&control->lock);

        return control->registry == NULL;
}

/* Serves what comes within a moment. False: the connection is of no use any more. */
static bool
serve_some(Control *control)
{
        struct timeval timeout = {.tv_usec = LOOK_EVERY_MS * 1000};
        amqp_envelope_t delivery;

        amqp_maybe_release_buffers(control->connection);
        amqp_rpc_reply_t reply = amqp_consume_message(control->connection, &delivery, &timeout, 0);
        if (reply.reply_type == AMQP_RESPONSE_NORMAL) {
                bool fine = serve(control, &delivery);

                amqp_destroy_envelope(&delivery);
                return fine;
        }
        if (reply.reply_type != AMQP_RESPONSE_LIBRARY_EXCEPTION)
                return false;
        if (reply.library_error == AMQP_STATUS_UNEXPECTED_STATE)
                return take_other_frame(control);
        return reply.library_error == AMQP_STATUS_TIMEOUT;
}

static void
pause_before_retry(Control *control)
{
        int64_t until_us = g_get_monotonic_time() + backoff_next_ms(&control->backoff) * 1000;
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&control->lock);

        while (control->registry && g_cond_wait_until(&control->wake, &control->lock, until_us))
                continue;
}

static void *
control_thread(void *data)
{
        Control *control = data;

        while (!is_stopped(control)) {
                g_autoptr(GError) error = NULL;

                if (open_connection(control, &error)) {
                        report(control, NULL);
                        backoff_reset(&control->backoff);
                        while (!is_stopped(control) && serve_some(control))
                                continue;
                }
                if (is_stopped(control))
                        break;
                drop_connection(control);
                report(control, error ? error->message : "the connection was lost");
                pause_before_retry(control);
        }
        if (control->connection)
                amqp_connection_close(control->connection, AMQP_REPLY_SUCCESS);
        drop_connection(control);
        g_mutex_lock(&control->lock);
        control->done = true;
        g_cond_broadcast(&control->wake);
        g_mutex_unlock(&control->lock);
        control_unref(control);
        return NULL;
}

Control *
control_new(Conf *conf, const ConfCluster *cluster, Registry *registry, Stats *stats)
{
        Control *control = g_new0(Control, 1);

        g_atomic_ref_count_init(&control->refs);
        g_mutex_init(&control->lock);
        g_cond_init(&control->wake);
        control->conf = conf_ref(conf);
        control->cluster = cluster;
        control->registry = registry;
        control->stats = stats;
        backoff_init(&control->backoff, RETRY_FIRST_MS, conf->retry_max_ms);
        g_atomic_ref_count_inc(&control->refs);
        g_thread_unref(g_thread_new("control", control_thread, control));
        return control;
}

void
control_stop(Control *control)
{
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&control->lock);

        control->registry = NULL;
        control->stats = NULL;
        g_cond_broadcast(&control->wake);
}

void
control_wait(Control *control)
{
        int64_t until_us = g_get_monotonic_time() + GOODBYE_US;
        g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&control->lock);

        while (!control->done && g_cond_wait_until(&control->wake, &control->lock, until_us))
                continue;
}

void
control_free(Control *control)
{
        if (control)
                control_unref(control);
}
