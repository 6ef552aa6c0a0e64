# SPDX-License-Identifier: MIT
"""Rounds in which every contender moves the same messages, one contender at a time.

The clock runs from the first look that finds a message at its destination to the one that finds all of them, so the
start of a program counts for nobody. Each round begins with another contender: none always follows the same one.
"""

import collections
import statistics
import time

from contenders import BenchError, process_cpu_ns

LOOK_S = 0.01
STALL_S = 30
SETTLE_S = 0.1  # after the last message has arrived, for the acknowledgements, which are part of the work

# Messages per second; CPU time per message of the contender, or None, and of the broker
Result = collections.namedtuple("Result", "rate cpu_us broker_us")


def wait_for_arrivals(queues, contender, least):
    """Looks until so many have arrived; returns (time, number, CPU time) of that look."""
    moved_at, before = time.monotonic(), 0
    while True:
        arrived, now = sum(queues.depths()), time.monotonic()
        if arrived >= least:
            return now, arrived, contender.cpu_ns()
        contender.check()
        if arrived > before:
            moved_at, before = now, arrived
        if now - moved_at > STALL_S:
            raise BenchError(f"{contender.name}: {arrived} messages have arrived, and for {STALL_S} s no more")
        queues.sleep(LOOK_S)


def check_outcome(queues, contender, load, count):
    """Nobody is measured by work not done."""
    arrived, left = queues.depths(), queues.left(load)
    if sum(arrived) != count or left or (contender.looks and arrived[0] != arrived[1]):
        raise BenchError(f"{contender.name}: of {count} messages {arrived} have arrived and {left} are left")
    if not all(queues.is_whole(name, load) for name, number in zip(queues.outputs, arrived) if number):
        raise BenchError(f"{contender.name}: a message is not persistent any more, or its body has changed")


def move(queues, rabbit, contender, load, count):
    """One contender, once."""
    queues.make(load)
    queues.fill(load, count)
    try:
        contender.start(rabbit.url, load)
        begin, first, cpu_begin = wait_for_arrivals(queues, contender, 1)
        broker_begin = process_cpu_ns(rabbit.process.pid)
        end, _, _ = wait_for_arrivals(queues, contender, count)
        queues.sleep(SETTLE_S)
        cpu_end, broker_end = contender.cpu_ns(), process_cpu_ns(rabbit.process.pid)
    finally:
        contender.stop()
    check_outcome(queues, contender, load, count)
    if first == count:
        raise BenchError(f"{contender.name} moved {count} messages between two looks: too few to measure")
    moved = count - first
    cpu_us = None if cpu_begin is None else (cpu_end - cpu_begin) / 1000 / moved
    return Result(moved / (end - begin), cpu_us, (broker_end - broker_begin) / 1000 / moved)


def run_rounds(queues, rabbit, contenders, load, rounds):
    """{name: [Result of each round]}; begins with an untimed pass that warms the broker."""
    results = {contender.name: [] for contender in contenders}
    move(queues, rabbit, contenders[0], load, load.count // 2)
    for number in range(rounds):
        shift = number % len(contenders)
        for contender in contenders[shift:] + contenders[:shift]:
            results[contender.name].append(move(queues, rabbit, contender, load, load.count))
    return results


def ratios(results, field, other):
    """Router to other, round by round; [] if one of them has no such figure."""
    pairs = [(getattr(ours, field), getattr(theirs, field))
             for ours, theirs in zip(results["router"], results.get(other, []))]
    return [ours / theirs for ours, theirs in pairs if ours is not None and theirs is not None]


def median_ratio(results, field, other):
    """None if there is none."""
    found = ratios(results, field, other)
    return statistics.median(found) if found else None
