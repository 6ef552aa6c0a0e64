# SPDX-License-Identifier: MIT
"""What one cluster notices of another whose broker is dead, blocked, full or silent.

East has a broker of its own; west stays on the shared one. First the capacity of the healthy system: messages for both
clusters are sent as fast as they are taken. A round then offers a part of that, without a fault and from the moment
each begins: at which rate west gets its messages, and how long they take. And for information, since nothing is left
over then: how fast a backlog of both clusters reaches west. What is for east is parked under a fault, a second write
to the shared broker, and so costs a machine that has no time left more than the broker of east does in good health.
"""

import collections
import json
import signal
import statistics
import threading
import time

import pika

import travelling
from contenders import BenchError, Router
from loads import CLUSTERS, Load, Queues, flat_body

BACKLOG = 30000
WARM_UP = 200
PREFETCH = 500  # the router's default: what it may have fetched before it was stopped
LOAD = 0.7  # of the capacity
LOAD_S = 8
FLAT_OUT = 1000000  # messages a second, more than anybody can send
LOOK_S = 0.01
STALL_S = 90
EAST, WEST = (f"{Queues.shared}.{cluster}" for cluster in CLUSTERS)
PARKED = [f"cluster-router.{Queues.shared}.parked.{cluster}" for cluster in CLUSTERS]
FULL = json.dumps({"max-length": 0, "overflow": "reject-publish"})

# Each takes east's broker. All run rabbitmqctl once, since that takes a good part of a small machine.
Fault = collections.namedtuple("Fault", "name begin end")


def tell(*arguments):
    return lambda rabbit: rabbit.rabbitmqctl("-q", *arguments)


def die(rabbit):
    rabbit.rabbitmqctl("-q", "eval", "ok.")
    rabbit.kill()


def fall_silent(rabbit):
    rabbit.rabbitmqctl("-q", "eval", "ok.")
    rabbit.pause()


def rise(rabbit):
    rabbit.start()
    rabbit.wait_ready()


HEALTHY = Fault("healthy", tell("eval", "ok."), lambda rabbit: None)
FAULTS = [
    Fault("dead", die, rise),
    Fault("blocked", tell("set_vm_memory_high_watermark", "0.000001"), tell("set_vm_memory_high_watermark", "0.6")),
    Fault("full", tell("set_policy", "full", f"^{EAST}$", FULL, "--apply-to", "queues"), tell("clear_policy", "full")),
    Fault("silent", fall_silent, lambda rabbit: rabbit.resume()),
]


class SplitRouter(Router):
    """East's broker is another one."""

    def __init__(self, build, east_url):
        super().__init__(build)
        self.east_url = east_url

    def write(self, url, load):
        path = super().write(url, load)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(f"[{CLUSTERS[0]}]\n", f"[{CLUSTERS[0]}]\namqp_url = {self.east_url}\n"))
        return path


def warm_up(queues, east_url, load):
    """Some messages for both, so that all queues are made."""
    queues.send(load, WARM_UP)
    connection = pika.BlockingConnection(pika.URLParameters(east_url))
    channel = connection.channel()
    end = time.monotonic() + STALL_S
    while min(queues.depth(WEST), channel.queue_declare(EAST, durable=True).method.message_count) < WARM_UP // 2:
        if time.monotonic() > end:
            raise BenchError(f"the first messages have not arrived within {STALL_S} s")
        queues.sleep(LOOK_S)
    channel.queue_purge(EAST)
    queues.channel.queue_purge(WEST)
    connection.close()


def drain_rate(queues, router, begin, load):
    """Messages per second to west, from the start of the fault until its half of the backlog is there."""
    router.process.send_signal(signal.SIGSTOP)
    queues.send(load, BACKLOG)
    while queues.depth(queues.shared) < BACKLOG - PREFETCH:
        queues.sleep(LOOK_S)
    begin()
    router.process.send_signal(signal.SIGCONT)
    started = time.monotonic()
    while queues.depth(WEST) < BACKLOG // 2:
        router.check()
        if time.monotonic() - started > STALL_S:
            raise BenchError(f"only {queues.depth(WEST)} messages have reached west within {STALL_S} s")
        queues.sleep(LOOK_S)
    return BACKLOG / 2 / (time.monotonic() - started)


def travel(bench, per_s, count):
    """(messages per second of west, their 99th percentile in ms) while so many are sent in all."""
    found = travelling.journeys(bench, Queues.shared, WEST, count, per_s, CLUSTERS)
    arrived, took = zip(*found)
    return len(found) / (max(arrived) - min(arrived)) * 1e6, travelling.percentile(took, 0.99) / 1000


def under_load(bench, begin, per_s):
    """The same from the moment the fault begins."""
    fault = threading.Thread(target=begin)
    fault.start()
    try:
        return travel(bench, per_s, per_s * LOAD_S // len(CLUSTERS))
    finally:
        fault.join()


class Isolation:
    """@bench has the build, the shared broker and how to wait for a router; @east is the other broker."""

    def __init__(self, bench, east):
        self.bench = bench
        self.east = east
        self.per_s = 0  # what is offered, of both clusters
        self.load = Load("512 B, classic", "flat", "classic", BACKLOG, [flat_body(name, 512) for name in CLUSTERS])

    def delete_all(self):
        for rabbit in (self.bench.rabbit, self.east):
            connection = pika.BlockingConnection(pika.URLParameters(rabbit.url))
            channel = connection.channel()
            for name in (Queues.shared, EAST, WEST, *PARKED):
                channel.queue_delete(name)
            connection.close()

    def under(self, fault, measure):
        """measure(router, begin) of a new router; begin() starts the fault."""
        router = SplitRouter(self.bench.build, self.east.url)
        self.delete_all()
        self.bench.queues.make(self.load)
        try:
            router.start(self.bench.rabbit.url, self.load)
            self.bench.wait_ready(router)
            warm_up(self.bench.queues, self.east.url, self.load)
            return measure(router, lambda: fault.begin(self.east))
        finally:
            fault.end(self.east)
            router.stop()

    def capacity(self):
        """Messages per second of both clusters together, when all is well."""
        west, _ = self.under(HEALTHY, lambda router, begin: travel(self.bench, FLAT_OUT, BACKLOG // 2))
        return west * len(CLUSTERS)

    def once(self, fault):
        """(messages per second, 99th percentile in ms, messages per second of a backlog) of west."""
        rate, p99 = self.under(fault, lambda router, begin: under_load(self.bench, begin, self.per_s))
        return rate, p99, self.under(fault, lambda router, begin:
                                     drain_rate(self.bench.queues, router, begin, self.load))

    def rounds(self, count):
        """{name: [what once() finds, of each round]}"""
        self.per_s = int(LOAD * self.capacity())
        return {fault.name: found for fault, found in
                zip((HEALTHY, *FAULTS), zip(*([self.once(fault) for fault in (HEALTHY, *FAULTS)]
                                              for _ in range(count))))}


def isolation(bench):
    """West's rate and latency while east's broker is in trouble, as ratios to those of the same round without."""
    test = Isolation(bench, bench.east)
    rounds = test.rounds(bench.rounds)
    print(f"\nWest while the broker of east is in trouble (medians of the rounds; ratios to healthy), at "
          f"{test.per_s} messages/s of both,\n{LOAD:.0%} of what the healthy system carries; last a backlog, for "
          "information")
    print(f"{'':<12}{'msg/s':>9}{'ratio':>8}{'p99 ms':>9}{'ratio':>8}{'backlog/s':>12}{'ratio':>8}")
    for name, found in rounds.items():
        rate, p99, backlog = (statistics.median(figures) for figures in zip(*found))
        rate_ratio, p99_ratio, backlog_ratio = (statistics.median(mine / well for mine, well in zip(*pair)) for pair in
                                                zip(zip(*found), zip(*rounds["healthy"])))
        print(f"{name:<12}{rate:>9.0f}{rate_ratio:>8.2f}{p99:>9.2f}{p99_ratio:>8.2f}{backlog:>12.0f}"
              f"{backlog_ratio:>8.2f}", flush=True)
        if name != "healthy":
            bench.goals.at_least(f"east {name}: west's messages/s, to healthy", rate_ratio, 0.9)
            bench.goals.at_most(f"east {name}: west's p99, to healthy", p99_ratio, 2)
    return {"per_s": test.per_s, **rounds}
