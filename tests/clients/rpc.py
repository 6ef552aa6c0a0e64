# SPDX-License-Identifier: MIT
"""oslo.messaging as services use it: transports, servers that say who they are, clients."""

import threading
import time

import eventlet  # noqa: F401 (oslo.messaging looks for it; imported before threads are started)
import oslo_messaging
from oslo_config import cfg

TOPIC = "cinder-volume"
HELD_DEADLINE_S = 60
cfg.CONF([], project="clients")


def configure(path):
    """Before the first transport: oslo's options from a file, as a service has them."""
    cfg.CONF(["--config-file", path], project="clients")


def transport(url):
    """A transport of its own connections. One configuration object for all: oslo keeps some options there."""
    return oslo_messaging.get_rpc_transport(cfg.CONF, url=url.replace("amqp://", "rabbit://", 1))


class Endpoint:
    """What a service of a cluster can do. Remembers every execution."""

    target = oslo_messaging.Target(version="3.0")

    def __init__(self, name):
        self.name = name
        self.done = []  # (method, id) in order of execution
        self.lock = threading.Lock()
        self.gate = threading.Event()

    def note(self, method, identity):
        with self.lock:
            self.done.append((method, identity))

    def ids(self, method):
        with self.lock:
            return [identity for name, identity in self.done if name == method]

    def echo(self, context, id=None, **_):
        self.note("echo", id)
        return {"from": self.name, "id": id}

    def create(self, context, id=None, **_):
        """A cast."""
        self.note("create", id)

    def report(self, context, id=None, **_):
        """A fanout."""
        self.note("report", id)

    def slow(self, context, seconds=0, **_):
        time.sleep(seconds)
        return self.name

    def held(self, context, id=None, **_):
        """Answers only once the test opens the gate."""
        self.note("held", id)
        self.gate.wait(HELD_DEADLINE_S)
        return self.name

    def fail(self, context, text="", **_):
        raise ValueError(text)


class Service:
    """An RPC server of a cluster, on the rabbit driver."""

    def __init__(self, url, name, server, topic=TOPIC):
        self.endpoint = Endpoint(name)
        self.transport = transport(url)
        target = oslo_messaging.Target(topic=topic, server=server)
        self.server = oslo_messaging.get_rpc_server(self.transport, target, [self.endpoint], executor="threading")
        self.server.start()

    def stop(self):
        self.server.stop()
        self.server.wait()
        self.transport.cleanup()


def client(url, topic=TOPIC, timeout=10, **options):
    """A client with a transport, and so a reply queue, of its own."""
    target = oslo_messaging.Target(topic=topic, version="3.0")
    return oslo_messaging.get_rpc_client(transport(url), target, timeout=timeout, **options)
