/* SPDX-License-Identifier: MIT */

/*
 * The library's convenient calls (amqp_consume_message and the like) drop or reorder frames that they do not
 * expect, and get slow while deliveries stream in. So frames are read one by one here, and deliveries and
 * returned messages are put together from them.
 *
 * Publishes are put together in an outbox and written many at a time, before anything else is done with the
 * connection.
 *
 * A write can block for ever if the peer stops reading. link_has_room() asks the socket first, a few dozen
 * kilobytes at a time, and a message larger than that is written in pieces, as the socket takes them.
 */

#include "router/link.h"
#include "cluster/backoff.h"
#include "router/assembly.h"
#include "router/dial.h"
#include "router/outbox.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

enum {
        SEND_BUFFER_BYTES = 1 << 20,
        STEADY_US = 10 * 1000 * 1000,
        HEARTBEAT_LOOK_US = 1000 * 1000, /* heartbeats go out and are missed only while reading */
        GRACE_MS = 5000
};

struct Link {
        LinkOptions options;
        LinkState state;
        Backoff backoff;
        int64_t retry_us; /* not before */
        int64_t up_us;    /* since when it is UP */
        unsigned next_url;
        Dialler *dialler;
        amqp_connection_state_t connection;
        int fd;
        uint64_t generation;
        bool blocked;
        bool side_open;
        bool closed;         /* for good */
        bool tls;            /* only the library can write */
        unsigned reads;      /* how often the socket may still be read */
        int64_t expected_us; /* when it last was */
        Outbox *outbox;      /* publishes to be written */
        int64_t room_bytes;
        int64_t room_step_bytes;
        Assembly assembly;
        Guard *guard; /* while UP */
        char *error;
};

Link *
link_new(const LinkOptions *options)
{
        Link *link = g_new0(Link, 1);

        link->options = *options;
        link->options.conf = conf_ref(options->conf);
        link->fd = -1;
        link->outbox = outbox_new();
        backoff_init(&link->backoff, 500, options->conf->retry_max_ms);
        return link;
}

static void
discard(Link *link)
{
        watchdog_release(link->options.home->watchdog, link->guard);
        link->guard = NULL;
        if (link->connection)
                dial_discard(link->connection);
        link->connection = NULL;
        link->fd = -1;
        link->blocked = link->side_open = false;
        assembly_clear(&link->assembly);
        outbox_clear(link->outbox);
        link->state = LINK_DOWN;
}

void
link_free(Link *link)
{
        if (!link)
                return;
        discard(link);
        dialler_unref(link->dialler);
        outbox_free(link->outbox);
        conf_unref(link->options.conf);
        g_free(link->error);
        g_free(link);
}

void
link_close(Link *link, int64_t until_us)
{
        int64_t left_us = until_us - g_get_monotonic_time();
        struct timeval left = {.tv_usec = CLAMP(left_us, 0, G_USEC_PER_SEC - 1)};

        if (link->connection && left.tv_usec > 0) {
                amqp_set_rpc_timeout(link->connection, &left);
                amqp_connection_close(link->connection, AMQP_REPLY_SUCCESS);
        }
        discard(link);
        link->closed = true;
}

void
link_fail(Link *link, const char *format, ...)
{
        int64_t now_us = g_get_monotonic_time();
        va_list arguments;

        /* One that held for a while was no failed attempt. */
        if (link->state == LINK_UP && now_us - link->up_us > STEADY_US)
                backoff_reset(&link->backoff);
        discard(link);
        va_start(arguments, format);
        g_free(link->error);
        link->error = g_strdup_vprintf(format, arguments);
        va_end(arguments);
        link->retry_us = now_us + backoff_next_ms(&link->backoff) * 1000;
}

static void
adopt(Link *link, int64_t now_us)
{
        const Conf *conf = link->options.conf;
        int size = SEND_BUFFER_BYTES;
        socklen_t length = sizeof(size);

        link->fd = amqp_get_sockfd(link->connection);
        setsockopt(link->fd, SOL_SOCKET, SO_SNDBUF, &size, length);
        if (getsockopt(link->fd, SOL_SOCKET, SO_SNDBUF, &size, &length) < 0)
                size = SEND_BUFFER_BYTES;
        /* Writable means that a third of the buffer is free; half of that goes to the kernel's own
         * book-keeping. */
        link->room_step_bytes = size / 8;
        link->room_bytes = 0;
        link->guard = watchdog_guard(link->options.home->watchdog, link->fd,
                                     conf->broker_heartbeat_s * 2000 + GRACE_MS, conf->hold_time_ms);
        link->state = LINK_UP;
        link->up_us = now_us;
        link->reads = UINT_MAX;
        link->generation++;
        g_clear_pointer(&link->error, g_free);
}

static void
start_dial(Link *link)
{
        const LinkOptions *options = &link->options;
        DiallerOptions attempt = {.conf = options->conf,
                                  .route = options->route,
                                  .url = options->urls[link->next_url],
                                  .tls = options->tls,
                                  .role = options->role,
                                  .setup = options->setup,
                                  .wake_fd = options->home->wake_fd};

        link->tls = g_ascii_strncasecmp(attempt.url, "amqps:", strlen("amqps:")) == 0;
        link->next_url++;
        if (!options->urls[link->next_url])
                link->next_url = 0;
        link->dialler = dialler_start(&attempt);
        link->state = LINK_DIALLING;
}

static void
finish_dial(Link *link, int64_t now_us)
{
        const char *error = NULL;

        if (!dialler_is_done(link->dialler))
                return;
        link->connection = dialler_take(link->dialler, &error);
        if (link->connection)
                adopt(link, now_us);
        else
                link_fail(link, "%s", error);
        g_clear_pointer(&link->dialler, dialler_unref);
}

LinkState
link_tick(Link *link, int64_t now_us)
{
        if (link->closed)
                return LINK_DOWN;
        if (link->state == LINK_DIALLING)
                finish_dial(link, now_us);
        else if (link->state == LINK_DOWN && now_us >= link->retry_us)
                start_dial(link);
        else if (link->state == LINK_UP && now_us - link->expected_us >= HEARTBEAT_LOOK_US)
                link_expect(link, 1, now_us);
        return link->state;
}

LinkState
link_state(const Link *link)
{
        return link->state;
}

const char *
link_error(const Link *link)
{
        return link->state == LINK_UP ? NULL : link->error;
}

bool
link_is_blocked(const Link *link)
{
        return link->blocked;
}

uint64_t
link_generation(const Link *link)
{
        return link->generation;
}

int
link_fd(const Link *link)
{
        return link->fd;
}

bool
link_has_buffered(const Link *link)
{
        return link->connection &&
               (amqp_frames_enqueued(link->connection) || amqp_data_in_buffer(link->connection));
}

amqp_connection_state_t
link_connection(Link *link)
{
        return link->connection;
}

bool
link_has_room(Link *link)
{
        struct pollfd socket = {.fd = link->fd, .events = POLLOUT};

        if (link->state != LINK_UP || link->blocked)
                return false;
        if (link->room_bytes > 0 && !link_is_writing(link))
                return true;
        if (!link_flush(link) || link_is_writing(link) || poll(&socket, 1, 0) < 1 ||
            !(socket.revents & POLLOUT))
                return false;
        link->room_bytes = link->room_step_bytes;
        return true;
}

bool
link_flush(Link *link)
{
        if (outbox_is_empty(link->outbox))
                return true;
        guard_step(link->guard);

        int status = outbox_flush(link->outbox, link->connection);

        guard_step(link->guard);

        if (status != AMQP_STATUS_OK)
                link_fail(link, "publish failed: %s", amqp_error_string2(status));
        return status == AMQP_STATUS_OK;
}

bool
link_is_writing(const Link *link)
{
        return outbox_is_writing(link->outbox);
}

bool
link_publish(Link *link, amqp_bytes_t exchange, amqp_bytes_t key, const amqp_basic_properties_t *properties,
             amqp_bytes_t body)
{
        guard_step(link->guard);

        int status = outbox_publish(link->outbox, link->connection, !link->tls, LINK_CHANNEL, exchange, key,
                                    properties, body);

        guard_step(link->guard);

        if (status != AMQP_STATUS_OK) {
                link_fail(link, "publish failed: %s", amqp_error_string2(status));
                return false;
        }
        link->room_bytes -= outbox_last_bytes(link->outbox);
        return true;
}

bool
link_send(Link *link, amqp_channel_t channel, amqp_method_number_t id, void *method)
{
        if (!link->connection || !link_flush(link))
                return false;
        guard_step(link->guard);

        int status = amqp_send_method(link->connection, channel, id, method);

        guard_step(link->guard);

        if (status != AMQP_STATUS_OK)
                link_fail(link, "send failed: %s", amqp_error_string2(status));
        return status == AMQP_STATUS_OK;
}

static bool
open_channel(Link *link, amqp_channel_t channel)
{
        amqp_channel_open_t open = {0};

        return link_send(link, channel, AMQP_CHANNEL_OPEN_METHOD, &open);
}

bool
link_open_side(Link *link)
{
        if (!link->side_open)
                link->side_open = open_channel(link, LINK_SIDE_CHANNEL);
        return link->side_open && link_flush(link);
}

bool
link_reopen(Link *link)
{
        link->generation++;
        return open_channel(link, LINK_CHANNEL);
}

/* ---- reading ---- */

static LinkEventKind
lost(Link *link, LinkEvent *out, const char *why)
{
        link_fail(link, "%s", why);
        return out->kind = LINK_EVENT_LOST;
}

static void
describe_close(LinkEvent *out, uint16_t code, amqp_bytes_t text)
{
        out->code = code;
        g_snprintf(out->text, sizeof(out->text), "%u %.*s", code, (int)MIN(text.len, 150),
                   (const char *)text.bytes);
}

static LinkEventKind
on_channel_close(Link *link, const amqp_frame_t *frame, LinkEvent *out)
{
        amqp_channel_close_t *method = frame->payload.method.decoded;
        amqp_channel_close_ok_t ok = {0};

        describe_close(out, method->reply_code, method->reply_text);
        /* What is left of a publish there would be taken for one on the new channel. */
        if (frame->channel == LINK_CHANNEL)
                outbox_clear(link->outbox);
        if (!link_send(link, frame->channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok))
                return LINK_EVENT_LOST;
        if (frame->channel == LINK_CHANNEL)
                return LINK_EVENT_CHANNEL_CLOSED;
        link->side_open = false;
        return LINK_EVENT_SIDE_CLOSED;
}

static LinkEventKind
on_declared(const amqp_queue_declare_ok_t *method, LinkEvent *out)
{
        out->messages = method->message_count;
        out->consumers = method->consumer_count;
        return LINK_EVENT_DECLARED;
}

static LinkEventKind
on_confirm(uint64_t tag, bool multiple, LinkEventKind kind, LinkEvent *out)
{
        out->tag = tag;
        out->multiple = multiple;
        return kind;
}

static LinkEventKind
on_method(Link *link, const amqp_frame_t *frame, LinkEvent *out)
{
        void *decoded = frame->payload.method.decoded;

        switch (frame->payload.method.id) {
        case AMQP_BASIC_DELIVER_METHOD:
                assembly_begin_delivery(&link->assembly, decoded);
                return LINK_EVENT_NOTHING;
        case AMQP_BASIC_RETURN_METHOD:
                assembly_begin_return(&link->assembly, decoded);
                return LINK_EVENT_NOTHING;
        case AMQP_BASIC_ACK_METHOD:
                return on_confirm(((amqp_basic_ack_t *)decoded)->delivery_tag,
                                  ((amqp_basic_ack_t *)decoded)->multiple, LINK_EVENT_ACK, out);
        case AMQP_BASIC_NACK_METHOD:
                return on_confirm(((amqp_basic_nack_t *)decoded)->delivery_tag,
                                  ((amqp_basic_nack_t *)decoded)->multiple, LINK_EVENT_NACK, out);
        case AMQP_BASIC_CANCEL_METHOD:
                return LINK_EVENT_CANCELLED;
        case AMQP_BASIC_CANCEL_OK_METHOD:
                out->consumer = assembly_consumer(((amqp_basic_cancel_ok_t *)decoded)->consumer_tag);
                return LINK_EVENT_CANCEL_OK;
        case AMQP_QUEUE_DECLARE_OK_METHOD:
                return on_declared(decoded, out);
        case AMQP_CHANNEL_CLOSE_METHOD:
                return on_channel_close(link, frame, out);
        case AMQP_CONNECTION_BLOCKED_METHOD:
        case AMQP_CONNECTION_UNBLOCKED_METHOD:
                link->blocked = frame->payload.method.id == AMQP_CONNECTION_BLOCKED_METHOD;
                return LINK_EVENT_NOTHING;
        case AMQP_CONNECTION_CLOSE_METHOD:
                describe_close(out, ((amqp_connection_close_t *)decoded)->reply_code,
                               ((amqp_connection_close_t *)decoded)->reply_text);
                return lost(link, out, out->text);
        default:
                return LINK_EVENT_NOTHING;
        }
}

static LinkEventKind
on_frame(Link *link, const amqp_frame_t *frame, LinkEvent *out)
{
        if (!assembly_is_in_place(frame))
                return lost(link, out, "the broker sent a frame on a wrong channel");
        if (frame->frame_type == AMQP_FRAME_METHOD)
                return on_method(link, frame, out);

        const char *error = assembly_add(&link->assembly, frame);

        if (error)
                return lost(link, out, error);
        out->message = assembly_take(&link->assembly);
        if (!out->message)
                return LINK_EVENT_NOTHING;
        return out->message->reply_code ? LINK_EVENT_RETURN : LINK_EVENT_DELIVERY;
}

void
link_expect(Link *link, unsigned reads, int64_t now_us)
{
        /* What TLS has read of a record already, poll() does not know of. */
        link->reads = link->tls ? UINT_MAX : reads;
        link->expected_us = now_us;
}

/* May the next frame be asked for? It may need a look at the socket. */
static bool
may_read(Link *link)
{
        if (!link->connection)
                return false;
        if (link_has_buffered(link))
                return true;
        if (link->reads == 0)
                return false;
        link->reads--;
        return true;
}

LinkEventKind
link_next(Link *link, LinkEvent *out_event)
{
        static const struct timeval now = {0};
        amqp_frame_t frame;

        *out_event = (LinkEvent){.kind = LINK_EVENT_NOTHING};
        if (!link_flush(link))
                return out_event->kind = LINK_EVENT_LOST;
        while (out_event->kind == LINK_EVENT_NOTHING && may_read(link)) {
                guard_step(link->guard);

                int status = amqp_simple_wait_frame_noblock(link->connection, &frame, &now);

                guard_step(link->guard);

                if (status == AMQP_STATUS_TIMEOUT) {
                        link->reads = 0;
                        return LINK_EVENT_NOTHING;
                }
                if (status != AMQP_STATUS_OK)
                        return lost(link, out_event, amqp_error_string2(status));
                out_event->kind = on_frame(link, &frame, out_event);
                if (link->connection && !assembly_needs_buffers(&link->assembly))
                        amqp_maybe_release_buffers_on_channel(link->connection, LINK_CHANNEL);
        }
        return out_event->kind;
}
