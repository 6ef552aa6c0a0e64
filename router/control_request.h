/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/registry.h"

#include <amqp.h>
#include <glib.h>
#include <stdbool.h>

/*
 * One request to the control queue and its answer, see schema/control.md: read, carried out, put into words.
 * Hostile bytes come in.
 */
typedef struct {
        char *body;    /* JSON; free with free() */
        char *address; /* where an oslo caller waits, or NULL: as the property reply_to says */
        bool refused;
} ControlAnswer;

void control_answer_clear(ControlAnswer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ControlAnswer, control_answer_clear)

/* @only: the one cluster that may speak here, NULL: any. */
ControlAnswer control_request_serve(Registry *registry, const char *only, amqp_bytes_t body);
