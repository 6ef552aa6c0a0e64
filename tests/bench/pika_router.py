#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A router as one writes it with pika in half an hour: no confirms, so what the broker loses is lost.

    pika_router.py URL QUEUE flat|oslo
"""

import json
import signal
import sys

import pika

PREFETCH = 500

url, queue, kind = sys.argv[1:]


def flat_cluster(body):
    return json.loads(body)["cluster"]


def oslo_cluster(body):
    message = json.loads(json.loads(body)["oslo.message"])
    return message["args"]["filter_properties"]["scheduler_hints"]["cluster"]


find_cluster = {"flat": flat_cluster, "oslo": oslo_cluster}[kind]


def route(channel, method, properties, body):
    channel.basic_publish("", f"{queue}.{find_cluster(body)}", body, properties)
    channel.basic_ack(method.delivery_tag)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
router_channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
router_channel.basic_qos(prefetch_count=PREFETCH)
router_channel.basic_consume(queue, route)
router_channel.start_consuming()
