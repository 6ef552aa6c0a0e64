#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""oslo.messaging with redis beside the router: hosts that come and go, reply queues that outlive a router.

Everything that can be durable is a quorum queue here, the router's queues and oslo's.
"""

import subprocess
import sys
import threading
import time

import oslo_messaging

import rpc
import tap
from rig import Broker, Router, die_with_parent, wait_until

CONFIGURATION = """
[east]
cluster_member_ips = node-1.east.example
aliases = zone-1
amqp_url = {east}
[west]
cluster_member_ips = node-1.west.example
amqp_url = {west}
[broker]
url = {api}
queue_type = quorum
[redis]
url = {redis}
heartbeat_ttl = 2s
poll = 100ms
[route:api]
queue = cluster-router.api
bind = openstack/#
bind_exchange = topic, durable
cluster_from = oslo:/args/cluster
destination = exchange:{{exchange}}/{{key}}
on_cluster_down = cast:park, call:fail
"""


class World:
    def __init__(self, broker, redis):
        self.broker = broker
        broker.add_vhosts("l-api", "l-east", "l-west")
        self.urls = {name: broker.url(f"l-{name}") for name in ("api", "east", "west")}
        self.router = Router(CONFIGURATION.format(redis=redis, **self.urls))
        self.agents = {}
        options = f"{self.router.folder}/oslo.conf"
        with open(options, "w", encoding="utf-8") as file:
            file.write("[oslo_messaging_rabbit]\nrabbit_quorum_queue = true\n")
        rpc.configure(options)
        self.start_agent("east")
        self.router.start()
        self.services = {name: rpc.Service(self.urls[name], name, f"node-1.{name}.example")
                         for name in ("east", "west")}
        self.client = rpc.client(self.urls["api"])
        wait_until("east is usable", lambda: self.is_usable("east"))

    def start_agent(self, name):
        """The file of that node is the router's, but for the group that says who it is."""
        path = f"{self.router.folder}/{name}.conf"
        with open(self.router.path, encoding="utf-8") as whole, open(path, "w", encoding="utf-8") as own:
            node = f"[DEFAULT]\ncluster = {name}\nhost = node-1.{name}.example\n"
            own.write(whole.read().replace("[DEFAULT]\n", node))
        self.agents[name] = subprocess.Popen(["cluster-agent", "-c", path], preexec_fn=die_with_parent())

    def is_usable(self, name):
        clusters = self.router.get("/api/v1/clusters")
        return any(row["cluster"] == name and row["usable"] > 0 for row in clusters["clusters"])


def down(world):
    """A call to a cluster without live hosts raises RemoteError with cluster and reason within a second"""
    started = time.monotonic()
    try:
        world.client.call({}, "echo", id=1, cluster="west")
        raise AssertionError("nothing was raised")
    except oslo_messaging.RemoteError as error:
        assert time.monotonic() - started < 1, time.monotonic() - started
        assert error.exc_type == "ClusterUnavailable", error.exc_type
        assert "west" in error.value and "cluster_down" in error.value, error.value
    assert world.client.call({}, "echo", id=2, cluster="zone-1")["from"] == "east"


def comes_up(world):
    """Casts to it wait until its first host beats, then calls are served, too"""
    for number in range(10):
        world.client.cast({}, "create", id=number, cluster="west")
    wait_until("parked", lambda: world.router.cluster("west")["parked_now"] == 10)
    assert world.services["west"].endpoint.ids("create") == []
    world.start_agent("west")
    wait_until("delivered", lambda: len(world.services["west"].endpoint.ids("create")) == 10)
    assert world.client.call({}, "echo", id=3, cluster="west")["from"] == "west"


def goes_down(world):
    """Once its last host says goodbye calls fail at once again, without a wait for the heartbeat to expire"""
    world.agents["west"].terminate()
    world.agents["west"].wait()
    wait_until("west is not usable", lambda: not world.is_usable("west"), 2)
    try:
        world.client.call({}, "echo", id=4, cluster="west")
        raise AssertionError("nothing was raised")
    except oslo_messaging.RemoteError as error:
        assert "west" in error.value, error.value


def quorum(world):
    """The queues were of the type that was asked for"""
    queues = {}
    for vhost in ("l-api", "l-east"):
        for line in world.broker.run("list_queues", "-p", vhost, "name", "type").splitlines():
            name, kind = line.split("\t")
            queues[name] = kind
    for name in ("cluster-router.api", "cluster-router.api.parked.east", rpc.TOPIC):
        assert "quorum" in queues[name], queues


def waiting_reply(world):
    """A reply that comes while no router runs reaches its caller through the next one, without another call"""
    answers = []
    service = world.services["east"].endpoint
    caller = threading.Thread(target=lambda: answers.append(
        world.client.prepare(timeout=60).call({}, "held", id="waits", cluster="east")), daemon=True)
    caller.start()
    wait_until("the request is there", lambda: "waits" in service.ids("held"))
    time.sleep(1.2)  # the book of reply queues is written once a second at most
    world.router.kill()
    service.gate.set()
    wait_until("the reply waits", lambda: "\t1" in world.broker.run("list_queues", "-p", "l-east", "name", "messages"))
    world.router.start()
    caller.join(30)
    assert answers == ["east"], answers


def main():
    url, ctl, redis = tap.need("AMQP_URL", "RABBITMQCTL", "REDIS_URL")
    broker = Broker(url, ctl)
    world = World(broker, redis)
    broken = tap.run([down, comes_up, goes_down, quorum, waiting_reply], world)
    if broken:
        print(world.router.tail(), file=sys.stderr)
    world.router.stop()
    broker.remove_vhosts()
    world.router.remove()
    tap.finish(broken)


if __name__ == "__main__":
    main()
