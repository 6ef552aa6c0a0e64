#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A cluster whose broker speaks TLS under a private authority: trusted only if it is the right one, by its name."""

import json
import os
import socket
import ssl
import sys
import threading
import time

import pika

import tap
from authority import Authority
from rig import Broker, Router, wait_until

from server import HOST, free_port
from servers import Servers

CONFIGURATION = """
[east]
cluster_member_ips = 10.0.0.11
amqp_url = amqps://guest:guest@{host}:{port}/t-east
tls_ca = {ca}
{extra}
[broker]
url = {api}
retry_max = 1s
drain_deadline = 500ms
[route:api]
queue = work
cluster_from = header:cluster
destination = queue:{{queue}}.{{cluster}}
on_no_cluster = cluster:east
"""


class World:
    """The API's broker is the launcher's; the cluster's broker is our own, with TLS on a second port."""

    def __init__(self, api, servers):
        self.api, self.server = api, servers.rabbits[0]
        self.ours, self.other = Authority(servers.directory, "ours"), Authority(servers.directory, "other")
        # The name localhost only: the address 127.0.0.1 is then a wrong name.
        certificate, key = self.ours.issue("broker", "DNS:localhost")
        self.client = self.ours.issue("client", "DNS:router")
        self.port = free_port()
        with open(f"{self.server.directory}/rabbitmq.conf", "a", encoding="utf-8") as file:
            file.write(f"listeners.ssl.1 = {HOST}:{self.port}\nssl_options.cacertfile = {self.ours.certificate}\n"
                       f"ssl_options.certfile = {certificate}\nssl_options.keyfile = {key}\n"
                       "ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n")
        os.chmod(key, 0o644)
        servers.start()
        self.cluster = Broker(self.server.url, self.server.ctl)
        self.cluster.add_vhosts("t-east")
        api.add_vhosts("t-api")

    def router(self, host="localhost", ca=None, extra=None, port=None):
        if extra is None:
            extra = "tls_cert = {}\ntls_key = {}".format(*self.client)
        return Router(CONFIGURATION.format(host=host, port=port or self.port, ca=ca or self.ours.certificate, extra=extra,
                                           api=self.api.url("t-api"))).start()

    def send(self, body):
        with self.api.connect("t-api") as connection:
            connection.channel().basic_publish("", "work", body, pika.BasicProperties(headers={"cluster": "east"}))

    def arrived(self):
        with self.cluster.connect("t-east") as connection:
            channel = connection.channel()
            channel.queue_declare("work.east", durable=True)
            return channel.basic_get("work.east", auto_ack=True)[2]


def trusted(world):
    """amqps:// with the right authority, name and client certificate carries messages"""
    router = world.router()
    world.send(b"one")
    assert wait_until("the message", world.arrived) == b"one"
    router.stop()


def refused(world, words, **options):
    """A router of these options delivers nothing and says why; the right one then delivers what waited."""
    router = world.router(**options)
    world.send(b"two")
    error = wait_until("an error", lambda: router.route()["error"])
    time.sleep(0.3)
    assert world.arrived() is None
    router.stop()
    print(f"# {error}")
    assert all(word in error for word in words), error
    assert "guest:guest" not in error, error
    router = world.router()
    assert wait_until("the message", world.arrived) == b"two"
    router.stop()


def unknown_authority(world):
    """A broker whose authority is not trusted gets nothing, and the error says so"""
    refused(world, [f"localhost:{world.port}", "certificate", "other.pem"], ca=world.other.certificate)


def wrong_name(world):
    """A broker whose certificate bears another name gets nothing, and the error says so"""
    refused(world, [f"{HOST}:{world.port}", "certificate", "name"], host=HOST)


def expired(world):
    """A broker whose certificate is over gets nothing, and the error says so"""
    certificate, key = world.ours.issue("expired", "DNS:localhost", days=-1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server((HOST, 0)) as listener:
        threading.Thread(target=shake_hands, args=(listener, context), daemon=True).start()
        refused(world, ["certificate", "not valid now", "ours.pem"], port=listener.getsockname()[1])


def shake_hands(listener, context):
    """What takes no certificate like that goes away during the handshake."""
    while True:
        try:
            client, _ = listener.accept()
            with client:
                context.wrap_socket(client, server_side=True).close()
        except OSError:
            if listener.fileno() < 0:
                return


def no_client_certificate(world):
    """A broker that asks for a client certificate refuses a router without; the error names the broker"""
    refused(world, [f"localhost:{world.port}"], extra="")


def missing_file(world):
    """An authority's file that is not there is an error that names it"""
    path = "/nonexistent/ca.pem"
    router = Router(CONFIGURATION.format(host="localhost", port=world.port, ca=path, extra="",
                                         api=world.api.url("t-api")))
    router.start(wait=False)
    status = wait_until("an end or an error", lambda: ended_or_complains(router, path))
    print(f"# {status}")


def ended_or_complains(router, path):
    if router.process.poll() is not None:
        assert router.process.returncode == 78 and path in router.tail(), router.tail()
        return "exit status 78"
    stats = router.get("/api/v1/stats")
    error = stats and stats["routes"] and stats["routes"][0]["error"]
    return error if error and path in json.dumps(error) else None


def main():
    url, ctl = tap.need("AMQP_URL", "RABBITMQCTL")
    servers = Servers(rabbits=1)
    api = Broker(url, ctl)
    world = World(api, servers)
    broken = tap.run([trusted, unknown_authority, wrong_name, expired, no_client_certificate, missing_file], world)
    api.remove_vhosts()
    world.cluster.remove_vhosts()
    servers.stop()
    sys.stdout.flush()
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
