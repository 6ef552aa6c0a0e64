# SPDX-License-Identifier: MIT
"""How long messages are on their way at a steady pace, with the router in between and without."""

import statistics

import loads
from contenders import Router

COUNT = 3000  # messages of each way in each round, one each millisecond


def percentile(numbers, share):
    return sorted(numbers)[int(len(numbers) * share)]


def travel(bench, first):
    """The microseconds of each message from that queue to the one of the first cluster."""
    output = bench.queues.outputs[0]
    text = bench.program("latency", bench.rabbit.url, first, output, str(COUNT), loads.CLUSTERS[0])
    return [int(line) for line in text.split()]


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
