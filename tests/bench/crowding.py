#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""How long messages are on their way while a crowd hangs on the router's HTTP port.

    crowding.py PORT COUNT    the crowd: opens so many connections, sends each half a request, says "full" once all were
                              opened, and opens those again that are closed, until its parent ends
"""

import os
import resource
import selectors
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
AGAIN_PER_S = 500  # so many come back in a second; more would measure this program
HALF = b"GET /api/v1/stats HTTP/1.1\r\nHost:"


class Crowd:
    def __init__(self, port):
        self.port = port
        self.selector = selectors.DefaultSelector()

    def join(self):
        guest = socket.create_connection(("127.0.0.1", self.port))
        guest.sendall(HALF)
        guest.setblocking(False)
        self.selector.register(guest, selectors.EVENT_READ)

    def leave(self, guest):
        self.selector.unregister(guest)
        guest.close()

    def stay(self):
        while True:
            gone = [key.fileobj for key, _ in self.selector.select()][:AGAIN_PER_S // 10]
            for guest in gone:
                self.leave(guest)
                try:
                    self.join()
                except OSError:
                    pass  # the router ends
            time.sleep(0.1)


def crowd(port, count):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    guests = Crowd(port)
    for _ in range(count):
        guests.join()
    print("full", flush=True)
    guests.stay()


def gather(port):
    gathered = subprocess.Popen([sys.executable, os.path.abspath(__file__), str(port), str(CROWD)],
                                stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent(signal.SIGKILL))
    if gathered.stdout.readline() != "full\n":
        raise contenders.BenchError("the crowd did not come together; are 10,000 open files allowed (ulimit -n)?")
    return gathered


def http_crowd(bench):
    """Alone and with the crowd, in turn."""
    router = contenders.Router(bench.build)
    found = {"alone": [], "crowd": []}
    load = loads.choose(quick=True)[0]
    bench.queues.make(load)
    try:
        router.start(bench.rabbit.url, load)
        bench.wait_ready(router)
        for _ in range(bench.rounds):
            found["alone"].append(travelling.percentile(travelling.travel(bench, loads.SHARED), 0.99))
            guests = gather(router.http)
            try:
                found["crowd"].append(travelling.percentile(travelling.travel(bench, loads.SHARED), 0.99))
            finally:
                guests.kill()
                guests.wait()
    finally:
        router.stop()
    print(f"\np99 on their way at 1,000 messages/s, us, with {CROWD} connections to HTTP and without")
    for way, figures in found.items():
        print(f"{way:<12}{statistics.median(figures):>8.0f}{bench.spread(figures, '.0f'):>15}", flush=True)
    ratio = statistics.median(crowded / alone for crowded, alone in zip(found["crowd"], found["alone"]))
    bench.goals.at_most("crowd: p99, with 10,000 HTTP connections / without", ratio, 1.2)
    return found


if __name__ == "__main__":
    crowd(int(sys.argv[1]), int(sys.argv[2]))
