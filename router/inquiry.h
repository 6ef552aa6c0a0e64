/* SPDX-License-Identifier: MIT */
#pragma once

#include <amqp.h>
#include <amqp_framing.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Questions about queues to one broker, which answers when it likes: what was asked on one channel, in which
 * order, and what came back. Pure: somebody else sends them and hears the answers, which come in the order of
 * the questions. A refusal closes the channel: what was asked behind the refused one has to be sent again.
 */
typedef struct Inquiries Inquiries;

typedef enum {
        INQUIRY_ENSURE, /* make the queue, durable, if it is not there */
        INQUIRY_REPLY,  /* make a queue for replies: see topology.h */
        INQUIRY_LOOK,   /* is it there? */
} InquiryKind;

typedef enum {
        INQUIRY_PENDING, /* nobody can tell yet */
        INQUIRY_OK,
        INQUIRY_ABSENT,  /* LOOK only */
        INQUIRY_REFUSED, /* the broker said no */
} InquiryResult;

typedef struct {
        uint32_t messages; /* OK, of queues for messages: how many are ready in it */
        uint32_t consumers;
        char text[160]; /* REFUSED: what the broker said */
} InquiryAnswer;

Inquiries *inquiries_new(bool quorum); /* what is made is a quorum queue, but for replies */
void inquiries_free(Inquiries *inquiries);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Inquiries, inquiries_free)

/*
 * The answer, handed out once; until it is there PENDING, and the question is entered unless it was. @out is
 * set with any result but PENDING. An answer that nobody asks for any more is dropped after a minute.
 */
InquiryResult inquiries_ask(Inquiries *inquiries, InquiryKind kind, const char *queue, int64_t now_us,
                            InquiryAnswer *out_answer) G_GNUC_WARN_UNUSED_RESULT;

/* The next question to be sent; false if there is none. Its strings live as long as the question. */
bool inquiries_next(Inquiries *inquiries, amqp_queue_declare_t *out_method) G_GNUC_WARN_UNUSED_RESULT;

/* The oldest question sent was answered, or its answer closed the channel. Of no effect if there is none. */
void inquiries_answer(Inquiries *inquiries, uint32_t messages, uint32_t consumers);
void inquiries_refuse(Inquiries *inquiries, uint16_t code, const char *text);

/* The connection is gone, and all questions and answers with it. */
void inquiries_clear(Inquiries *inquiries);

/* When the oldest question that is not answered was first asked; 0: there is none. */
int64_t inquiries_waiting_since_us(const Inquiries *inquiries);
