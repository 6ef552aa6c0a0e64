#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Times calls of an unmodified oslo.messaging client: to its service directly, and through the router.

    calling.py serve URL                       a service there, until its parent ends
    calling.py call DIRECT ROUTED ROUNDS COUNT JSON: for each round the milliseconds of each call, direct and routed

Both ways the same service answers the same request, whose arguments are those of a captured create_volume. Rounds
alternate in which way comes first.
"""

import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[1:1] = [os.path.join(HERE, "..", "support"), os.path.join(HERE, "..", "clients")]

import loads  # noqa: E402 (found only now)
import rpc  # noqa: E402
from server import die_with_parent  # noqa: E402

WAYS = ("direct", "routed")
SERVER = "bench"
WARM_UP = 20
TIMEOUT_S = 20


class Endpoint:
    """Answers at once: what is measured is the way."""

    target = rpc.oslo_messaging.Target(version="3.0")

    def create_volume(self, context, **_):
        return SERVER


def serve(url):
    transport = rpc.transport(url)
    target = rpc.oslo_messaging.Target(topic=rpc.TOPIC, server=SERVER)
    server = rpc.oslo_messaging.get_rpc_server(transport, target, [Endpoint()], executor="threading")
    server.start()
    print("serving", flush=True)
    signal.pause()


def time_calls(client, arguments, count):
    """The milliseconds of each call."""
    took = []
    for _ in range(count):
        begin = time.perf_counter()
        answer = client.call({}, "create_volume", **arguments)
        took.append((time.perf_counter() - begin) * 1000)
        if answer != SERVER:
            raise SystemExit(f"calling: a call was answered with {answer!r}")
    return took


def call(urls, rounds, count):
    """urls: {way: where its client is connected}; the service is where the direct one is."""
    command = [sys.executable, os.path.abspath(__file__), "serve", urls["direct"]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent()) as service:
        if service.stdout.readline() != "serving\n":
            raise SystemExit("calling: the service did not start")
        arguments = json.loads(json.loads(loads.oslo_body(loads.CLUSTERS[0]))["oslo.message"])["args"]
        clients = {way: rpc.client(url, timeout=TIMEOUT_S) for way, url in urls.items()}
        for client in clients.values():
            time_calls(client, arguments, WARM_UP)
        found = []
        for number in range(rounds):
            order = WAYS if number % 2 == 0 else WAYS[::-1]
            found.append({way: time_calls(clients[way], arguments, count) for way in order})
        service.kill()
    return found


def main():
    role, *words = sys.argv[1:]
    if role == "serve":
        serve(*words)
    direct, routed, rounds, count = words
    print(json.dumps(call({"direct": direct, "routed": routed}, int(rounds), int(count))), flush=True)
    # Threads of oslo.messaging would hold us up.
    os._exit(0)


if __name__ == "__main__":
    main()
