#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""pika as caller and as worker while the router between them is killed: nothing is lost, and what may be a second copy
says so."""

import collections
import sys
import threading
import uuid

import pika

import tap
from rig import Broker, Router, wait_until

CALLS = 3000
MARK = "x-possible-duplicate"
CONFIGURATION = """
[west]
cluster_member_ips = 10.0.1.11
amqp_url = {west}
[broker]
url = {api}
[route:api]
queue = work
cluster_from = header:cluster
destination = queue:{{queue}}.{{cluster}}
prefetch = 100
"""


class Copies:
    """How often each correlation id came, and which came again without a mark."""

    def __init__(self):
        self.count = collections.Counter()
        self.unmarked = []

    def is_first(self, properties):
        identity = properties.correlation_id
        self.count[identity] += 1
        if self.count[identity] > 1 and MARK not in (properties.headers or {}):
            self.unmarked.append(identity)
        return self.count[identity] == 1

    def repeated(self):
        return sum(self.count.values()) - len(self.count)


class End(threading.Thread):
    """Consumes a queue: as a worker it answers each request once, as a caller it takes the answers."""

    def __init__(self, broker, vhost, queue):
        super().__init__(daemon=True)
        self.copies = Copies()
        self.queue = queue
        self.channel = broker.connect(vhost).channel()
        self.channel.queue_declare(queue, durable=True)
        self.channel.basic_qos(prefetch_count=50)
        self.channel.basic_consume(queue, self.take)
        self.start()

    def run(self):
        self.channel.start_consuming()

    def take(self, channel, method, properties, body):
        if self.copies.is_first(properties) and properties.reply_to:
            channel.basic_publish("", properties.reply_to, body,
                                  pika.BasicProperties(correlation_id=properties.correlation_id, delivery_mode=2))
        channel.basic_ack(method.delivery_tag)


class World:
    def __init__(self, broker):
        broker.add_vhosts("k-api", "k-west")
        self.broker = broker
        self.answers = f"answers-{uuid.uuid4()}"
        self.worker = End(broker, "k-west", "work.west")
        self.caller = End(broker, "k-api", self.answers)
        self.router = Router(CONFIGURATION.format(api=broker.url("k-api"), west=broker.url("k-west"))).start()

    def send_all(self):
        with self.broker.connect("k-api") as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for number in range(CALLS):
                channel.basic_publish("", "work", b"{}", pika.BasicProperties(
                    headers={"cluster": "west"}, delivery_mode=2, reply_to=self.answers,
                    correlation_id=str(number)))


def killed(world):
    """Of 3000 calls with the router killed with -9 four times every one is answered, and repeats are marked"""
    sender = threading.Thread(target=world.send_all, daemon=True)
    sender.start()
    for part in range(1, 5):
        wait_until("more answers", lambda: len(world.caller.copies.count) >= part * CALLS // 6)
        world.router.kill()
        world.router.start()
    sender.join(60)
    wait_until("all answers", lambda: len(world.caller.copies.count) == CALLS, 40)
    print(f"# {world.worker.copies.repeated()} requests and {world.caller.copies.repeated()} answers came twice")
    assert len(world.worker.copies.count) == CALLS
    assert not world.worker.copies.unmarked, world.worker.copies.unmarked
    assert not world.caller.copies.unmarked, world.caller.copies.unmarked


def books(world):
    """Afterwards nothing is in flight, parked, dead or without its caller"""
    route = wait_until("all settled", lambda: world.router.route()["in_flight"] == 0 and world.router.route())
    assert route["dead"] == 0 and route["parked_now"] == 0 and route["reasons"]["reply_orphan"] == 0, route


def main():
    url, ctl = tap.need("AMQP_URL", "RABBITMQCTL")
    broker = Broker(url, ctl)
    world = World(broker)
    broken = tap.run([killed, books], world)
    if broken:
        print(world.router.tail(), file=sys.stderr)
    world.router.stop()
    broker.remove_vhosts()
    world.router.remove()
    tap.finish(broken)


if __name__ == "__main__":
    main()
