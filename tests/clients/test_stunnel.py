#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Redis through stunnel, with the files of conf/examples/stunnel: trusted only under the right authority and name."""

import os
import subprocess
import sys

import tap
from authority import Authority
from rig import ROOT, Router, wait_until

from server import HOST, Server, free_port
from servers import Servers

CONFIGURATION = """
[east]
cluster_member_ips = 10.0.0.11
[broker]
url = {broker}
[redis]
url = redis://127.0.0.1:{port}/0
poll = 200ms
timeout = 5s
[route:api]
queue = stunnel-work
cluster_from = header:cluster
destination = queue:{{queue}}.{{cluster}}
"""


class Stunnel(Server):
    """One example file, with the places of this machine in it."""

    name = "stunnel"

    def __init__(self, directory, example, **places):
        super().__init__(directory)
        with open(os.path.join(ROOT, "conf", "examples", "stunnel", example), encoding="utf-8") as file:
            text = file.read()
        for option, value in {"foreground": "yes", "accept": f"{HOST}:{self.port}", **places}.items():
            lines = text.splitlines()
            assert sum(line.startswith(f"{option} = ") for line in lines) == 1, (example, option)
            text = "\n".join(f"{option} = {value}" if line.startswith(f"{option} = ") else line for line in lines)
        self.path = os.path.join(directory, example)
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("pid =\n" + text + "\n")

    def command(self):
        return ["stunnel4", self.path]

    def probe(self, connection):
        return True


class World:
    def __init__(self, broker, servers):
        self.broker, self.servers, self.tunnels = broker, servers, []
        self.ours, self.other = Authority(servers.directory, "ours"), Authority(servers.directory, "other")
        certificate, key = self.ours.issue("redis", "DNS:redis.example.org")
        self.server = self.tunnel("redis-server.conf", connect=f"{HOST}:{servers.redis.port}", cert=certificate,
                                  key=key)

    def tunnel(self, example, **places):
        tunnel = Stunnel(os.path.join(self.servers.directory, f"tunnel-{len(self.tunnels)}"), example, **places)
        self.tunnels.append(tunnel)
        tunnel.start()
        tunnel.wait_ready()
        return tunnel

    def client(self, authority, **places):
        return self.tunnel("redis-client.conf", connect=f"{HOST}:{self.server.port}", CAfile=authority.certificate,
                           **places)

    def router(self, tunnel):
        return Router(CONFIGURATION.format(broker=self.broker, port=tunnel.port)).start()

    def redis(self, *words):
        done = subprocess.run(["redis-cli", "-p", str(self.servers.redis.port), *words], capture_output=True, text=True,
                              check=True)
        return done.stdout.strip()

    def stop(self):
        for tunnel in self.tunnels:
            tunnel.stop()


def redis_of(router):
    status = router.get("/api/v1/status")
    return status and status["redis"]


def usable(router):
    clusters = router.get("/api/v1/clusters")
    return clusters["clusters"][0]["usable"] if clusters else None


def works(world):
    """Heartbeats are seen through stunnel, and again when the tunnel comes back"""
    tunnel = world.client(world.ours)
    router = world.router(tunnel)
    world.redis("SADD", "east_set", "10.0.0.11")
    world.redis("SET", "east_10.0.0.11", "1", "PX", "600000")
    wait_until("the host is usable", lambda: usable(router) == 1)
    tunnel.stop()
    wait_until("redis is lost", lambda: redis_of(router)["state"] == "lost")
    assert usable(router) == 1, "redis gone means unknown, not empty"
    tunnel.start()
    wait_until("redis is back", lambda: redis_of(router)["state"] == "ok")
    router.stop()


def refused(world, **options):
    """A router behind such a tunnel learns nothing from redis, and says so."""
    router = world.router(world.client(**options))
    found = wait_until("an error", lambda: (redis_of(router) or {}).get("error"))
    print(f"# {found}")
    assert redis_of(router)["state"] == "waiting", redis_of(router)
    router.stop()


def wrong_authority(world):
    """A redis whose certificate another authority made is not asked"""
    refused(world, authority=world.other)


def wrong_name(world):
    """A redis whose certificate bears another name is not asked"""
    refused(world, authority=world.ours, checkHost="other.example.org")


def main():
    broker, = tap.need("AMQP_URL")
    servers = Servers(redis=True)
    servers.start()
    world = World(broker, servers)
    broken = tap.run([works, wrong_authority, wrong_name], world)
    world.stop()
    servers.stop()
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
