#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""oslo.messaging's clients and servers while things break: the router, a cluster's broker, services, callers.

Cluster east has a vhost beside the API's, south a broker of its own, which stops and starts here.
"""

import json
import sys
import threading
import time

import oslo_messaging

import rpc
import tap
from rig import Broker, Router, wait_until

DOWN_S = 20
CONFIGURATION = """
[east]
cluster_member_ips = node-1.east.example
amqp_url = {east}
[south]
cluster_member_ips = node-1.south.example
amqp_url = {south}
[broker]
url = {api}
retry_max = 1s
hold_time = 1s
[route:api]
queue = cluster-router.api
bind = openstack/#
bind_exchange = topic, transient
cluster_from = oslo:/args/cluster
destination = exchange:{{exchange}}/{{key}}
on_cluster_down = cast:park, call:fail
prefetch = 50
"""


class World:
    def __init__(self, first, second):
        self.first, self.second = first, second
        self.urls = {"api": first.url("f-api"), "east": first.url("f-east"), "south": second.url("f-south")}
        first.add_vhosts("f-api", "f-east")
        second.add_vhosts("f-south")
        self.router = Router(CONFIGURATION.format(**self.urls)).start()
        self.services = {}
        for name in ("east", "south"):
            self.start_service(name)
        self.client = rpc.client(self.urls["api"])

    def start_service(self, name, **options):
        self.services[name] = rpc.Service(self.urls[name], name, f"node-1.{name}.example", **options)

    def ids(self, name, method):
        return self.services[name].endpoint.ids(method)


class Load:
    """Calls and casts from several threads to both clusters until told to end."""

    def __init__(self, world, name, timeout):
        self.name = name
        self.client = rpc.client(world.urls["api"], timeout=timeout)
        self.ending = False
        self.answered, self.failed, self.wrong, self.cast = [], [], [], []
        self.threads = [threading.Thread(target=self.work, args=(number,), daemon=True) for number in range(4)]
        for thread in self.threads:
            thread.start()

    def call(self, identity, cluster):
        try:
            got = self.client.call({}, "echo", id=identity, cluster=cluster)
            (self.answered if got == {"from": cluster, "id": identity} else self.wrong).append(identity)
        except (oslo_messaging.MessagingTimeout, oslo_messaging.RemoteError):
            self.failed.append(identity)

    def work(self, number):
        step = 0
        while not self.ending:
            cluster = ("east", "south")[step % 2]
            identity = f"load-{self.name}-{number}-{step}"
            self.call(identity, cluster)
            self.client.cast({}, "create", id=identity, cluster=cluster)
            self.cast.append((cluster, identity))
            step += 1

    def end(self):
        self.ending = True
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive(), "a call hangs"


def killed(world):
    """A router killed with -9 twice under load: every call is answered or fails, every cast arrives"""
    load = Load(world, "alone", timeout=8)
    for _ in range(2):
        enough = len(load.answered) + 100
        wait_until("100 more calls", lambda: len(load.answered) >= enough)
        world.router.kill()
        world.router.start()
    enough = len(load.answered) + 100
    wait_until("calls go on", lambda: len(load.answered) >= enough)
    load.end()
    print(f"# {len(load.answered)} answered, {len(load.failed)} failed, {len(load.cast)} casts")
    assert not load.wrong, load.wrong
    assert len(set(load.answered + load.failed)) == len(load.answered) + len(load.failed), "answered twice"
    # What was on its way at one of the two moments, in four threads.
    assert len(load.failed) <= 8, load.failed
    for name in ("east", "south"):
        sent = {identity for cluster, identity in load.cast if cluster == name}
        wait_until(f"casts at {name}", lambda: sent <= set(world.ids(name, "create")))
        got = [identity for identity in world.ids(name, "create") if identity in sent]
        print(f"# {name}: {len(got) - len(sent)} casts executed twice")


def two_routers(world):
    """Of two routers side by side one is killed with -9 under load: every call is answered or fails, casts arrive"""
    other = Router(CONFIGURATION.format(**world.urls)).start()
    load = Load(world, "pair", timeout=8)
    wait_until("both take part", lambda: world.router.route()["in"] > 50 and other.route()["in"] > 50)
    other.kill()
    enough = len(load.answered) + 100
    wait_until("calls go on", lambda: len(load.answered) >= enough)
    load.end()
    print(f"# {len(load.answered)} answered, {len(load.failed)} failed, {len(load.cast)} casts")
    assert not load.wrong and len(load.failed) <= 4, (load.wrong, load.failed)
    for name in ("east", "south"):
        sent = {identity for cluster, identity in load.cast if cluster == name}
        wait_until(f"casts at {name}", lambda: sent <= set(world.ids(name, "create")))


def expired(world):
    """A call whose time is over while it waits is dropped and counted, never executed"""
    world.services["east"].stop()
    world.first.connect("f-east").channel().queue_delete(rpc.TOPIC)
    before = world.router.route()["expired"]
    impatient = rpc.client(world.urls["api"], timeout=1)
    try:
        impatient.call({}, "echo", id="expired", cluster="east")
        raise AssertionError("nothing was raised")
    except oslo_messaging.MessagingTimeout:
        pass
    wait_until("counted as expired", lambda: world.router.route()["expired"] == before + 1)
    world.start_service("east")
    world.client.call({}, "echo", id="later", cluster="east")
    assert world.ids("east", "echo") == ["later"]


def caller_gone(world):
    """A reply whose caller is gone is dropped and counted, and others get theirs"""
    before = world.router.reason("reply_orphan")
    caller = rpc.client(world.urls["api"], timeout=1)
    try:
        caller.call({}, "held", id="gone", cluster="south")
    except oslo_messaging.MessagingTimeout:
        pass
    caller.transport.cleanup()
    channel = world.first.connect("f-api").channel()
    for line in world.first.run("list_queues", "-p", "f-api", "name", "consumers").splitlines():
        if line.startswith("reply_") and line.endswith("\t0"):
            channel.queue_delete(line.split("\t")[0])
    wait_until("the request is there", lambda: "gone" in world.ids("south", "held"))
    world.services["south"].endpoint.gate.set()
    wait_until("counted as orphan", lambda: world.router.reason("reply_orphan") == before + 1)
    assert world.client.call({}, "echo", id=1, cluster="south")["from"] == "south"


def later_services(world):
    """Services that start later get all their casts in order; others meanwhile do not wait"""
    for number in range(30):
        world.client.prepare(topic="cinder-backup").cast({}, "create", id=number, cluster="east")
        assert world.client.call({}, "echo", id=number, cluster="east")["id"] == number
    wait_until("parked", lambda: world.router.cluster("east")["parked_now"] == 30)
    taken = take_in_order(world, "cinder-backup", 30)
    assert taken == list(range(30)), taken
    wait_until("nothing parked", lambda: world.router.cluster("east")["parked_now"] == 0)


def take_in_order(world, topic, count):
    """What a queue bound as a service would bind it gets, in order, since a service works on several at once."""
    connection = world.first.connect("f-east")
    channel = connection.channel()
    channel.queue_declare(topic)
    channel.queue_bind(topic, "openstack", topic)
    taken = []
    for _, _, body in channel.consume(topic, inactivity_timeout=10):
        if body is None:
            break
        taken.append(json.loads(json.loads(body)["oslo.message"])["args"]["id"])
        if len(taken) == count:
            break
    connection.close()
    return taken


def fail_to_call(client, cluster):
    started = time.monotonic()
    try:
        client.call({}, "echo", id="down", cluster=cluster)
    except (oslo_messaging.MessagingTimeout, oslo_messaging.RemoteError) as error:
        print(f"# the call failed with {type(error).__name__} after {time.monotonic() - started:.1f} s")


def broker_down(world):
    """A cluster's broker is down for 20 s: its casts wait, its calls fail in time, others are served; then all arrive"""
    # It has a reply queue, but not yet one at south: that cannot be made now and must hold up nobody.
    caller = rpc.client(world.urls["api"], timeout=3)
    assert caller.call({}, "echo", id=0, cluster="east")["id"] == 0
    world.second.stop()
    stopped = time.monotonic()
    try:
        failing = threading.Thread(target=fail_to_call, args=(caller, "south"), daemon=True)
        taken = world.router.route()["in"]
        failing.start()
        wait_until("the call is in hand", lambda: world.router.route()["in"] > taken)
        for number in range(20):
            world.client.cast({}, "create", id=f"down-{number}", cluster="south")
        for number in range(20):
            started = time.monotonic()
            assert world.client.call({}, "echo", id=number, cluster="east")["id"] == number
            assert time.monotonic() - started < 3, time.monotonic() - started
        failing.join(20)
        assert not failing.is_alive(), "the call hangs"
        wait_until("casts parked", lambda: world.router.cluster("south")["parked_now"] >= 20)
        # A router that starts meanwhile serves the others, too.
        world.router.stop()
        world.router.start()
        while time.monotonic() < stopped + DOWN_S:
            assert world.client.call({}, "echo", id=20, cluster="east")["id"] == 20
            time.sleep(0.2)
    finally:
        world.second.start()
    wanted = [f"down-{number}" for number in range(20)]
    wait_until("casts delivered", lambda: set(wanted) <= set(world.ids("south", "create")), 40)
    got = [identity for identity in world.ids("south", "create") if identity in wanted]
    assert sorted(got) == sorted(wanted), got
    wait_until("calls again", lambda: world.client.call({}, "echo", id=5, cluster="south")["id"] == 5)
    assert "down" not in world.ids("south", "echo")


def api_broker_restart(world):
    """The API's broker is restarted: intake, bindings and replies work again without a hand"""
    world.first.stop()
    world.first.start()
    world.router.wait_ready()

    def both():
        try:
            quick = world.client.prepare(timeout=2)
            return all(quick.call({}, "echo", id=9, cluster=name)["from"] == name for name in ("east", "south"))
        except oslo_messaging.MessagingException:
            return False
    wait_until("calls to both clusters", both, 40)


def books(world):
    """Afterwards nothing is stuck: nothing in flight, nothing parked, nothing dead"""
    def settled():
        route = world.router.route()
        return route["in_flight"] == 0 and route["parked_now"] == 0 and route["dead"] == 0
    wait_until("all settled", settled)
    world.router.stop()


def main():
    first, ctl, second, ctl_2 = tap.need("AMQP_URL", "RABBITMQCTL", "AMQP_URL_2", "RABBITMQCTL_2")
    brokers = Broker(first, ctl), Broker(second, ctl_2)
    world = World(*brokers)
    broken = tap.run([killed, two_routers, expired, caller_gone, later_services, broker_down, api_broker_restart, books], world)
    if broken:
        print(world.router.tail(), file=sys.stderr)
    for broker in brokers:
        broker.remove_vhosts()
    world.router.remove()
    tap.finish(broken)


if __name__ == "__main__":
    main()
