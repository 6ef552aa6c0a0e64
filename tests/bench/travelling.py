# SPDX-License-Identifier: MIT
"""How long messages are on their way at a steady pace: directly, through the router, through the least mover."""

import statistics

import loads
from contenders import BareMover, Router

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


def travel_by(bench, mover, load):
    """The same from the shared queue, by that mover; started for this only."""
    bench.queues.make(load)  # new, so that nobody consumes it yet
    mover.start(bench.rabbit.url, load)
    try:
        bench.queues.wait_consumed(loads.SHARED, mover)
        return travel(bench, loads.SHARED)
    finally:
        mover.stop()


def latency(bench):
    """Routed and direct, in turn, and by the least mover there can be: what a second hop through the broker costs."""
    output = bench.queues.outputs[0]
    load = loads.choose(quick=True)[0]
    movers = {"direct": None, "routed": Router(bench.build), "bare mover": BareMover(bench.build, (output, output))}
    found = {way: {"p50_us": [], "p99_us": []} for way in movers}
    bench.queues.make(load)
    for number in range(bench.rounds):
        for way in list(movers)[::1 if number % 2 == 0 else -1]:
            took = travel_by(bench, movers[way], load) if movers[way] else travel(bench, output)
            found[way]["p50_us"].append(percentile(took, 0.5))
            found[way]["p99_us"].append(percentile(took, 0.99))
    print("\nOn their way at 1,000 messages/s of 512 B, us")
    print(f"{'':<12}{'p50':>8}{'min-max':>15}{'p99':>8}{'min-max':>15}{'p50 / direct':>14}")
    ratios = {way: statistics.median(indirect / direct for indirect, direct in
                                     zip(figures["p50_us"], found["direct"]["p50_us"]))
              for way, figures in found.items()}
    for way, figures in found.items():
        print(f"{way:<12}" + "".join(f"{statistics.median(column):>8.0f}{bench.spread(column, '.0f'):>15}"
                                     for column in figures.values()) + f"{ratios[way]:>14.2f}", flush=True)
    bench.goals.at_most("latency p50, routed / direct", ratios["routed"], 1.9)
    return found
