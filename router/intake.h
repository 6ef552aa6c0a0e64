/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/ledger.h"
#include "router/link.h"

#include <glib.h>
#include <stdbool.h>

/*
 * Where messages come in: one consuming connection and the ledger of its unacknowledged deliveries. The
 * shared intake consumes the queue of its route; the others (parking queues, replies, queues of dead hosts)
 * consume any number of queues, told from each other by a number. Belongs to the thread of its lane.
 */
typedef struct Intake Intake;

typedef enum { INTAKE_SHARED, INTAKE_PARKING, INTAKE_REPLIES, INTAKE_HOSTS } IntakeKind;

/* @urls and @tls are of that conf. All but the shared one consume nothing before intake_consume(). */
Intake *intake_new(IntakeKind kind, Conf *conf, const ConfRoute *route, const char *const *urls,
                   const ConfTls *tls, const LinkHome *home);
void intake_free(Intake *intake); /* its ledger must be empty; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Intake, intake_free)

IntakeKind intake_kind(const Intake *intake);
Link *intake_link(Intake *intake);
Ledger *intake_ledger(Intake *intake);

typedef enum {
        INTAKE_NOTHING,
        INTAKE_MESSAGE,
        INTAKE_LOST,      /* all unacknowledged deliveries went back to the broker: reset the ledger */
        INTAKE_CANCELLED, /* our own cancel is done: nothing follows from that queue */
} IntakeEventKind;

typedef struct {
        IntakeEventKind kind;
        Message *message; /* MESSAGE: to be entered into the ledger by the caller, who owns it */
        int number;       /* CANCELLED: of the queue */
} IntakeEvent;

/* What came next. Never waits. */
IntakeEventKind intake_next(Intake *intake, IntakeEvent *out_event);
/* In its place while nothing more can be taken: the broker, which is not read from, hears that we live. */
void intake_rest(Intake *intake, int64_t now_us);

/* Not the shared one: begins or ends to consume @queue under @number (Message.consumer). No answer is
 * awaited; INTAKE_CANCELLED follows what was on its way when a queue is cancelled. */
void intake_consume(Intake *intake, int number, const char *queue, unsigned prefetch);
void intake_cancel(Intake *intake, int number);

/* Shared intake: how many messages may be unacknowledged; takes effect at once. Nothing is consumed before
 * the first call. */
void intake_set_window(Intake *intake, unsigned messages);
/* Was anything acknowledged so far? */
bool intake_has_acknowledged(const Intake *intake);

/* Shared intake: consume no more; INTAKE_CANCELLED follows what is still on its way. */
void intake_stop(Intake *intake);

/* Acknowledges what the ledger has settled. */
void intake_flush(Intake *intake, int64_t now_us);
