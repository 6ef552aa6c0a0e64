# SPDX-License-Identifier: MIT
"""What it costs to know of many hosts: heartbeats, polls, memory, and the lanes beside them."""

import collections
import glob
import os
import signal
import statistics
import time
import urllib.request

import loads
import moving
from contenders import BenchError, Router, process_cpu_ns

MANY = ((1000, 100), (10000, 2))
POLLS = 10
NO_POLLS = "no polls"
COUNT = 40000  # messages per round: so that a round sees several polls
MOST_POLL_S = 1
MOST_MB = 150
LEAST_HEARTBEATS = 10000
MOST_SLOWER = 1.05
SOME_POLLS_S = 5
LOOK_S = 0.5
IDLE_SHARE = 0.1  # of one core, for all lanes
DEADLINE_S = 60
MB = 1e6

# free_rate: messages per second of the time that redis leaves of all cores
Result = collections.namedtuple("Result", "rate cpu_us broker_us free_rate")


class RouterOfHosts(Router):
    """Its hosts have registered in redis. Without polls it has looked at them once, when it started."""

    def __init__(self, build, redis, shape, polls=True):
        super().__init__(build, shape[0] - len(loads.CLUSTERS), name="router" if polls else NO_POLLS)
        self.redis = redis
        self.shape = shape
        self.poll = "1s" if polls else "10m"

    def members(self, _number):
        return ""

    def write(self, url, load):
        path = super().write(url, load)
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"\n[redis]\nurl = {self.redis}\npoll = {self.poll}\n")
        return path

    def usable_hosts(self):
        """As its metrics have it; 0 while nobody answers."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.http}/metrics", timeout=DEADLINE_S) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return 0
        return sum(float(line.split()[-1]) for line in lines
                   if line.startswith("cluster_router_cluster_hosts{") and 'state="up"' in line)

    def cpu_ns(self, thread="lane"):
        """CPU time of its threads of that name alone: whatever else runs on this machine does not count."""
        spent = 0
        for path in glob.glob(f"/proc/{self.process.pid}/task/*/comm"):
            with open(path, encoding="utf-8") as comm:
                if comm.read().strip() != thread:
                    continue
            with open(os.path.join(os.path.dirname(path), "schedstat"), encoding="utf-8") as schedstat:
                spent += int(schedstat.read().split()[0])
        return spent


def redis_cpu_ns(bench):
    return process_cpu_ns(bench.redis.process.pid)


def shape_name(shape):
    return f"{shape[0]} x {shape[1]}"


def fill(bench, router):
    """(heartbeats per second, seconds of each poll); redis has all of its hosts then."""
    lines = bench.program("bench_liveness", router.redis, str(router.shape[1]), str(POLLS), *router.clusters())
    pairs = [line.split() for line in lines.splitlines()]
    polls = [float(figure) for word, figure in pairs if word == "poll"]
    return next(float(figure) for word, figure in pairs if word == "heartbeats"), polls


def start(bench, router, load):
    """Until it knows all its hosts and has made all its queues."""
    bench.queues.make(load)
    router.start(bench.rabbit.url, load)
    bench.wait_ready(router)
    end = time.monotonic() + DEADLINE_S
    idle = False
    while not idle or router.usable_hosts() < router.shape[0] * router.shape[1]:
        before = router.cpu_ns()
        bench.queues.sleep(LOOK_S)
        router.check()
        idle = router.cpu_ns() - before < IDLE_SHARE * LOOK_S * 1e9
        if time.monotonic() > end:
            raise BenchError(f"{router.name}: the router has not come to rest after {DEADLINE_S} s")


def rest(bench, router):
    """(resident MB, CPU time of the registry and of redis in ms per second) over some polls."""
    try:
        start(bench, router, loads.choose(quick=True)[0])
        begin, registry_ns, redis_ns = time.monotonic(), router.cpu_ns("registry"), redis_cpu_ns(bench)
        bench.queues.sleep(SOME_POLLS_S)
        elapsed_s = time.monotonic() - begin
        return (router.resident_bytes() / MB, (router.cpu_ns("registry") - registry_ns) / 1e6 / elapsed_s,
                (redis_cpu_ns(bench) - redis_ns) / 1e6 / elapsed_s)
    finally:
        router.stop()


def move(bench, router, load):
    """What a router does that has come to rest: it is stopped while messages are put into the shared queue. Redis,
    which runs elsewhere in earnest, takes its part of the same cores here: that is no work of the router."""
    try:
        start(bench, router, load)
        router.process.send_signal(signal.SIGSTOP)
        bench.queues.fill(load, load.count)
        cpu_begin = router.cpu_ns()
        router.process.send_signal(signal.SIGCONT)
        begin, first, _ = moving.wait_for_arrivals(bench.queues, router, 1)
        redis_begin, broker_begin = redis_cpu_ns(bench), process_cpu_ns(bench.rabbit.process.pid)
        end, _, _ = moving.wait_for_arrivals(bench.queues, router, load.count)
        redis_s = (redis_cpu_ns(bench) - redis_begin) / 1e9
        broker_ns = process_cpu_ns(bench.rabbit.process.pid) - broker_begin
        bench.queues.sleep(moving.SETTLE_S)
        cpu_us = (router.cpu_ns() - cpu_begin) / 1000 / load.count
    finally:
        router.stop()
    moving.check_outcome(bench.queues, router, load, load.count)
    moved, elapsed_s = load.count - first, end - begin
    return Result(moved / elapsed_s, cpu_us, broker_ns / 1000 / moved, moved / (elapsed_s - redis_s / os.cpu_count()))


def move_in_turn(bench, routers, load):
    results = {router.name: [] for router in routers}
    for number in range(bench.rounds):
        shift = number % len(routers)
        for router in routers[shift:] + routers[:shift]:
            results[router.name].append(move(bench, router, load))
    return results


def judge_polls(bench, name, found):
    print(f"{name:<12}{found['heartbeats_per_s']:>14.0f}{statistics.median(found['poll_s']) * 1000:>12.0f}"
          f"{bench.spread([poll * 1000 for poll in found['poll_s']], '.0f'):>15}{found['resident_mb']:>10.1f}"
          f"{found['registry_cpu_ms_per_s']:>16.1f}{found['redis_cpu_ms_per_s']:>13.1f}", flush=True)
    bench.goals.at_least(f"{name}: heartbeats/s from one program", found["heartbeats_per_s"], LEAST_HEARTBEATS)
    bench.goals.at_most(f"{name}: poll of all, s", statistics.median(found["poll_s"]), MOST_POLL_S)
    bench.goals.at_most(f"{name}: resident memory, MB", found["resident_mb"], MOST_MB)


def judge_lanes(bench, name, results):
    bench.goals.at_most(f"{name}: messages/s without polls / with, in what redis leaves of the cores",
                        1 / moving.median_ratio(results, "free_rate", NO_POLLS), MOST_SLOWER)
    bench.goals.at_most(f"{name}: CPU of the lanes per message, with polls / without",
                        moving.median_ratio(results, "cpu_us", NO_POLLS), MOST_SLOWER)


def measure_polls(bench, router):
    heartbeats, polls = fill(bench, router)
    megabytes, registry_ms, redis_ms = rest(bench, router)
    found = {"heartbeats_per_s": heartbeats, "poll_s": polls, "resident_mb": megabytes,
             "registry_cpu_ms_per_s": registry_ms, "redis_cpu_ms_per_s": redis_ms}
    judge_polls(bench, shape_name(router.shape), found)
    return found


def measure_lanes(bench, router, load):
    still = RouterOfHosts(bench.build, router.redis, router.shape, polls=False)
    results = move_in_turn(bench, [router, still], load)
    name = shape_name(router.shape)
    print(f"\n{name} hosts, all polled each second or only at the start; CPU is that of the lanes", end="")
    bench.print_table(load, results)
    judge_lanes(bench, name, results)
    return bench.summary(load, results)


def liveness(bench):
    """Each shape has a redis database of its own."""
    database = bench.redis.url.rsplit("/", 1)[0]
    routers = [RouterOfHosts(bench.build, f"{database}/{number}", shape) for number, shape in enumerate(MANY)]
    load = loads.choose(quick=True)[0]._replace(count=COUNT)
    print(f"\n{'hosts':<12}{'heartbeats/s':>14}{'poll, ms':>12}{'min-max':>15}{'MB':>10}"
          f"{'registry, ms/s':>16}{'redis, ms/s':>13}")
    found = {shape_name(router.shape): measure_polls(bench, router) for router in routers}
    for router in routers:
        found[shape_name(router.shape)]["lanes"] = measure_lanes(bench, router, load)
    return found
