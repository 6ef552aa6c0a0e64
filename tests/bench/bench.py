#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures the router beside others on one private RabbitMQ; started by scripts/bench, which builds and says how.

    bench.py BUILD ROUNDS full|quick PART...
"""

import glob
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
import urllib.request

import pika

import contenders
import crowding
import isolation
import liveness
import loads
import moving
import scaling
import travelling
from contenders import BenchError, CallRouter, Router
from goals import Goals
from travelling import percentile

sys.path.insert(0, os.path.join(contenders.HERE, "..", "support"))

from server import ServerError  # noqa: E402 (found only now)
from servers import Servers  # noqa: E402

DATA = os.path.join(contenders.HERE, "..", "data")
READY_DEADLINE_S = 30
LOOK_S = 0.1  # between two looks whether the router still runs
IDLE_S = 1
WORK_MESSAGES = 2000
MANY_CLUSTERS = 10000
CALLS = 300  # of each way in each round
VHOSTS = ("bench-callers", "bench-services")
MB = 1e6
BUSY_LOAD = 0.7

MOVE_NOTES = """\
All move the same persistent messages with at most 500 unacknowledged; rates and CPU count from the first arrival.
bare mover: does not look at a message, sends to both queues in turn. Shovel: one shovel to one queue, since two are
not comparable (each takes whatever comes); runs inside the broker, so its CPU time is the broker's. amqplib: with
confirms. pika: without. "broker us" is what RabbitMQ itself spends on a message meanwhile, "router / it" the median of
the ratios of single rounds.
"""


def spread(numbers, form):
    return f"{min(numbers):{form}}-{max(numbers):{form}}"


def ratio_text(ratio):
    return "-" if ratio is None else f"{ratio:.2f}"


def print_table(load, results):
    print(f"\n{load.name}, {load.count} messages per round")
    print(f"{'':<12}{'msg/s':>9}{'min-max':>15}{'CPU us/msg':>12}{'min-max':>17}{'broker us':>11}"
          f"{'router / it':>13}{'CPU':>7}")
    for name, rounds in results.items():
        rates = [result.rate for result in rounds]
        cpus = [result.cpu_us for result in rounds if result.cpu_us is not None]
        cpu, cpu_spread = (f"{statistics.median(cpus):.2f}", spread(cpus, ".2f")) if cpus else ("-", "-")
        print(f"{name:<12}{statistics.median(rates):>9.0f}{spread(rates, '.0f'):>15}{cpu:>12}{cpu_spread:>17}"
              f"{statistics.median(result.broker_us for result in rounds):>11.1f}"
              f"{ratio_text(moving.median_ratio(results, 'rate', name)):>13}"
              f"{ratio_text(moving.median_ratio(results, 'cpu_us', name)):>7}", flush=True)


def summary(load, results):
    return {"name": load.name, "messages": load.count, "body_bytes": len(load.bodies[0]), "contenders": {
        name: {"messages_per_s": [result.rate for result in rounds],
               "cpu_us_per_message": [result.cpu_us for result in rounds],
               "broker_us_per_message": [result.broker_us for result in rounds],
               "router_to_it_rate": moving.median_ratio(results, "rate", name),
               "router_to_it_cpu": moving.median_ratio(results, "cpu_us", name)}
        for name, rounds in results.items()}}


class Bench:
    def __init__(self, build, rounds, quick):
        self.build = build
        self.rounds = rounds
        self.quick = quick
        self.goals = Goals()
        self.rabbit = None
        self.east = None
        self.redis = None
        self.queues = None

    def move(self):
        """Messages per second and CPU per message of all contenders, under every load."""
        rivals = [contenders.BareMover(self.build), Router(self.build), contenders.Shovel(self.rabbit)]
        amqplib = contenders.amqplib_router(self.build)
        rivals += [rival for rival in (amqplib, contenders.pika_router()) if rival]
        print("\n" + MOVE_NOTES, end="")
        if not amqplib:
            print("amqplib is left out: npm has not installed it.")
        found = []
        for load in loads.choose(self.quick):
            results = moving.run_rounds(self.queues, self.rabbit, rivals, load, self.rounds)
            print_table(load, results)
            self.goals.judge_move(load.name, results)
            found.append(summary(load, results))
        return found

    print_table = staticmethod(print_table)
    summary = staticmethod(summary)
    spread = staticmethod(spread)

    def program(self, name, *arguments):
        """What one of the programs here prints."""
        done = subprocess.run([os.path.join(self.build, "tests", "bench", name), *arguments], capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            raise BenchError(f"{name} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def scan(self):
        """The scanner and general parsers, on every captured message."""
        head, *rows = map(str.split, self.program("bench_scan", *sorted(glob.glob(os.path.join(DATA, "*.json")))
                                                  ).splitlines())
        print("\nScan of each captured message to its end: MB/s, then the time of general parsers / ours")
        print(f"{'':<56}{'bytes':>7}{'MB/s':>8}" + "".join(f"{name:>10}" for name in head[3:]))
        found = {}
        for name, size, ours, *theirs in rows:
            found[name] = {other: float(ns) / float(ours) for other, ns in zip(head[3:], theirs) if ns != "-"}
            print(f"{name:<56}{size:>7}{int(size) * 1000 / float(ours):>8.0f}"
                  + "".join(f"{found[name][other]:>10.2f}" if other in found[name] else f"{'-':>10}"
                            for other in head[3:]), flush=True)
        self.goals.at_least("scan of the 8 kB message, time of simdjson / ours",
                            found[os.path.basename(loads.CREATE_VOLUME)]["simdjson"], 1)
        return found

    def small_load(self):
        return loads.choose(quick=True)[0]

    def wait_ready(self, router):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        end = time.monotonic() + READY_DEADLINE_S
        while True:
            router.check()
            try:
                with opener.open(f"http://127.0.0.1:{router.http}/readyz", timeout=5):
                    return
            except OSError as error:
                if time.monotonic() > end:
                    raise BenchError(f"the router is not ready after {READY_DEADLINE_S} s: {error}") from error
            time.sleep(0.02)

    def resident(self, more_clusters):
        """(idle after the start, idle after some work), in MB."""
        load, router = self.small_load(), Router(self.build, more_clusters)
        self.queues.make(load)
        try:
            router.start(self.rabbit.url, load)
            self.wait_ready(router)
            time.sleep(IDLE_S)
            idle = router.resident_bytes()
            self.queues.send(load, WORK_MESSAGES)
            moving.wait_for_arrivals(self.queues, router, WORK_MESSAGES)
            time.sleep(IDLE_S)
            return idle / MB, router.resident_bytes() / MB
        finally:
            router.stop()

    def memory(self):
        """Resident memory of the router, with few and with many clusters."""
        few = self.resident(0)
        many = self.resident(MANY_CLUSTERS - len(loads.CLUSTERS))
        print(f"\nResident memory: {few[0]:.1f} MB idle, {few[1]:.1f} MB after {WORK_MESSAGES} messages; "
              f"with {MANY_CLUSTERS} clusters in the file {many[0]:.1f} MB and {many[1]:.1f} MB", flush=True)
        self.goals.at_most("resident memory idle, MB", few[0], 12)
        self.goals.at_most(f"resident memory with {MANY_CLUSTERS} clusters, MB", many[0], 60)
        return {"idle_mb": few[0], "after_work_mb": few[1], "many_clusters_idle_mb": many[0],
                "many_clusters_after_work_mb": many[1]}

    def start_once(self):
        """Seconds from the start of the program to the first message at its destination."""
        load, router, arrived = self.small_load(), Router(self.build), []
        self.queues.make(load)
        self.queues.fill(load, 2)
        consumers = [self.queues.channel.basic_consume(name, lambda *message: arrived.append(message), auto_ack=True)
                     for name in self.queues.outputs]
        try:
            begin = time.monotonic()
            router.start(self.rabbit.url, load)
            while not arrived:
                router.check()
                self.queues.connection.process_data_events(time_limit=LOOK_S)
                if time.monotonic() - begin > READY_DEADLINE_S:
                    raise BenchError(f"the router has routed nothing within {READY_DEADLINE_S} s")
            return time.monotonic() - begin
        finally:
            for consumer in consumers:
                self.queues.channel.basic_cancel(consumer)
            router.stop()

    def start(self):
        """From the start of the router to the first routed message."""
        seconds = [self.start_once() for _ in range(self.rounds)]
        median = statistics.median(seconds)
        print(f"\nStart to first routed message: {median:.3f} s ({spread(seconds, '.3f')})", flush=True)
        self.goals.at_most("start to first routed message, s", median, 0.3)
        return seconds

    def time_calls(self, urls):
        """[{way: milliseconds of its calls}] of each round."""
        router = CallRouter(self.build)
        try:
            router.start(None, urls)
            self.wait_ready(router)
            done = subprocess.run([os.path.join(contenders.HERE, "calling.py"), "call", urls[1], urls[0],
                                   str(self.rounds), str(CALLS)], stdout=subprocess.PIPE, text=True, check=False)
            router.check()
        finally:
            router.stop()
        if done.returncode != 0:
            raise BenchError(f"calling.py ended with {done.returncode}")
        return json.loads(done.stdout)

    def rpc(self):
        """Calls of an oslo.messaging client, to its service directly and through the router."""
        for vhost in VHOSTS:
            self.rabbit.rabbitmqctl("-q", "add_vhost", vhost)
            self.rabbit.rabbitmqctl("-q", "set_permissions", "-p", vhost, "guest", ".*", ".*", ".*")
        rounds = self.time_calls([f"{self.rabbit.url.rsplit('/', 1)[0]}/{vhost}" for vhost in VHOSTS])
        print(f"\nCalls of oslo.messaging, {CALLS} of each way in each round, ms")
        print(f"{'':<12}{'p50':>8}{'min-max':>15}{'p99':>8}{'min-max':>15}")
        found = {}
        for way in rounds[0]:
            found[way] = {name: [percentile(took[way], share) for took in rounds]
                          for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99))}
            print(f"{way:<12}" + "".join(f"{statistics.median(figures):>8.2f}{spread(figures, '.2f'):>15}"
                                         for figures in found[way].values()))
        for name in ("p50_ms", "p99_ms"):
            pairs = list(zip(found["routed"][name], found["direct"][name]))
            found[f"{name}_difference"] = statistics.median(routed - direct for routed, direct in pairs)
            found[f"{name}_ratio"] = statistics.median(routed / direct for routed, direct in pairs)
            print(f"{name[:3]}: routed takes {found[f'{name}_difference']:.2f} ms longer, "
                  f"{found[f'{name}_ratio']:.2f} times as long (medians of the rounds)", flush=True)
        self.goals.at_most("calls: p50 difference, ms", found["p50_ms_difference"], 3)
        return found

    def run(self, parts):
        """{part: its figures}. Not all need a broker."""
        if all(part in OFFLINE for part in parts):
            return {part: PARTS[part](self) for part in parts}
        brokers = 2 if "isolation" in parts else 1
        with Servers(rabbits=brokers, redis="liveness" in parts, plugins=["rabbitmq_shovel"]) as servers:
            self.rabbit, self.east, self.redis = servers.rabbits[0], servers.rabbits[-1], servers.redis
            self.queues = loads.Queues(self.rabbit.url)
            return {part: PARTS[part](self) for part in parts}


# A part takes the Bench, prints what it finds, judges its goals and returns its figures for bench.json. Each is also a
# word and a line of help in scripts/bench.
PARTS = {
    "move": Bench.move,
    "scan": Bench.scan,
    "decide": scaling.decide,
    "clusters": scaling.clusters,
    "lanes": scaling.lanes,
    "latency": travelling.latency,
    "crowd": crowding.http_crowd,
    "memory": Bench.memory,
    "start": Bench.start,
    "isolation": isolation.isolation,
    "rpc": Bench.rpc,
    "liveness": liveness.liveness,
}
OFFLINE = ("scan", "decide")


def machine():
    return {"system": platform.platform(), "cores": os.cpu_count(), "load_average": os.getloadavg(),
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


def stop(*_):
    sys.exit(143)


def main():
    build, rounds, speed, *parts = sys.argv[1:]
    signal.signal(signal.SIGTERM, stop)
    bench = Bench(build, int(rounds), speed == "quick")
    about = machine()
    print(f"bench: {about['cores']} cores, load average {about['load_average'][0]:.1f}, {rounds} rounds", flush=True)
    if about["load_average"][0] > BUSY_LOAD:
        print("bench: the machine is busy; do not trust these figures", flush=True)
    try:
        found = bench.run(parts)
    except (BenchError, ServerError, pika.exceptions.AMQPError) as error:
        print(f"bench: {error or repr(error)}", file=sys.stderr)
        return 69
    path = os.path.join(build, "bench.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"machine": about, "rounds": bench.rounds, "quick": bench.quick, **found,
                   "goals": bench.goals.as_list()}, file, indent=1)
    print(f"\nWritten to {os.path.relpath(path)}")
    bench.goals.print()
    return 1 if bench.goals.missed() else 0


if __name__ == "__main__":
    sys.exit(main())
