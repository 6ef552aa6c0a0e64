#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The demo behind scripts/run: two clusters of two hosts, one router, real messages.

Runs under servers.py, which gives AMQP_URL, REDIS_URL and MYSQL_URL, with the programs in PATH. Without an
option it sends for ever and shows a table; with --check it plays one scenario and ends with a verdict.
"""

import argparse
import collections
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import pika

from server import die_with_parent, free_port, tail
from traffic import QUEUES, Traffic, Verdict

CLUSTERS = {"east": ["10.0.0.11", "10.0.0.12"], "west": ["10.0.1.11", "10.0.1.12"]}
CHECK_MESSAGES = 10000
READY_DEADLINE_S = 20
STALL_S = 10  # so long without a message and the check gives up
STOP_DEADLINE_S = 15

CONFIGURATION = """\
[DEFAULT]
{node}state_dir = {folder}/state

[east]
cluster_member_ips = {east}

[west]
cluster_member_ips = {west}

[broker]
url = {amqp_url}

[redis]
url = {redis_url}
heartbeat_ttl = 3s

[mysql]
url = {mysql_url}

[http]
listen = 127.0.0.1:{http_port}
"""

ROUTE = """
[route:{name}]
queue = {name}
cluster_from = header:cluster, json:/cluster, oslo:/args/cluster
destination = queue:{{queue}}.{{cluster}}
"""


class DemoError(Exception):
    """Why the demo cannot go on."""


class Stopped(Exception):
    """Ctrl-C or SIGTERM."""


class Site:
    """Everything of ours that runs: the router and an agent per host, each with its configuration file."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="cluster-router-demo-")
        self.http_port = free_port()
        self.conf = self.write_conf("router.conf", "")
        self.programs = {}  # name -> Popen, in order of start

    def write_conf(self, name, node):
        path = os.path.join(self.folder, name)
        text = CONFIGURATION.format(
            node=node, folder=self.folder, http_port=self.http_port, amqp_url=os.environ["AMQP_URL"],
            redis_url=os.environ["REDIS_URL"], mysql_url=os.environ["MYSQL_URL"],
            **{cluster: ",".join(hosts) for cluster, hosts in CLUSTERS.items()})
        with open(path, "w") as file:
            file.write(text + "".join(ROUTE.format(name=queue) for queue in QUEUES))
        os.chmod(path, 0o600)
        return path

    def ctl(self, *arguments):
        done = subprocess.run(["clusterctl", "-c", self.conf, *arguments], capture_output=True, text=True)
        if done.returncode != 0:
            raise DemoError(f"clusterctl {' '.join(arguments)} ended with status {done.returncode}:\n"
                            f"{done.stdout}{done.stderr}")
        return done.stdout

    def log(self, name):
        return os.path.join(self.folder, name + ".log")

    def start(self, name, command):
        # A session of its own: at Ctrl-C we stop things in order.
        with open(self.log(name), "w") as log:
            self.programs[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM))

    def start_all(self, agent_command):
        """@agent_command(cluster): what each agent runs beside itself, [] for nothing."""
        self.ctl("db", "sync")
        for cluster in CLUSTERS:
            self.ctl("cluster", "create", cluster)
        self.start("cluster-routerd", ["cluster-routerd", "-c", self.conf])
        self.wait_for("the router", lambda: self.get("/readyz") is not None)
        for cluster, hosts in CLUSTERS.items():
            for host in hosts:
                conf = self.write_conf(f"agent-{host}.conf", f"cluster = {cluster}\nhost = {host}\n")
                beside = agent_command(cluster)
                self.start(f"cluster-agent {host}",
                           ["cluster-agent", "-c", conf, *(["--", *beside] if beside else [])])
        hosts = sum(map(len, CLUSTERS.values()))
        self.wait_for(f"{hosts} usable hosts",
                      lambda: (self.get("/api/v1/status") or {}).get("view", {}).get("usable_hosts") == hosts)

    def check_running(self, only=""):
        for name, process in self.programs.items():
            if name.startswith(only) and process.poll() is not None:
                raise DemoError(f"{name} ended with status {process.returncode}; the end of its log:\n"
                                f"{tail(self.log(name))}")

    def wait_for(self, what, is_true):
        end = time.monotonic() + READY_DEADLINE_S
        while not is_true():
            self.check_running()
            if time.monotonic() > end:
                logs = "".join(f"--- {name}\n{tail(self.log(name), 8)}" for name in self.programs)
                raise DemoError(f"waited {READY_DEADLINE_S} s for {what}; the ends of the logs:\n{logs}")
            time.sleep(0.05)

    def get(self, path):
        """The JSON document of the router, None if it does not answer or says no."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.http_port}{path}", timeout=5) as answer:
                return json.load(answer)
        except (urllib.error.URLError, OSError, ValueError):
            return None

    def routes(self):
        document = self.get("/api/v1/stats")
        if document is None:
            self.check_running()
            raise DemoError("the router answers nothing at /api/v1/stats")
        return document["routes"]

    def stop(self):
        for name, process in reversed(self.programs.items()):
            if process.poll() is None:
                process.terminate()
        for name, process in self.programs.items():
            try:
                process.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                print(f"demo: {name} did not end in {STOP_DEADLINE_S} s: killed", file=sys.stderr)
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def connect():
    return pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))


def sums_up(route):
    """The promise of the statistics."""
    clusters = route["clusters"]
    return route["in"] == (sum(cluster["delivered"] + cluster["parked_now"] for cluster in clusters)
                           + route["dead"] + route["expired"] + route["in_flight"])


# --- the table ---

def producer(rate, stop):
    """Sends for ever; now and then a message for a cluster that does not exist, to be seen in `dead`."""
    traffic = Traffic()
    connection = connect()
    channel = connection.channel()
    due = time.monotonic()
    while not stop.is_set():
        traffic.made.clear()  # nobody asks
        cluster = "nowhere" if random.random() < 0.01 else random.choice(list(CLUSTERS))
        queue, properties, body = traffic.next(cluster)
        channel.basic_publish("", queue, body, properties)
        due += 1 / rate
        connection.sleep(max(0, due - time.monotonic()))


def worker(queue_suffix):
    """An unmodified service: consumes its cluster's queues and never heard of a router."""
    connection = connect()
    channel = connection.channel()
    channel.basic_qos(prefetch_count=100)
    for queue in QUEUES:
        name = f"{queue}.{queue_suffix}"
        channel.queue_declare(name, durable=True)
        channel.basic_consume(name, lambda channel, method, *_: channel.basic_ack(method.delivery_tag))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    channel.start_consuming()


COLUMNS = ("route", "cluster", "in", "out", "parked", "dead", "rate", "p50", "p99")
ROW = "{:<18}{:<10}{:>10}{:>10}{:>9}{:>8}{:>9}{:>10}{:>10}"


def milliseconds(microseconds):
    return f"{microseconds / 1000:.2f} ms"


def table_rows(routes, rate_of):
    for route in routes:
        name, clusters = route["route"], route["clusters"]
        out = sum(cluster["delivered"] for cluster in clusters)
        parked = sum(cluster["parked_now"] for cluster in clusters)
        yield (name, "all", route["in"], out, parked, route["dead"], rate_of((name, None), route["in"]),
               milliseconds(route["hop_p50_us"]), milliseconds(route["hop_p99_us"]))
        for cluster in clusters:
            yield (name, cluster["cluster"] or "-", "", cluster["delivered"], cluster["parked_now"], "",
                   rate_of((name, cluster["cluster"]), cluster["delivered"]), "", "")


def show(site, notes):
    """A table each second: in place on a terminal, else lines below lines."""
    before, before_at = collections.defaultdict(int), time.monotonic()
    on_terminal = sys.stdout.isatty()
    while True:
        time.sleep(1)
        site.check_running("cluster-routerd")  # agents may be killed, to see what happens
        now, counts = time.monotonic(), {}

        def rate_of(key, count):
            counts[key] = count
            return f"{max(0, count - before[key]) / (now - before_at):.0f}/s"

        lines = [ROW.format(*COLUMNS)] + [ROW.format(*row) for row in table_rows(site.routes(), rate_of)]
        text = "\n".join(lines) + "\n"
        print("\033[H\033[J" + notes + text if on_terminal else text, end="" if on_terminal else "\n", flush=True)
        before.update(counts)
        before_at = now


def run_table(site, rate):
    print("demo: starting the router and four agents", flush=True)
    site.start_all(lambda cluster: [sys.executable, os.path.abspath(__file__), "--worker", cluster])
    pids = "  ".join(f"{name.split()[-1]}: {process.pid}" for name, process in site.programs.items())
    notes = (f"Ctrl-C stops everything. Process ids  {pids}\n"
             f"Try in another shell: clusterctl -c {site.conf} status; kill both agents of a cluster\n\n")
    print(notes, end="", flush=True)
    stop = threading.Event()
    sender = threading.Thread(target=producer, args=(rate, stop), daemon=True)
    sender.start()
    try:
        show(site, notes)
    finally:
        stop.set()
        sender.join(5)


# --- the check ---

def send(traffic):
    """Alternately for each cluster. Closing in order waits until the broker has taken everything."""
    connection = connect()
    channel = connection.channel()
    clusters = list(CLUSTERS)
    for number in range(CHECK_MESSAGES):
        queue, properties, body = traffic.next(clusters[number % len(clusters)])
        channel.basic_publish("", queue, body, properties)
    connection.close()


def destinations():
    return {f"{queue}.{cluster}": cluster for queue in QUEUES for cluster in CLUSTERS}


def drain(verdict):
    """Takes what arrives until everything has, or nothing comes any more."""
    connection = connect()
    last = time.monotonic()

    def take_for(cluster):
        def take(_channel, _method, properties, body):
            nonlocal last
            last = time.monotonic()
            verdict.take(cluster, properties, body)
        return take

    channel = connection.channel()
    for queue, cluster in destinations().items():
        channel.basic_consume(queue, take_for(cluster), auto_ack=True)
    while verdict.lost > 0 and time.monotonic() < last + STALL_S:
        connection.process_data_events(time_limit=0.2)
    connection.close()


def take_rest(verdict):
    """What still stands in destination queues once the router is done: copies."""
    connection = connect()
    channel = connection.channel()
    for queue, cluster in destinations().items():
        method, properties, body = channel.basic_get(queue, auto_ack=True)
        while method is not None:
            verdict.take(cluster, properties, body)
            method, properties, body = channel.basic_get(queue, auto_ack=True)
    connection.close()


def check_stats(site):
    """Whether the statistics, over HTTP and from clusterctl, tell of just what happened."""
    good = True
    for source, routes in (("http", site.routes()), ("clusterctl", json.loads(site.ctl("stats", "-o", "json"))["routes"])):
        total = sum(route["in"] for route in routes)
        delivered = sum(cluster["delivered"] for route in routes for cluster in route["clusters"])
        fine = all(map(sums_up, routes)) and total == delivered == CHECK_MESSAGES
        good = good and fine
        for route in routes:
            parts = {key: sum(cluster[key] for cluster in route["clusters"]) for key in ("delivered", "parked_now")}
            parts |= {key: route[key] for key in ("dead", "expired", "in_flight")}
            print(f"check: stats by {source}: {route['route']}: in {route['in']} = "
                  + " + ".join(f"{key} {value}" for key, value in parts.items())
                  + ("" if fine else ": WRONG"))
    return good


def run_check(site):
    print("check: starting the router and four agents", flush=True)
    site.start_all(lambda cluster: [])
    traffic = Traffic()
    verdict = Verdict(traffic)
    print(f"check: sending {CHECK_MESSAGES} messages, forms in turn: header, json, oslo", flush=True)
    started = time.monotonic()
    send(traffic)
    drain(verdict)
    print(f"check: {len(verdict.arrived)} arrived {time.monotonic() - started:.1f} s after the first was sent")
    try:
        site.wait_for("the router to have nothing in flight",
                      lambda: all(route["in_flight"] == 0 for route in site.routes()))
        stats_good = check_stats(site)
    except DemoError as error:
        print(f"check: {error}", file=sys.stderr)
        stats_good = False
    take_rest(verdict)
    print(verdict.line(CLUSTERS), flush=True)
    return 0 if verdict.is_good() and stats_good else 1


def parse_arguments():
    parser = argparse.ArgumentParser(prog="demo.py", description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="play one scenario, print a verdict")
    parser.add_argument("--rate", type=float, default=200, help="messages per second for the table (default 200)")
    parser.add_argument("--worker", metavar="CLUSTER", help=argparse.SUPPRESS)
    return parser.parse_args()


def stop_once(*_):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped


def main():
    arguments = parse_arguments()
    if arguments.worker:
        return worker(arguments.worker)
    signal.signal(signal.SIGINT, stop_once)
    signal.signal(signal.SIGTERM, stop_once)
    site = Site()
    try:
        return run_check(site) if arguments.check else run_table(site, arguments.rate)
    except Stopped:
        return 130
    except (DemoError, pika.exceptions.AMQPError) as error:
        print(f"demo: {error or type(error).__name__}", file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        site.stop()


if __name__ == "__main__":
    sys.exit(main())
