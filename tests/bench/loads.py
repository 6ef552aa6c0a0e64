# SPDX-License-Identifier: MIT
"""What is moved: bodies that name a cluster, and where in the body the name stands."""

import collections
import json
import os

import pika

CLUSTERS = ("east", "west")
CREATE_VOLUME = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data",
                             "01-api-scheduler-create_volume.json")
HINT = r'\"scheduler_hints\": {\"cluster\": \"%s\"}'

SOURCES = {"flat": "json:/cluster", "oslo": "oslo:/args/filter_properties/scheduler_hints/cluster"}

SHARED = "shared"

# kind: flat or oslo; bodies: one for each of CLUSTERS, sent in turn; count: messages per round; inputs: the shared queues
Load = collections.namedtuple("Load", "name kind queue_type count bodies inputs", defaults=((SHARED,),))


def flat_body(cluster, size):
    """The cluster stands in the middle, so that nobody finds it by luck."""
    request = {"method": "resize", "request_id": "req-5a1c2f0e", "before": "", "cluster": cluster, "args": ""}
    room = size - len(json.dumps(request))
    request["before"] = "b" * (room // 2)
    request["args"] = "a" * (room - room // 2)
    return json.dumps(request).encode()


def oslo_body(cluster):
    with open(CREATE_VOLUME, encoding="utf-8") as file:
        body = json.load(file)["body"]
    if body.count(HINT % "east") != 1:
        raise ValueError(f"{CREATE_VOLUME}: no scheduler hint for the cluster east")
    return body.replace(HINT % "east", HINT % cluster).encode()


def choose(quick):
    """All loads, or those of a quick run."""
    flat = [flat_body(cluster, 512) for cluster in CLUSTERS]
    large = [flat_body(cluster, 65536) for cluster in CLUSTERS]
    oslo = [oslo_body(cluster) for cluster in CLUSTERS]
    loads = []
    for queue_type in ("classic",) if quick else ("classic", "quorum"):
        loads.append(Load(f"512 B, {queue_type}", "flat", queue_type, 20000, flat))
        loads.append(Load(f"8 kB oslo, {queue_type}", "oslo", queue_type, 8000, oslo))
        if not quick:
            loads.append(Load(f"64 kB, {queue_type}", "flat", queue_type, 2000, large))
    return loads


class Queues:
    """The shared queues and those of the clusters, on a connection of its own."""

    shared = SHARED

    def __init__(self, url):
        self.connection = pika.BlockingConnection(pika.URLParameters(url))
        self.channel = self.connection.channel()
        self.outputs = [f"{self.shared}.{cluster}" for cluster in CLUSTERS]

    def make(self, load):
        """New and empty. A new channel, too: RabbitMQ 3.10 remembers in the old one which type a name had."""
        self.channel.close()
        self.channel = self.connection.channel()
        for name in (*load.inputs, *self.outputs):
            self.channel.queue_delete(name)
            self.channel.queue_declare(name, durable=True, arguments={"x-queue-type": load.queue_type})

    def send(self, load, count):
        properties = pika.BasicProperties(delivery_mode=2, content_type="application/json")
        for number in range(count):
            turn, kind = divmod(number, len(load.bodies))
            self.channel.basic_publish("", load.inputs[turn % len(load.inputs)], load.bodies[kind], properties)

    def fill(self, load, count):
        """Returns once all messages stand in the shared queues."""
        self.send(load, count)
        while self.left(load) < count:
            self.connection.sleep(0.01)

    def depth(self, name):
        return self.channel.queue_declare(name, passive=True).method.message_count

    def left(self, load):
        """What nobody has taken yet."""
        return sum(self.depth(name) for name in load.inputs)

    def depths(self):
        """What has arrived, per output."""
        return [self.depth(name) for name in self.outputs]

    def wait_consumed(self, name, contender):
        """Returns once somebody consumes the queue."""
        while not self.channel.queue_declare(name, passive=True).method.consumer_count:
            contender.check()
            self.connection.sleep(0.01)

    def is_whole(self, name, load):
        """Whether the first message there is persistent and as it was sent."""
        _, properties, body = self.channel.basic_get(name, auto_ack=True)
        return properties is not None and properties.delivery_mode == 2 and body in load.bodies

    def sleep(self, seconds):
        self.connection.sleep(seconds)

    def close(self):
        self.connection.close()
