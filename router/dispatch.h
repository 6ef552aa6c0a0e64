/* SPDX-License-Identifier: MIT */
#pragma once

#include "router/envelope.h"
#include "router/publication.h"
#include "router/target.h"

/*
 * One message between its arrival and its publication: the steps that a lane takes and that `clusterctl
 * explain` takes alike, so that the answer of the one is the answer of the other. Pure.
 *
 *     dispatch_read -> decide -> dispatch_choose_host -> target_address, dispatch_notes -> publication_build
 */

/*
 * Reads what the message says of its cluster, and keeps in the delivery the name of an unknown one.
 * @out_answers: what each source said, as envelope_explain() has it, or NULL.
 */
void dispatch_read(Delivery *delivery, EnvelopeReader *reader, const View *view, Envelope *out_envelope,
                   SourceAnswer *out_answers);

/* Keeps in the delivery the hosts that its publication will name. @cluster NULL: none. */
void dispatch_choose_host(Delivery *delivery, const ConfRoute *route, const ViewCluster *cluster);

/*
 * Puts the answer to its caller in the place of the request: from here on it is the answer that travels.
 * False, and nothing changed, if nobody waits for one.
 */
bool dispatch_answer(Delivery *delivery, const Envelope *envelope, const char *cluster, Reason reason,
                     int64_t now_unix_ms) G_GNUC_WARN_UNUSED_RESULT;

/* Will the publication name cluster and hosts in its headers? Its target is chosen. */
bool dispatch_is_tagged(const Delivery *delivery, const ConfRoute *route);

/* What the publication says; target and reason are chosen. Borrows from both arguments. */
PublicationNotes dispatch_notes(const Delivery *delivery, const ConfRoute *route, uint64_t seq,
                                int64_t now_us, int64_t now_unix_ms);
