# SPDX-License-Identifier: MIT
"""How long messages are on their way at a steady pace, with the router in between and without."""

import statistics

import loads
from contenders import Router

COUNT = 3000  # messages of each way in each round
PER_S = 1000


def percentile(numbers, share):
    return sorted(numbers)[int(len(numbers) * share)]


def journeys(bench, first, last, count, per_s, clusters):
    """When each message has arrived in the queue @last, and how long it took from @first, in microseconds. So many a
    second are sent to the clusters in turn; @last is of the last of them, and @count are for that."""
    text = bench.program("latency", bench.rabbit.url, first, last, str(count), str(per_s), *clusters)
    return [tuple(map(int, line.split())) for line in text.splitlines()]


def travel(bench, first):
    """The microseconds of each message from that queue to the one of the first cluster."""
    return [took for _, took in journeys(bench, first, bench.queues.outputs[0], COUNT, PER_S, loads.CLUSTERS[:1])]


def latency(bench):
    """Routed and direct, in turn. The router runs all the time: idle, it takes nothing away."""
    router = Router(bench.build)
    load = loads.choose(quick=True)[0]
    ways = {"direct": bench.queues.outputs[0], "routed": loads.SHARED}
    found = {way: {"p50_us": [], "p99_us": []} for way in ways}
    bench.queues.make(load)
    try:
        router.start(bench.rabbit.url, load)
        bench.wait_ready(router)
        for number in range(bench.rounds):
            for way in list(ways)[::1 if number % 2 == 0 else -1]:
                took = travel(bench, ways[way])
                found[way]["p50_us"].append(percentile(took, 0.5))
                found[way]["p99_us"].append(percentile(took, 0.99))
    finally:
        router.stop()
    print("\nOn their way at 1,000 messages/s of 512 B, us")
    print(f"{'':<12}{'p50':>8}{'min-max':>15}{'p99':>8}{'min-max':>15}")
    for way, figures in found.items():
        print(f"{way:<12}" + "".join(f"{statistics.median(column):>8.0f}{bench.spread(column, '.0f'):>15}"
                                     for column in figures.values()), flush=True)
    ratio = statistics.median(routed / direct for routed, direct in
                              zip(found["routed"]["p50_us"], found["direct"]["p50_us"]))
    bench.goals.at_most("latency p50, routed / direct", ratio, 1.9)
    return found
