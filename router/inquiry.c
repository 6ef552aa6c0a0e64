/* SPDX-License-Identifier: MIT */

/*
 * One list, in the order in which things were asked. Those that are sent and not answered stand in the order
 * in which they were sent, since a refusal puts all that were sent back to be sent again, in that order.
 *
 * A declare with other arguments than the queue has is refused; a passive one ignores the arguments. So what
 * cannot be made is looked at, and used if it is there: the same question goes out a second time.
 */

#include "router/inquiry.h"
#include "router/topology.h"

#include <string.h>

enum { FORGOTTEN_US = 60 * 1000 * 1000 };

typedef struct {
        InquiryKind kind;
        char *queue;
        int64_t asked_us;
        bool sent;
        bool looking; /* could not be made: is it there? */
        InquiryResult result;
        InquiryAnswer answer;
} Inquiry;

struct Inquiries {
        GQueue list; /* of Inquiry *, by asked_us */
        amqp_table_entry_t type;
        amqp_table_entry_t expiry;
        bool quorum;
};

Inquiries *
inquiries_new(bool quorum)
{
        Inquiries *inquiries = g_new0(Inquiries, 1);

        g_queue_init(&inquiries->list);
        inquiries->quorum = quorum;
        inquiries->type = topology_quorum_argument();
        inquiries->expiry = topology_reply_argument();
        return inquiries;
}

static void
inquiry_free(void *data)
{
        Inquiry *inquiry = data;

        g_free(inquiry->queue);
        g_free(inquiry);
}

void
inquiries_clear(Inquiries *inquiries)
{
        g_queue_clear_full(&inquiries->list, inquiry_free);
}

void
inquiries_free(Inquiries *inquiries)
{
        if (!inquiries)
                return;
        inquiries_clear(inquiries);
        g_free(inquiries);
}

static void
remove_link(Inquiries *inquiries, GList *link)
{
        inquiry_free(link->data);
        g_queue_delete_link(&inquiries->list, link);
}

static void
drop_forgotten(Inquiries *inquiries, int64_t now_us)
{
        const Inquiry *oldest;

        while ((oldest = g_queue_peek_head(&inquiries->list)) != NULL && oldest->result != INQUIRY_PENDING &&
               now_us - oldest->asked_us > FORGOTTEN_US)
                remove_link(inquiries, inquiries->list.head);
}

static GList *
find(Inquiries *inquiries, InquiryKind kind, const char *queue)
{
        for (GList *link = inquiries->list.head; link; link = link->next) {
                const Inquiry *inquiry = link->data;

                if (inquiry->kind == kind && strcmp(inquiry->queue, queue) == 0)
                        return link;
        }
        return NULL;
}

InquiryResult
inquiries_ask(Inquiries *inquiries, InquiryKind kind, const char *queue, int64_t now_us,
              InquiryAnswer *out_answer)
{
        GList *link;
        InquiryResult result;

        drop_forgotten(inquiries, now_us);
        link = find(inquiries, kind, queue);
        if (!link) {
                Inquiry *inquiry = g_new0(Inquiry, 1);

                inquiry->kind = kind;
                inquiry->queue = g_strdup(queue);
                inquiry->asked_us = now_us;
                g_queue_push_tail(&inquiries->list, inquiry);
                return INQUIRY_PENDING;
        }
        result = ((const Inquiry *)link->data)->result;
        if (result != INQUIRY_PENDING) {
                *out_answer = ((const Inquiry *)link->data)->answer;
                remove_link(inquiries, link);
        }
        return result;
}

static amqp_table_t
arguments_of(Inquiries *inquiries, const Inquiry *inquiry)
{
        if (inquiry->kind == INQUIRY_REPLY)
                return (amqp_table_t){.num_entries = 1, .entries = &inquiries->expiry};
        if (inquiry->kind == INQUIRY_ENSURE && !inquiry->looking && inquiries->quorum)
                return (amqp_table_t){.num_entries = 1, .entries = &inquiries->type};
        return amqp_empty_table;
}

bool
inquiries_next(Inquiries *inquiries, amqp_queue_declare_t *out_method)
{
        for (GList *link = inquiries->list.head; link; link = link->next) {
                Inquiry *inquiry = link->data;

                if (inquiry->sent)
                        continue;
                inquiry->sent = true;
                *out_method =
                    (amqp_queue_declare_t){.queue = amqp_cstring_bytes(inquiry->queue),
                                           .passive = inquiry->kind == INQUIRY_LOOK || inquiry->looking,
                                           .durable = inquiry->kind == INQUIRY_ENSURE && !inquiry->looking,
                                           .arguments = arguments_of(inquiries, inquiry)};
                return true;
        }
        return false;
}

/* The one that the broker speaks of. */
static Inquiry *
oldest_sent(const Inquiries *inquiries)
{
        for (const GList *link = inquiries->list.head; link; link = link->next) {
                Inquiry *inquiry = link->data;

                if (inquiry->sent && inquiry->result == INQUIRY_PENDING)
                        return inquiry;
        }
        return NULL;
}

void
inquiries_answer(Inquiries *inquiries, uint32_t messages, uint32_t consumers)
{
        Inquiry *inquiry = oldest_sent(inquiries);

        if (!inquiry)
                return;
        inquiry->result = INQUIRY_OK;
        inquiry->answer.messages = messages;
        inquiry->answer.consumers = consumers;
}

static void
refuse(Inquiry *inquiry, uint16_t code, const char *text)
{
        bool absent = inquiry->kind == INQUIRY_LOOK && code == AMQP_NOT_FOUND;

        /* Neither made nor seen: then the first refusal tells why. */
        if (!inquiry->looking)
                g_snprintf(inquiry->answer.text, sizeof(inquiry->answer.text), "queue \"%.80s\": %s",
                           inquiry->queue, text);
        if (inquiry->kind == INQUIRY_ENSURE && !inquiry->looking)
                inquiry->looking = true;
        else
                inquiry->result = absent ? INQUIRY_ABSENT : INQUIRY_REFUSED;
}

void
inquiries_refuse(Inquiries *inquiries, uint16_t code, const char *text)
{
        Inquiry *refused = oldest_sent(inquiries);

        if (refused)
                refuse(refused, code, text);
        for (GList *link = inquiries->list.head; link; link = link->next) {
                Inquiry *inquiry = link->data;

                inquiry->sent &= inquiry->result != INQUIRY_PENDING;
        }
}

int64_t
inquiries_waiting_since_us(const Inquiries *inquiries)
{
        for (const GList *link = inquiries->list.head; link; link = link->next) {
                const Inquiry *inquiry = link->data;

                if (inquiry->result == INQUIRY_PENDING)
                        return inquiry->asked_us;
        }
        return 0;
}
