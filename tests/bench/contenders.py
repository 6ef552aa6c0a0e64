# SPDX-License-Identifier: MIT
"""Who moves messages from the shared queue to those of the clusters: each is started anew for every round."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

from server import die_with_parent, free_port, tail  # noqa: E402 (found only now)

from loads import CLUSTERS, SOURCES, Queues  # noqa: E402

STOP_DEADLINE_S = 20

CONFIGURATION = """\
[DEFAULT]
state_dir = {folder}/state

[broker]
url = {url}
queue_type = {queue_type}

[http]
listen = 127.0.0.1:{http}
"""

ROUTE = """
[route:{queue}]
queue = {queue}
lanes = {lanes}
cluster_from = {source}
destination = queue:{shared}.{{cluster}}
"""

CALLS = """\
[DEFAULT]
state_dir = {folder}/state

[{cluster}]
cluster_member_ips = 10.0.0.1
amqp_url = {services}

[broker]
url = {callers}

[http]
listen = 127.0.0.1:{http}

[route:bench]
queue = cluster-router.bench
bind = openstack/#
bind_exchange = topic, transient
cluster_from = {source}
destination = exchange:{{exchange}}/{{key}}
"""


class BenchError(Exception):
    """Why the benchmark cannot go on."""


def process_cpu_ns(pid):
    """User and system time of all its threads so far: the kernel's CPU clock of a process."""
    return time.clock_gettime_ns((~pid << 3) | 2)


class Contender:
    """A program that moves messages. @looks: it must sort them by cluster, half to each."""

    looks = True

    def __init__(self, name, command, environment=None):
        self.name = name
        self.command = command  # (url, load) -> arguments
        self.environment = environment or {}
        self.process = None
        self.folder = None

    def log(self):
        return os.path.join(self.folder, "log")

    def start(self, url, load):
        self.folder = tempfile.mkdtemp(prefix="cluster-router-bench-")
        command = self.command(url, load)
        with open(self.log(), "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **self.environment}, preexec_fn=die_with_parent())

    def check(self):
        if self.process.poll() is not None:
            raise BenchError(f"{self.name} ended with {self.process.returncode}; the end of its log:\n"
                             f"{tail(self.log())}")

    def cpu_ns(self):
        return process_cpu_ns(self.process.pid)

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.folder:
            shutil.rmtree(self.folder)
        self.process = self.folder = None


class BareMover(Contender):
    """To those two queues in turn."""

    looks = False

    def __init__(self, build, outputs=tuple(f"{Queues.shared}.{cluster}" for cluster in CLUSTERS)):
        program = os.path.join(build, "tests/bench/bare_mover")
        super().__init__("bare mover", lambda url, load: [program, url, Queues.shared, *outputs])


class Router(Contender):
    """@more_clusters beside the two that the messages name; a route for each queue of its load."""

    def __init__(self, build, more_clusters=0, lanes=1, name="router"):
        super().__init__(name, lambda url, load: [self.program, "-c", self.write(url, load)])
        self.program = os.path.join(build, "router/cluster-routerd")
        self.more = [f"cluster-{number}" for number in range(more_clusters)]
        self.lanes = lanes
        self.http = None

    def clusters(self):
        return [*CLUSTERS, *self.more]

    def members(self, number):
        return f"10.0.{number // 250}.{number % 250 + 1}"

    def write(self, url, load):
        path = os.path.join(self.folder, "cluster-router.conf")
        self.http = free_port()
        text = CONFIGURATION.format(folder=self.folder, url=url, queue_type=load.queue_type, http=self.http)
        for queue in load.inputs:
            text += ROUTE.format(queue=queue, shared=Queues.shared, lanes=self.lanes, source=SOURCES[load.kind])
        for number, cluster in enumerate(self.clusters()):
            text += f"\n[{cluster}]\ncluster_member_ips = {self.members(number)}\n"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path


class CallRouter(Router):
    """Between callers in one vhost and a cluster in another, as in front of unmodified services. Its load is the
    pair of their URLs."""

    def write(self, _url, load):
        path = os.path.join(self.folder, "cluster-router.conf")
        self.http = free_port()
        with open(path, "w", encoding="utf-8") as file:
            file.write(CALLS.format(folder=self.folder, http=self.http, cluster=CLUSTERS[0], callers=load[0],
                                    services=load[1], source=SOURCES["oslo"]))
        return path


class Shovel:
    """One shovel from the shared queue to the first output: RabbitMQ cannot choose a queue by the message, and two
    shovels would each take whatever comes, so this one does less than the others. It runs inside the broker, hence
    no CPU time of its own. Both its ends are the broker itself, without a network between, as is usual."""

    name = "Shovel"
    looks = False

    def __init__(self, rabbit):
        self.rabbit = rabbit
        self.running = False

    def start(self, _url, _load):
        self.rabbit.rabbitmqctl("-q", "set_parameter", "shovel", "bench", json.dumps({
            "src-protocol": "amqp091", "src-uri": "amqp://", "src-queue": Queues.shared, "src-prefetch-count": 500,
            "dest-protocol": "amqp091", "dest-uri": "amqp://", "dest-queue": f"{Queues.shared}.{CLUSTERS[0]}",
            "ack-mode": "on-confirm"}))
        self.running = True

    def check(self):
        pass

    def cpu_ns(self):
        return None

    def stop(self):
        if self.running:
            self.rabbit.rabbitmqctl("-q", "clear_parameter", "shovel", "bench")
        self.running = False


def pika_router():
    program = os.path.join(HERE, "pika_router.py")
    return Contender("pika", lambda url, load: [program, url, Queues.shared, load.kind])


def amqplib_router(build):
    """None if npm has not installed amqplib there."""
    modules = os.path.join(build, "node", "node_modules")
    if not os.path.isdir(os.path.join(modules, "amqplib")):
        return None
    program = os.path.join(HERE, "amqplib_router.js")
    return Contender("amqplib", lambda url, load: ["node", program, url, Queues.shared, load.kind],
                     {"NODE_PATH": modules})
