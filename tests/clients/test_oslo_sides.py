#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The two sides of the router as oslo.messaging and an operator meet them: exchanges, messages, users, lists of
brokers, reply queues.

Cluster west has a vhost beside the API's and a user of its own; east lists two brokers. There is no redis.
"""

import json
import sys
import threading

import pika

import rpc
import tap
from rig import Broker, Router, free_port, wait_until

CONFIGURATION = """
[east]
cluster_member_ips = node-1.east.example
amqp_url = {east}, {east_2}
[west]
cluster_member_ips = node-1.west.example
amqp_url = {router_west}
[broker]
url = {nobody}, {api}
retry_max = 1s
hold_time = 1s
[route:api]
queue = cluster-router.api
bind = openstack/#, existing/#
bind_exchange = topic, transient
cluster_from = oslo:/args/cluster, header:cluster
destination = exchange:{{exchange}}/{{key}}
on_cluster_down = park
"""
USER, PASSWORD = "router-of-west", "quite-secret"


class World:
    def __init__(self, first, second):
        self.first, self.second = first, second
        first.add_vhosts("s-api", "s-east", "s-west")
        second.add_vhosts("s-east")
        self.urls = {"api": first.url("s-api"), "west": first.url("s-west"), "east": second.url("s-east"),
                     "east_2": first.url("s-east"), "nobody": f"amqp://guest:guest@127.0.0.1:{free_port()}/s-api",
                     "router_west": first.url("s-west").replace("guest:guest", f"{USER}:{PASSWORD}")}
        with first.connect("s-api") as connection:
            connection.channel().exchange_declare("existing", "topic", durable=True)
        first.run("add_user", USER, "wrong")
        first.run("set_permissions", "-p", "s-west", USER, ".*", ".*", ".*")
        self.services = {name: rpc.Service(self.urls[name], name, f"node-1.{name}.example")
                         for name in ("east", "east_2", "west")}
        self.router = Router(CONFIGURATION.format(**self.urls)).start()
        self.client = rpc.client(self.urls["api"])

    def ids(self, name, method):
        return self.services[name].endpoint.ids(method)

    def queues(self, vhost):
        """{name: messages}"""
        lines = self.first.run("list_queues", "-p", vhost, "name", "messages").splitlines()
        return {name: messages for name, messages in (line.split("\t") for line in lines)}


def exchanges(world):
    """An exchange that exists is used as it is; one that is absent is made as configured, so clients are not refused"""
    lines = world.first.run("list_exchanges", "-p", "s-api", "name", "type", "durable", "auto_delete").splitlines()
    assert "existing\ttopic\ttrue\tfalse" in lines, lines
    assert "openstack\ttopic\tfalse\tfalse" in lines, lines
    assert world.client.call({}, "echo", id=1, cluster="east")["id"] == 1
    with world.first.connect("s-api") as connection, world.second.connect("s-east") as east:
        channel = east.channel()
        channel.exchange_declare("existing", "topic", durable=True)
        channel.queue_declare("taken")
        channel.queue_bind("taken", "existing", "a.#")
        connection.channel().basic_publish("existing", "a.b", b"x", pika.BasicProperties(headers={"cluster": "east"}))
        method, _, body = wait_for_message(channel, "taken")
        assert (method.exchange, method.routing_key, body) == ("existing", "a.b", b"x"), method


def wait_for_message(channel, queue):
    def take():
        method, properties, body = channel.basic_get(queue, auto_ack=True)
        return method and (method, properties, body)
    return wait_until(f"a message in {queue}", take)


def other_user(world):
    """A cluster whose broker refuses the router's user stops alone and the error holds no password; then all arrives"""
    try:
        world.client.prepare(timeout=1).call({}, "echo", id="over", cluster="west")
        raise AssertionError("nothing was raised")
    except rpc.oslo_messaging.MessagingTimeout:
        pass
    for number in range(5):
        world.client.cast({}, "create", id=number, cluster="west")
        assert world.client.call({}, "echo", id=number, cluster="east")["id"] == number
    error = wait_until("an error", lambda: world.router.route()["error"])
    print(f"# {error}")
    assert PASSWORD not in error and PASSWORD not in world.router.tail(1000), error
    assert world.ids("west", "create") == []
    # The call, whose caller waits on a queue that the cluster cannot have yet, holds up nobody.
    wait_until("parked", lambda: world.router.cluster("west")["parked_now"] >= 5)
    world.first.run("change_password", USER, PASSWORD)
    wait_until("casts at west", lambda: len(world.ids("west", "create")) == 5, 40)
    assert world.ids("west", "echo") == [], "the call was over"
    wait_until("the users of connections", lambda: USER in world.first.run("list_connections", "user"))


def same_message(world):
    """What a client publishes reaches the cluster with its exchange, key, properties and bytes"""
    with world.first.connect("s-api") as api, world.first.connect("s-west") as west:
        sides = [api.channel(), west.channel()]
        for channel in sides:
            channel.queue_declare("spy")
            channel.queue_bind("spy", "openstack", "#")
        for call in (False, True):
            send = world.client.call if call else world.client.cast
            send({}, "echo", id=7, cluster="west", text="é \" \\ \x00")
            compare(*(wait_for_message(channel, "spy") for channel in sides), call)
        for channel in sides:
            channel.queue_delete("spy")


def compare(sent, got, call):
    (sent_method, sent_properties, sent_body), (method, properties, body) = sent, got
    assert body == sent_body and json.loads(body)["oslo.version"] == "2.0", body
    assert (method.exchange, method.routing_key) == (sent_method.exchange, sent_method.routing_key), method
    for name in ("content_type", "content_encoding", "delivery_mode", "priority", "correlation_id", "reply_to",
                 "message_id", "timestamp", "type", "app_id", "user_id"):
        assert getattr(properties, name) == getattr(sent_properties, name), name
    assert sent_properties.headers == {} and set(properties.headers) <= {"x-router-seq"}, properties.headers
    if call:
        assert 0 <= int(sent_properties.expiration) - int(properties.expiration) < 5000, properties.expiration
    else:
        assert properties.expiration is None and sent_properties.expiration is None, properties.expiration


def leave_before_reply(world, client):
    """Calls west, and is gone for good before the reply: returns the name of its reply queue."""
    before = set(world.queues("s-api"))
    assert client.call({}, "echo", id="leaves", cluster="west")["from"] == "west"
    (name,) = {name for name in set(world.queues("s-api")) - before if name.startswith("reply_")}
    try:
        client.prepare(timeout=1).call({}, "held", id="leaves", cluster="west")
    except rpc.oslo_messaging.MessagingTimeout:
        pass
    client.transport.cleanup()
    with world.first.connect("s-api") as connection:
        connection.channel().queue_delete(name)
    wait_until("the request is there", lambda: "leaves" in world.ids("west", "held"))
    world.services["west"].endpoint.gate.set()
    return name


def relay_expires(world):
    """Reply queues at a cluster expire once their caller is gone, and stay while it lives"""
    assert world.client.call({}, "echo", id=8, cluster="west")["id"] == 8
    living = {name for name in world.queues("s-west") if name.startswith("reply_")}
    assert living, "no reply queue"
    # Ours live for half an hour without a consumer; the policy makes that a second.
    world.first.run("set_policy", "-p", "s-west", "soon", "^reply_", '{"expires": 1000}', "--apply-to", "queues")
    name = leave_before_reply(world, rpc.client(world.urls["api"]))
    wait_until("its reply has no address", lambda: world.router.reason("reply_orphan") == 1)
    wait_until(f"{name} expires", lambda: name not in world.queues("s-west"))
    assert living <= set(world.queues("s-west")), living
    world.first.run("clear_policy", "-p", "s-west", "soon")
    assert world.client.call({}, "echo", id=10, cluster="west")["id"] == 10


def relearned(world):
    """Without redis, a reply that waits at a restart reaches its caller once that calls again"""
    answers = []
    gate = world.services["west"].endpoint.gate
    gate.clear()
    caller = threading.Thread(target=lambda: answers.append(
        world.client.prepare(timeout=60).call({}, "held", id="waits", cluster="west")), daemon=True)
    caller.start()
    wait_until("the request is there", lambda: "waits" in world.ids("west", "held"))
    world.router.kill()
    gate.set()
    wait_until("the reply waits", lambda: "1" in [messages for name, messages in world.queues("s-west").items()
                                                  if name.startswith("reply_")])
    world.router.start()
    assert world.client.call({}, "echo", id=11, cluster="west")["id"] == 11
    caller.join(30)
    assert answers == ["west"], answers


def failover(world):
    """A cluster whose first broker goes away is served by the next in its list"""
    assert world.client.call({}, "echo", id=12, cluster="east")["from"] == "east"
    world.second.stop()
    try:
        quick = world.client.prepare(timeout=2)

        def answered():
            try:
                return quick.call({}, "echo", id=13, cluster="east")["from"]
            except rpc.oslo_messaging.MessagingException:
                return None
        assert wait_until("the other broker answers", answered, 40) == "east_2"
        world.client.cast({}, "create", id=14, cluster="east")
        wait_until("the cast arrives", lambda: 14 in world.ids("east_2", "create"))
    finally:
        world.second.start()


def books(world):
    """Afterwards nothing is in flight, parked or dead"""
    def settled():
        route = world.router.route()
        return route["in_flight"] == 0 and route["parked_now"] == 0 and route["dead"] == 0
    wait_until("all settled", settled)
    world.router.stop()


def main():
    first, ctl, second, ctl_2 = tap.need("AMQP_URL", "RABBITMQCTL", "AMQP_URL_2", "RABBITMQCTL_2")
    brokers = Broker(first, ctl), Broker(second, ctl_2)
    world = World(*brokers)
    broken = tap.run([exchanges, other_user, same_message, relay_expires, relearned, failover, books], world)
    if broken:
        print(world.router.tail(), file=sys.stderr)
    for broker in brokers:
        broker.remove_vhosts()
    world.router.remove()
    tap.finish(broken)


if __name__ == "__main__":
    main()
