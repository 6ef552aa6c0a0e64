#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""pika and kombu, unmodified: requests with reply_to, and everything that a message can carry.

Clusters west and south have a vhost of their own; east shares the broker and vhost with the callers.
"""

import hashlib
import json
import socket
import sys
import threading
import time
import uuid

import kombu
import pika

import tap
from rig import Broker, Router, wait_until

CONFIGURATION = """
[east]
cluster_member_ips = 10.0.0.11
[west]
cluster_member_ips = 10.0.1.11
amqp_url = {west}
[south]
cluster_member_ips = 10.0.3.11
amqp_url = {west}
[north]
cluster_member_ips = 10.0.2.11
state = drain
[broker]
url = {api}
[route:api]
queue = work
cluster_from = header:cluster, json:/cluster
destination = queue:{{queue}}.{{cluster}}
on_cluster_down = cast:park, call:fail
"""


ECHO = b"echo"


class World:
    def __init__(self, broker):
        broker.add_vhosts("p-api", "p-west")
        self.broker = broker
        self.urls = {"api": broker.url("p-api"), "west": broker.url("p-west")}
        self.router = Router(CONFIGURATION.format(**self.urls)).start()
        self.connection = broker.connect("p-api")
        self.channel = self.connection.channel()
        self.workers = [Worker(broker, "p-api", "work.east"), Worker(broker, "p-west", "work.west")]

    def send(self, cluster, body, **properties):
        headers = {"cluster": cluster, **properties.pop("headers", {})}
        self.channel.basic_publish("", "work", body, pika.BasicProperties(headers=headers, **properties))

    def seen(self, index, identity):
        """The message of that id once it reached the worker of cluster east (0) or west (1)."""
        return wait_until(f"message {identity}", lambda: self.workers[index].seen.get(identity))


class Worker(threading.Thread):
    """Answers requests as a plain AMQP worker does, and remembers messages by their message_id."""

    def __init__(self, broker, vhost, queue):
        super().__init__(daemon=True)
        self.broker, self.vhost, self.queue = broker, vhost, queue
        self.seen = {}
        self.start()

    def run(self):
        channel = self.broker.connect(self.vhost).channel()
        channel.queue_declare(self.queue, durable=True)
        channel.basic_consume(self.queue, self.take)
        channel.start_consuming()

    def take(self, channel, method, properties, body):
        self.seen[properties.message_id] = (method, properties, body)
        if properties.reply_to:
            answer = body if body.startswith(ECHO) else json.dumps({"by": self.queue, "size": len(body)})
            channel.basic_publish("", properties.reply_to, answer,
                                  pika.BasicProperties(correlation_id=properties.correlation_id))
        channel.basic_ack(method.delivery_tag)


def ask(world, queue, cluster, body, deadline_s=10):
    """A request that awaits its reply in that queue: the reply, if it is one of Worker's as JSON."""
    identity = str(uuid.uuid4())
    answers = []

    def take(_channel, _method, properties, answer):
        if properties.correlation_id == identity:
            answers.append(answer if answer.startswith(ECHO) else json.loads(answer))
    tag = world.channel.basic_consume(queue, take, auto_ack=True)
    world.send(cluster, body, reply_to=queue, correlation_id=identity)
    end = time.monotonic() + deadline_s
    while not answers and time.monotonic() < end:
        world.connection.process_data_events(0.1)
    world.channel.basic_cancel(tag)
    assert len(answers) == 1, f"{len(answers)} answers"
    return answers[0]


def pika_reply_to(world):
    """pika: a request with reply_to is answered, from the same broker and from a vhost of its own"""
    queue = world.channel.queue_declare("", exclusive=True).method.queue
    # Names that begin with amq. belong to one broker.
    own = world.channel.queue_declare(f"answers-{uuid.uuid4()}", exclusive=True).method.queue
    assert ask(world, queue, "east", b"{}") == {"by": "work.east", "size": 2}
    for _ in range(20):
        assert ask(world, own, "east", b"{}")["by"] == "work.east"
        assert ask(world, own, "west", b"{}")["by"] == "work.west"


def pika_direct_reply_to(world):
    """pika: direct reply-to works inside one broker"""
    identity = str(uuid.uuid4())
    with world.broker.connect("p-api") as connection:
        channel = connection.channel()
        answers = []
        channel.basic_consume("amq.rabbitmq.reply-to", lambda *parts: answers.append(parts[3]), auto_ack=True)
        channel.basic_publish("", "work", b"{}", pika.BasicProperties(
            headers={"cluster": "east"}, reply_to="amq.rabbitmq.reply-to", correlation_id=identity))
        end = time.monotonic() + 10
        while not answers and time.monotonic() < end:
            connection.process_data_events(0.1)
    assert json.loads(answers[0])["by"] == "work.east", answers


def pika_refused(world):
    """pika: a request to a drained cluster gets a JSON answer with its correlation id within a second"""
    queue = world.channel.queue_declare(f"answers-{uuid.uuid4()}", exclusive=True).method.queue
    error = ask(world, queue, "north", b"{}", 1)["error"]
    assert error["cluster"] == "north" and error["reason"] == "cluster_drained", error


def pika_properties(world):
    """pika: headers of all types, priority and all other properties arrive as they were sent"""
    headers = {"text": "é", "number": 7, "big": 2**40, "true": True, "nothing": None, "list": [1, "two", [3]],
               "table": {"inner": {"deep": 1}}, "bytes": b"\x00\xff"}
    sent = {"content_type": "text/plain", "content_encoding": "utf-8", "delivery_mode": 2, "priority": 7,
            "correlation_id": "c", "timestamp": 1700000000, "type": "t", "app_id": "a", "cluster_id": None}
    for index, cluster in enumerate(("east", "west")):
        world.send(cluster, b"\x00body\xff", message_id=f"properties-{cluster}", headers=headers, **sent)
        _, got, body = world.seen(index, f"properties-{cluster}")
        assert body == b"\x00body\xff", body
        for name, value in sent.items():
            assert getattr(got, name) == value, (name, getattr(got, name))
        # pika reads what is not UTF-8 as bytes, so that nothing else is to be told apart here.
        assert {name: got.headers[name] for name in headers} == headers, got.headers


def pika_expiration(world):
    """pika: what expires while it waits is dropped and counted; what is delivered keeps what is left"""
    world.send("west", b"{}", message_id="lives", expiration="60000")
    _, properties, _ = world.seen(1, "lives")
    assert 50000 < int(properties.expiration) <= 60000, properties.expiration
    before = world.router.route()["expired"]
    world.send("north", b"{}", message_id="dies", expiration="300")
    world.send("north", b"{}", message_id="stays")
    wait_until("both parked", lambda: world.router.cluster("north")["parked_now"] == 2)
    time.sleep(0.4)
    text = CONFIGURATION.format(**world.urls).replace("state = drain", "")
    world.router.write(text)
    world.router.process.send_signal(1)
    wait_until("one expired", lambda: world.router.route()["expired"] == before + 1)
    world.workers.append(Worker(world.broker, "p-api", "work.north"))
    world.seen(2, "stays")
    assert "dies" not in world.workers[2].seen


def pika_large(world):
    """pika: bodies of 1 MB arrive whole, and so do replies of that size"""
    queue = world.channel.queue_declare(f"answers-{uuid.uuid4()}", exclusive=True).method.queue
    body = json.dumps({"cluster": "west", "text": "x" * 1000000}).encode()
    for index, cluster in enumerate(("east", "west")):
        for number in range(5):
            identity = f"large-{cluster}-{number}"
            world.send(cluster, body, message_id=identity)
            assert hashlib.sha256(world.seen(index, identity)[2]).digest() == hashlib.sha256(body).digest()
        assert ask(world, queue, cluster, body)["size"] == len(body)
        assert ask(world, queue, cluster, ECHO + body) == ECHO + body


def kombu_json(world):
    """kombu: JSON messages arrive in order; compressed ones find their cluster by the header"""
    got = []
    with kombu.Connection(world.urls["west"]) as west, kombu.Connection(world.urls["api"]) as api:
        producer = api.Producer(serializer="json")
        for number in range(20):
            producer.publish({"cluster": "south", "id": number}, routing_key="work")
        producer.publish({"id": 20, "text": "x" * 5000}, routing_key="work", compression="zlib",
                         headers={"cluster": "south"})
        queue = kombu.Queue("work.south", durable=True)

        def take(body, message):
            got.append(body["id"])
            message.ack()
        with west.Consumer([queue], callbacks=[take]):
            drain(west, got, 21)
    assert got == list(range(21)), got


def kombu_properties(world):
    """kombu: headers, priority, expiration and a body of 1 MB arrive as they were sent"""
    headers = {"cluster": "west", "text": "é", "list": [1, "two"], "table": {"inner": True}}
    text = "x" * 1000000
    with kombu.Connection(world.urls["api"]) as api:
        api.Producer(serializer="json").publish({"text": text}, routing_key="work", headers=headers, priority=5,
                                                expiration=60, message_id="kombu", delivery_mode=2, type="t")
    _, properties, body = world.seen(1, "kombu")
    assert json.loads(body) == {"text": text}
    assert (properties.priority, properties.delivery_mode, properties.type) == (5, 2, "t"), properties
    assert properties.content_type == "application/json" and properties.content_encoding == "utf-8", properties
    assert 50000 < int(properties.expiration) <= 60000, properties.expiration
    assert {name: properties.headers[name] for name in headers} == headers, properties.headers


def drain(connection, into, count, deadline_s=10):
    end = time.monotonic() + deadline_s
    while len(into) < count and time.monotonic() < end:
        try:
            connection.drain_events(timeout=0.5)
        except socket.timeout:
            pass


def kombu_rpc(world):
    """kombu: a client with a reply queue of its own gets its answers from both clusters"""
    answers = {}
    with kombu.Connection(world.urls["api"]) as connection:
        queue = kombu.Queue(f"kombu-{uuid.uuid4()}", auto_delete=True, durable=False)

        def take(body, message):
            answers[message.properties["correlation_id"]] = json.loads(body)["by"]
        with connection.Consumer([queue], callbacks=[take], no_ack=True):
            for number in range(20):
                cluster = ("east", "west")[number % 2]
                connection.Producer().publish({"cluster": cluster}, routing_key="work", reply_to=queue.name,
                                              correlation_id=f"{cluster}-{number}")
            drain(connection, answers, 20)
    assert len(answers) == 20, answers
    assert all(by == "work." + identity.split("-")[0] for identity, by in answers.items()), answers


def books(world):
    """Afterwards nothing is in flight, parked or dead, and the books agree"""
    route = wait_until("all settled", lambda: world.router.route()["in_flight"] == 0 and world.router.route())
    assert route["in"] == route["delivered"] + route["dead"] + route["expired"] + route["parked_now"], route
    assert route["dead"] == 0 and route["parked_now"] == 0, route


def main():
    url, ctl = tap.need("AMQP_URL", "RABBITMQCTL")
    broker = Broker(url, ctl)
    world = World(broker)
    broken = tap.run([pika_reply_to, pika_direct_reply_to, pika_refused, pika_properties, pika_expiration, pika_large,
                      kombu_json, kombu_properties, kombu_rpc, books], world)
    if broken:
        print(world.router.tail(), file=sys.stderr)
    world.router.stop()
    broker.remove_vhosts()
    world.router.remove()
    tap.finish(broken)


if __name__ == "__main__":
    main()
