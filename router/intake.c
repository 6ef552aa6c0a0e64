/* SPDX-License-Identifier: MIT */

/*
 * Consumers are numbered, and the number is their tag ("c0", "c17"), so that a delivery tells where it came
 * from without a look-up. Nothing here waits for the broker: consume and cancel are sent without asking for
 * an answer, since a call made while deliveries stream in would have to step over all of them.
 */

#include "router/intake.h"
#include "router/dial.h"
#include "router/topology.h"

#include <amqp_framing.h>

enum { GAP_PATIENCE_US = 50 * 1000, BEAT_US = 500 * 1000 };

struct Intake {
        IntakeKind kind;
        Link *link;
        Ledger *ledger;
        uint64_t generation; /* of the channel that the ledger belongs to */
        bool was_up;         /* that channel was up: its end is to be told */
        int64_t beat_us;     /* when intake_rest() last sent a heartbeat */
        /* Of the shared intake: */
        const char *queue;
        unsigned window;
        uint64_t consumed; /* generation of the channel that consumes */
        bool stopped;
        bool acknowledged;
};

static bool
set_up_shared(amqp_connection_state_t connection, const Conf *conf, const ConfRoute *route, GError **error)
{
        return topology_ensure_intake(connection, LINK_CHANNEL, conf, route, error) == TOPOLOGY_OK;
}

static bool
set_up_nothing(amqp_connection_state_t connection, const Conf *conf, const ConfRoute *route, GError **error)
{
        return true;
}

Intake *
intake_new(IntakeKind kind, Conf *conf, const ConfRoute *route, const char *const *urls, const ConfTls *tls,
           const LinkHome *home)
{
        static const char *const roles[] = {"intake", "parking", "replies", "hosts"};
        Intake *intake = g_new0(Intake, 1);
        LinkOptions options = {.conf = conf,
                               .route = route,
                               .urls = urls,
                               .tls = tls,
                               .role = roles[kind],
                               .setup = kind == INTAKE_SHARED ? set_up_shared : set_up_nothing,
                               .home = home};

        intake->kind = kind;
        intake->queue = route->queue;
        intake->link = link_new(&options);
        intake->ledger = ledger_new();
        return intake;
}

void
intake_free(Intake *intake)
{
        if (!intake)
                return;
        link_free(intake->link);
        ledger_free(intake->ledger);
        g_free(intake);
}

IntakeKind
intake_kind(const Intake *intake)
{
        return intake->kind;
}

Link *
intake_link(Intake *intake)
{
        return intake->link;
}

Ledger *
intake_ledger(Intake *intake)
{
        return intake->ledger;
}

static IntakeEventKind
on_event(Intake *intake, const LinkEvent *event, IntakeEvent *out)
{
        switch (event->kind) {
        case LINK_EVENT_DELIVERY:
                out->message = event->message;
                return INTAKE_MESSAGE;
        case LINK_EVENT_CANCEL_OK:
                out->number = event->consumer;
                return INTAKE_CANCELLED;
        case LINK_EVENT_CANCELLED:
                link_fail(intake->link, "the broker ended the consumer: its queue was deleted or moved");
                return INTAKE_LOST;
        case LINK_EVENT_CHANNEL_CLOSED:
                link_fail(intake->link, "the broker closed the channel: %s", event->text);
                return INTAKE_LOST;
        case LINK_EVENT_LOST:
                return INTAKE_LOST;
        default:
                message_free(event->message);
                return INTAKE_NOTHING;
        }
}

/* A new channel of the shared intake does not consume yet. */
static void
consume_shared(Intake *intake)
{
        uint64_t generation = link_generation(intake->link);

        if (intake->kind != INTAKE_SHARED || intake->stopped || intake->window == 0 ||
            intake->consumed == generation || link_state(intake->link) != LINK_UP)
                return;
        intake->consumed = generation;
        intake_consume(intake, 0, intake->queue, intake->window);
}

IntakeEventKind
intake_next(Intake *intake, IntakeEvent *out_event)
{
        LinkEvent event;

        *out_event = (IntakeEvent){.kind = INTAKE_NOTHING};
        /* The link may also have failed elsewhere, in a send. What was consumed there is gone with it, also
         * if nothing is in the ledger. */
        if (intake->generation != link_generation(intake->link) || link_state(intake->link) != LINK_UP) {
                bool lost = intake->was_up || ledger_count(intake->ledger) > 0;

                intake->generation = link_generation(intake->link);
                intake->was_up = link_state(intake->link) == LINK_UP;
                if (lost)
                        return out_event->kind = INTAKE_LOST;
                ledger_reset(intake->ledger, NULL, NULL);
        }
        consume_shared(intake);
        while (out_event->kind == INTAKE_NOTHING && link_next(intake->link, &event) != LINK_EVENT_NOTHING)
                out_event->kind = on_event(intake, &event, out_event);
        return out_event->kind;
}

/* The library sends heartbeats only while it reads, and before one only once it has read all that it holds.
 */
void
intake_rest(Intake *intake, int64_t now_us)
{
        amqp_frame_t beat = {.frame_type = AMQP_FRAME_HEARTBEAT};

        if (link_state(intake->link) != LINK_UP || now_us - intake->beat_us < BEAT_US)
                return;
        intake->beat_us = now_us;

        int status = amqp_send_frame(link_connection(intake->link), &beat);

        if (status != AMQP_STATUS_OK)
                link_fail(intake->link, "send failed: %s", amqp_error_string2(status));
}

void
intake_consume(Intake *intake, int number, const char *queue, unsigned prefetch)
{
        g_autofree char *tag = g_strdup_printf("c%d", number);
        amqp_basic_qos_t qos = {.prefetch_count = (uint16_t)prefetch};
        amqp_basic_consume_t consume = {
            .queue = amqp_cstring_bytes(queue), .consumer_tag = amqp_cstring_bytes(tag), .nowait = 1};

        if (link_send(intake->link, LINK_CHANNEL, AMQP_BASIC_QOS_METHOD, &qos))
                link_send(intake->link, LINK_CHANNEL, AMQP_BASIC_CONSUME_METHOD, &consume);
}

static void
cancel(Intake *intake, int number, bool silently)
{
        g_autofree char *tag = g_strdup_printf("c%d", number);
        amqp_basic_cancel_t method = {.consumer_tag = amqp_cstring_bytes(tag), .nowait = silently};

        if (link_state(intake->link) == LINK_UP)
                link_send(intake->link, LINK_CHANNEL, AMQP_BASIC_CANCEL_METHOD, &method);
}

void
intake_cancel(Intake *intake, int number)
{
        cancel(intake, number, false);
}

void
intake_set_window(Intake *intake, unsigned messages)
{
        bool consuming = intake->consumed == link_generation(intake->link);

        intake->window = messages;
        if (consuming && link_state(intake->link) == LINK_UP && !intake->stopped) {
                cancel(intake, 0, true);
                intake->consumed = 0;
        }
}

bool
intake_has_acknowledged(const Intake *intake)
{
        return intake->acknowledged;
}

void
intake_stop(Intake *intake)
{
        intake->stopped = true;
        cancel(intake, 0, false);
}

static bool
tell(Intake *intake, LedgerAckKind kind, uint64_t tag)
{
        amqp_basic_ack_t ack = {.delivery_tag = tag, .multiple = kind == LEDGER_ACK_UPTO};
        amqp_basic_nack_t back = {.delivery_tag = tag, .requeue = 1};

        if (kind == LEDGER_BACK_ONE)
                return link_send(intake->link, LINK_CHANNEL, AMQP_BASIC_NACK_METHOD, &back);
        intake->acknowledged = true;
        return link_send(intake->link, LINK_CHANNEL, AMQP_BASIC_ACK_METHOD, &ack);
}

void
intake_flush(Intake *intake, int64_t now_us)
{
        uint64_t tag;
        LedgerAckKind kind;

        if (link_state(intake->link) != LINK_UP)
                return;
        while ((kind = ledger_next_ack(intake->ledger, now_us, GAP_PATIENCE_US, &tag)) != LEDGER_ACK_NONE) {
                if (!tell(intake, kind, tag))
                        return;
        }
}
