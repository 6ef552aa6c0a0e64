/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Plays a schedule of events against router/ledger and, beside it, against a model of the two brokers: which
 * delivery tags are unacknowledged, which publishes are unconfirmed, and which messages were truly confirmed.
 * After every event both must agree.
 *
 * A schedule is bytes, two for each event: which one, and its argument. Whatever the bytes are, the events
 * are such as a broker may send; so a random generator and a fuzzer can both write schedules. At the end
 * everything still under way is confirmed, and the books must come out empty.
 *
 * NULL if every promise was kept, else the first that was broken: a constant sentence. (What the ledger holds
 * is then left behind.)
 */
const char *ledger_model_run(const uint8_t *schedule, size_t size);
