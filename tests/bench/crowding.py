#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""How long messages are on their way while a crowd hangs on the router's HTTP port.

The crowd shares the cores of this machine with router and broker, and so slows them down wherever it hangs. What the
router adds shows beside the same crowd at the door of another program, which shows guests out as the router does, but
reads nothing and moves no messages.

    crowding.py guests PORT    the crowd: opens so many connections, sends each half a request, says "full" once all were
                               opened, and opens again what is closed, until its parent ends
    crowding.py door           the other program: says its port, and serves until its parent ends
"""

import collections
import os
import resource
import select
import signal
import socket
import statistics
import subprocess
import sys
import time

import contenders
import loads
import travelling

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

from server import die_with_parent  # noqa: E402 (found only now)

CROWD = 10000
AGAIN_PER_S = 500  # so many come back in a second, one by one
INSIDE = 192  # as many as the router has in: CROWD_MAX in router/crowd.h
BACKLOG = 1024
HALF = b"GET /api/v1/stats HTTP/1.1\r\nHost:"


class Guests:
    def __init__(self, port):
        self.port = port
        self.closed = select.epoll()
        self.sockets = {}

    def join(self):
        guest = socket.create_connection(("127.0.0.1", self.port))
        guest.sendall(HALF)
        self.sockets[guest.fileno()] = guest
        self.closed.register(guest, select.EPOLLIN | select.EPOLLRDHUP)

    def join_again(self):
        """Looks for one that was closed, not for all of them: that would take longer than whatever is measured."""
        for number, _ in self.closed.poll(None, 1):
            self.sockets.pop(number).close()
            self.join()

    def stay(self):
        due = time.monotonic()
        while True:
            self.join_again()
            due = max(due + 1 / AGAIN_PER_S, time.monotonic())  # who is late does not catch up in a burst
            time.sleep(max(due - time.monotonic(), 0))


def allow_files():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def be_guests(port):
    allow_files()
    guests = Guests(port)
    for _ in range(CROWD):
        guests.join()
    print("full", flush=True)
    try:
        guests.stay()
    except OSError:
        pass  # the other side ends


def be_door():
    listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    inside = collections.deque()
    print(listener.getsockname()[1], flush=True)
    while True:
        inside.append(listener.accept()[0])
        if len(inside) > INSIDE:
            inside.popleft().close()


class Helper:
    """This program as another process, for as long as the block runs; @said: its first line."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), *map(str, arguments)],
                                        stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent(signal.SIGKILL))
        self.said = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def travel_beside(bench, port):
    with Helper("guests", port) as guests:
        if guests.said != "full":
            raise contenders.BenchError("the crowd did not come together; are 10,000 open files allowed (ulimit -n)?")
        return travelling.travel(bench, loads.SHARED)


def travel_elsewhere(bench):
    with Helper("door") as door:
        return travel_beside(bench, int(door.said))


def http_crowd(bench):
    """Without a crowd, with one elsewhere, and with one on the router, in turn."""
    router = contenders.Router(bench.build)
    ways = {"alone": lambda: travelling.travel(bench, loads.SHARED), "elsewhere": lambda: travel_elsewhere(bench),
            "router": lambda: travel_beside(bench, router.http)}
    found = {way: [] for way in ways}
    load = loads.choose(quick=True)[0]
    bench.queues.make(load)
    try:
        router.start(bench.rabbit.url, load)
        bench.wait_ready(router)
        for number in range(bench.rounds):
            for way in list(ways)[::1 if number % 2 == 0 else -1]:
                found[way].append(travelling.percentile(ways[way](), 0.99))
    finally:
        router.stop()
    print(f"\np99 on their way at 1,000 messages/s, us: no crowd; {CROWD} connections to another program; the same to"
          " HTTP of the router")
    for way, figures in found.items():
        print(f"{way:<12}{statistics.median(figures):>8.0f}{bench.spread(figures, '.0f'):>15}", flush=True)
    ratio = statistics.median(ours / other for ours, other in zip(found["router"], found["elsewhere"]))
    bench.goals.at_most("crowd: p99, 10,000 connections to HTTP / to another program", ratio, 1.2)
    return found


if __name__ == "__main__":
    if sys.argv[1] == "guests":
        be_guests(int(sys.argv[2]))
    else:
        be_door()
