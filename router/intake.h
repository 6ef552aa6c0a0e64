/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/ledger.h"
#include "router/link.h"

#include <glib.h>
#include <stdbool.h>

/*
 * Where messages come in: one consuming connection and the ledger of its unacknowledged deliveries. There are
 * two kinds: the shared intake consumes the queue of its route; a parking intake consumes any number of
 * parking queues, told from each other by a number. Belongs to the thread of its lane.
 */
typedef struct Intake Intake;

Intake *intake_new(Conf *conf, const ConfRoute *route, int wake_fd); /* the route's shared queue */
Intake *intake_new_parking(Conf *conf, const ConfRoute *route,
                           int wake_fd); /* nothing yet: intake_consume() */
void intake_free(Intake *intake);        /* its ledger must be empty; NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Intake, intake_free)

Link *intake_link(Intake *intake);
Ledger *intake_ledger(Intake *intake);

typedef enum {
        INTAKE_NOTHING,
        INTAKE_MESSAGE,
        INTAKE_LOST,      /* all unacknowledged deliveries went back to the broker: reset the ledger */
        INTAKE_CANCELLED, /* our own cancel is done: nothing follows from the shared queue */
} IntakeEventKind;

/* The next delivery, to be entered into the ledger by the caller. Never waits. */
IntakeEventKind intake_next(Intake *intake, Message **out_message);

/* Parking intake: begins or ends to consume @queue under @number (Message.consumer). No answer is awaited. */
void intake_consume(Intake *intake, int number, const char *queue, unsigned prefetch);
void intake_cancel(Intake *intake, int number);

/* Shared intake: consume no more; INTAKE_CANCELLED follows what is still on its way. */
void intake_stop(Intake *intake);

/* Acknowledges what the ledger has settled. */
void intake_flush(Intake *intake, int64_t now_us);
