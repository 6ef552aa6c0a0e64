# SPDX-License-Identifier: MIT
"""What more clusters and more lanes cost or bring."""

import statistics

import loads
import moving
from contenders import Router

CLUSTERS = (2, 100, 10000)
COUNT = 10000  # messages per round
SECOND = "shared-second"


def decide(bench):
    """Reading a message and deciding, with ever more clusters."""
    lines = bench.program("bench_decide").splitlines()
    found = {int(clusters): {"two_named_ns": float(few), "all_named_ns": float(every)}
             for clusters, few, every in map(str.split, lines)}
    print("\nReading a message of 512 B and deciding, ns")
    print(f"{'clusters':<12}{'two of them named':>20}{'all named in turn':>20}")
    for clusters, ns in found.items():
        print(f"{clusters:<12}{ns['two_named_ns']:>20.0f}{ns['all_named_ns']:>20.0f}", flush=True)
    most = max(found)
    bench.goals.at_most(f"decide with {most} clusters / with 2",
                        found[most]["two_named_ns"] / found[2]["two_named_ns"], 1.1)
    return found


def clusters(bench):
    """The router with ever more clusters configured, two of them named."""
    load = loads.choose(quick=True)[0]._replace(count=COUNT)
    rivals = [Router(bench.build, number - len(loads.CLUSTERS),
                     name="router" if number == CLUSTERS[0] else f"{number}") for number in CLUSTERS]
    results = moving.run_rounds(bench.queues, bench.rabbit, rivals, load, bench.rounds)
    print(f"\nClusters configured; \"router\" has {CLUSTERS[0]}", end="")
    bench.print_table(load, results)
    return bench.summary(load, results)


def lanes(bench):
    """Four lanes on two shared queues beside one lane on one."""
    one = loads.choose(quick=True)[0]._replace(count=COUNT)
    two = one._replace(inputs=(loads.SHARED, SECOND))
    pairs = [("1 lane", Router(bench.build), one), ("4 lanes", Router(bench.build, lanes=2), two)]
    rates = {name: [] for name, _, _ in pairs}
    for number in range(bench.rounds):
        for name, router, load in pairs if number % 2 == 0 else pairs[::-1]:
            rates[name].append(moving.move(bench.queues, bench.rabbit, router, load, load.count).rate)
    ratio = statistics.median(four / single for four, single in zip(rates["4 lanes"], rates["1 lane"]))
    print(f"\n4 lanes on 2 shared queues: {statistics.median(rates['4 lanes']):.0f} messages/s; 1 lane: "
          f"{statistics.median(rates['1 lane']):.0f} messages/s; median ratio {ratio:.2f}", flush=True)
    bench.goals.at_least("messages/s, 4 lanes on 2 shared queues / 1 lane", ratio, 1.0)
    return rates
