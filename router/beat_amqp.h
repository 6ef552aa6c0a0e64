/* SPDX-License-Identifier: MIT */
#pragma once

#include "cluster/beat.h"
#include "conf/conf.h"

/*
 * Heartbeats by message, for hosts that cannot reach redis: requests to the control queue (schema/control.md)
 * on the own broker of [DEFAULT] cluster, else on the shared one. Each waits for the router's answer.
 */
typedef struct AmqpBeat AmqpBeat;

/* Takes a reference to @conf, whose `cluster` is set. Connects with the first heartbeat. */
AmqpBeat *amqp_beat_new(const Conf *conf);

extern const BeatWay beat_by_amqp; /* the sender is an AmqpBeat */
