/* SPDX-License-Identifier: MIT */

/*
 * A publish to a missing exchange, or one the broker does not allow, does not come back: it closes the
 * channel, and with it the fate of everything unconfirmed is unknown. To find the offender, all of those are
 * published again one at a time (`careful`): the one during which the channel closes again is it.
 */

#include "router/outlet.h"
#include "conf/trouble.h"
#include "router/dial.h"

#include <amqp_framing.h>
#include <string.h>

struct Outlet {
        Link *link;
        Inquiries *inquiries;
        uint64_t asked_on; /* generation of the link when the questions were asked */
        Window *window;
        Flight *alone;  /* the flight that must be the only one, or NULL */
        size_t careful; /* so many publishes still go one at a time */
        /* A confirm or refusal not yet handed out whole. */
        LinkEventKind settling;
        uint64_t settling_seq;
        bool settling_multiple;
        bool abandoning;     /* the window is being emptied: each flight is UNSURE */
        uint64_t generation; /* of the channel that the window belongs to */
};

static bool
set_up(amqp_connection_state_t connection, const Conf *conf, const ConfRoute *route, GError **error)
{
        amqp_confirm_select(connection, LINK_CHANNEL);

        amqp_rpc_reply_t reply = amqp_get_rpc_reply(connection);

        if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
                g_autofree char *why = dial_describe_reply(reply);

                g_set_error(error, TROUBLE, TROUBLE_OUTSIDE, "cannot switch confirms on: %s", why);
                return false;
        }
        return true;
}

Outlet *
outlet_new(Conf *conf, const ConfRoute *route, const char *const *urls, const ConfTls *tls,
           const LinkHome *home)
{
        Outlet *outlet = g_new0(Outlet, 1);
        LinkOptions options = {.conf = conf,
                               .route = route,
                               .urls = urls,
                               .tls = tls,
                               .role = "outlet",
                               .setup = set_up,
                               .home = home};

        outlet->link = link_new(&options);
        outlet->inquiries = inquiries_new(conf->quorum);
        outlet->window = window_new();
        return outlet;
}

void
outlet_free(Outlet *outlet)
{
        if (!outlet)
                return;
        link_free(outlet->link);
        inquiries_free(outlet->inquiries);
        window_free(outlet->window);
        g_free(outlet);
}

Link *
outlet_link(Outlet *outlet)
{
        return outlet->link;
}

/* A window belongs to one channel: with a new channel, what is left of the old one is unsure and numbers
 * start anew. */
static void
follow_link(Outlet *outlet)
{
        uint64_t generation = link_generation(outlet->link);

        if (outlet->generation == generation && link_state(outlet->link) == LINK_UP)
                return;
        if (window_count(outlet->window) > 0) {
                outlet->abandoning = true;
                return;
        }
        window_abandon(outlet->window);
        outlet->generation = generation;
        /* A broker under an alarm takes a connection, but not what is published there, until the alarm is
         * over: the first publish tells, and only that one can become two. */
        outlet->careful = MAX(outlet->careful, 1);
}

bool
outlet_is_ready(Outlet *outlet, bool alone)
{
        bool busy = window_count(outlet->window) > 0;

        follow_link(outlet);
        if (outlet->abandoning || outlet->alone || (busy && (alone || outlet->careful > 0)))
                return false;
        return link_has_room(outlet->link);
}

uint64_t
outlet_next_seq(const Outlet *outlet)
{
        return window_next_seq(outlet->window);
}

void
outlet_publish(Outlet *outlet, Flight *flight, bool alone, amqp_bytes_t exchange, amqp_bytes_t key,
               const amqp_basic_properties_t *properties, amqp_bytes_t body)
{
        flight->returned = 0;
        window_publish(outlet->window, flight);
        if (alone)
                outlet->alone = flight;
        if (!link_publish(outlet->link, exchange, key, properties, body))
                outlet->abandoning = true;
}

static bool
hand_out(Outlet *outlet, Flight *flight, OutletEventKind kind, OutletEvent *out)
{
        if (!flight)
                return false;
        if (flight == outlet->alone)
                outlet->alone = NULL;
        if (kind != OUTLET_UNSURE && outlet->careful > 0)
                outlet->careful--;
        out->flight = flight;
        out->kind = kind;
        return true;
}

/* Goes on with what earlier events left to be handed out. */
static bool
next_of_settling(Outlet *outlet, OutletEvent *out)
{
        if (outlet->settling != LINK_EVENT_NOTHING) {
                Flight *flight =
                    window_confirm(outlet->window, outlet->settling_seq, outlet->settling_multiple);
                OutletEventKind kind = outlet->settling == LINK_EVENT_NACK ? OUTLET_NACKED : OUTLET_CONFIRMED;

                if (flight && flight->returned)
                        kind = OUTLET_RETURNED;
                if (hand_out(outlet, flight, kind, out))
                        return true;
                outlet->settling = LINK_EVENT_NOTHING;
        }
        if (outlet->abandoning) {
                if (hand_out(outlet, window_abandon(outlet->window), OUTLET_UNSURE, out))
                        return true;
                outlet->abandoning = false;
        }
        return false;
}

static void
on_returned(Outlet *outlet, Message *message)
{
        int64_t seq = message_header_int(message, "x-router-seq", 0);
        Flight *flight = outlet->alone ? outlet->alone : window_find(outlet->window, (uint64_t)seq);

        if (flight)
                flight->returned = message->reply_code;
        else
                g_warning("the broker returned a message that was not published here");
        message_free(message);
}

/* Nobody waits for the broker here: it does one after the other, and the answers say nothing new. */
static void
reopen(Outlet *outlet)
{
        Link *link = outlet->link;
        amqp_confirm_select_t confirms = {.nowait = 1};
        bool same = outlet->asked_on == link_generation(link);

        if (!link_reopen(link) || !link_send(link, LINK_CHANNEL, AMQP_CONFIRM_SELECT_METHOD, &confirms))
                g_debug("the channel could not be reopened: %s", link_error(link));
        /* Questions go through the other channel. */
        if (same)
                outlet->asked_on = link_generation(link);
}

/* The channel closed. With one flight in the window it is the offender; with more, nobody knows. */
static bool
on_channel_closed(Outlet *outlet, const LinkEvent *event, OutletEvent *out)
{
        size_t count = window_count(outlet->window);
        Flight *offender = count == 1 ? window_abandon(outlet->window) : NULL;

        outlet->careful += count > 1 ? count : 0;
        outlet->abandoning = true;
        out->code = event->code;
        g_strlcpy(out->text, event->text, sizeof(out->text));
        reopen(outlet);
        return hand_out(outlet, offender, OUTLET_REFUSED, out);
}

OutletEventKind
outlet_next(Outlet *outlet, OutletEvent *out_event)
{
        LinkEvent event;

        *out_event = (OutletEvent){.kind = OUTLET_NOTHING};
        follow_link(outlet);
        while (!next_of_settling(outlet, out_event)) {
                switch (link_next(outlet->link, &event)) {
                case LINK_EVENT_NOTHING:
                        return OUTLET_NOTHING;
                case LINK_EVENT_ACK:
                case LINK_EVENT_NACK:
                        outlet->settling = event.kind;
                        outlet->settling_seq = event.tag;
                        outlet->settling_multiple = event.multiple;
                        break;
                case LINK_EVENT_RETURN:
                        on_returned(outlet, event.message);
                        break;
                case LINK_EVENT_CHANNEL_CLOSED:
                        if (on_channel_closed(outlet, &event, out_event))
                                return out_event->kind;
                        break;
                case LINK_EVENT_DECLARED:
                        inquiries_answer(outlet->inquiries, event.messages, event.consumers);
                        break;
                case LINK_EVENT_SIDE_CLOSED:
                        inquiries_refuse(outlet->inquiries, event.code, event.text);
                        break;
                case LINK_EVENT_LOST:
                        outlet->abandoning = true;
                        break;
                default:
                        message_free(event.message);
                }
        }
        return out_event->kind;
}

Flight *
outlet_oldest(const Outlet *outlet)
{
        return window_oldest(outlet->window);
}

size_t
outlet_unconfirmed(const Outlet *outlet)
{
        return window_count(outlet->window);
}

void
outlet_abandon(Outlet *outlet, const char *why)
{
        if (link_state(outlet->link) == LINK_UP)
                link_fail(outlet->link, "%s", why);
        outlet->abandoning = true;
}

/* ---- questions ---- */

static bool
is_answering(const Outlet *outlet)
{
        return outlet->asked_on == link_generation(outlet->link) && link_state(outlet->link) == LINK_UP;
}

InquiryResult
outlet_ask(Outlet *outlet, InquiryKind kind, const char *queue, int64_t now_us, InquiryAnswer *out_answer)
{
        amqp_queue_declare_t method;
        InquiryResult result;

        /* A connection that is gone answers nothing more. */
        if (!is_answering(outlet))
                inquiries_clear(outlet->inquiries);
        outlet->asked_on = link_generation(outlet->link);
        if (link_state(outlet->link) != LINK_UP || link_is_blocked(outlet->link))
                return INQUIRY_PENDING;
        result = inquiries_ask(outlet->inquiries, kind, queue, now_us, out_answer);
        while (link_has_room(outlet->link) && link_open_side(outlet->link) &&
               inquiries_next(outlet->inquiries, &method)) {
                if (!link_send(outlet->link, LINK_SIDE_CHANNEL, AMQP_QUEUE_DECLARE_METHOD, &method))
                        break;
        }
        return result;
}

int64_t
outlet_asked_us(const Outlet *outlet)
{
        return is_answering(outlet) ? inquiries_waiting_since_us(outlet->inquiries) : 0;
}
